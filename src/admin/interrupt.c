#include <config.h>
#include "admin/interrupt.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_bool interrupted;

static void note(int signal_number)
{
	(void)signal_number;
	atomic_store(&interrupted, true);
}

const atomic_bool *interrupt_catch(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {
		.sa_handler = note, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &action, NULL);
	return &interrupted;
}
