#include <config.h>
#include "daemon/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include "fuse/session.h"

/* A signal handler has no argument, so what it works on has to be global. */
static struct session *_Atomic serving;

static void leave(int signal_number)
{
	struct session *session = atomic_load(&serving);

	(void)signal_number;
	if (session != NULL)
		session_exit(session);
}

static void hang_up(int signal_number)
{
	struct session *session = atomic_load(&serving);

	(void)signal_number;
	if (session != NULL)
		session_hangup(session);
}

static void set_ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

void signals_block(void)
{
	sigset_t set;

	set_ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
}

void signals_end_session(struct session *session)
{
	struct sigaction action = {.sa_handler = leave};
	struct sigaction again = {.sa_handler = hang_up, .sa_flags = SA_RESTART};
	sigset_t set;

	atomic_store(&serving, session);
	sigemptyset(&action.sa_mask);
	sigemptyset(&again.sa_mask);
	(void)sigaction(SIGHUP, &again, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	set_ending_signals(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void signals_forget_session(void)
{
	atomic_store(&serving, NULL);
}
