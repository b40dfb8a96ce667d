#include <config.h>
#include "daemon/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "fuse/session.h"
#include "util/log.h"

#define LOOK_MS 100 /* at whether the start is over */

/* A signal handler has no argument, so what it works on has to be global. */
static struct session *_Atomic serving;

static pthread_t starter;
static atomic_bool is_starting;

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

/* As without any handler, so that whoever has started this process sees why it ended. */
static void end_by(int signal_number)
{
	sigset_t set;

	log_info("ended by %s before the mount served", strsignal(signal_number));
	(void)signal(signal_number, SIG_DFL);
	set_ending_signals(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(signal_number);
}

static void *watch_start(void *arg)
{
	const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
	sigset_t set;

	set_ending_signals(&set);
	while (atomic_load(&is_starting)) {
		int signal_number = sigtimedwait(&set, NULL, &look);

		if (signal_number > 0)
			end_by(signal_number);
	}
	return arg;
}

int signals_enter_start(void)
{
	int r;

	atomic_store(&is_starting, true);
	r = -pthread_create(&starter, NULL, watch_start, NULL);
	if (r < 0)
		atomic_store(&is_starting, false);
	else
		(void)pthread_setname_np(starter, "mfs-start");
	return r;
}

void signals_leave_start(void)
{
	if (atomic_exchange(&is_starting, false))
		(void)pthread_join(starter, NULL);
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
