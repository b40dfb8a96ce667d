#include <config.h>
#include "fuse/session_private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "fuse/park.h"
#include "util/clock.h"
#include "util/log.h"

/* More make many parallel streams slower on few cores; waits do not hold threads. */
#define DEFAULT_THREADS 4

/* Interrupts a thread in its read of the device. Nobody else uses it. */
#define WAKE_SIGNAL SIGUSR2

#define PAUSE_MS 5

static int add_options(struct fuse_args *args, const struct session_options *o)
{
	char *options = NULL;
	int failed = fuse_opt_add_arg(args, "mailfs") < 0;

	failed |= fuse_opt_add_opt_escaped(&options, "subtype=mailfs") < 0;
	failed |= fuse_opt_add_opt(&options, "default_permissions") < 0;
	/* The kernel does not tell us of reads from its cache: access times cannot be kept. */
	failed |= fuse_opt_add_opt(&options, "noatime") < 0;
	if (o->fuse_options != NULL && o->fuse_options[0] != '\0')
		failed |= fuse_opt_add_opt(&options, o->fuse_options) < 0;
	failed |= fuse_opt_add_arg(args, "-o") < 0 || fuse_opt_add_arg(args, options) < 0;
	free(options);
	options = NULL;
	if (asprintf(&options, "fsname=%s", o->source) < 0)
		return -ENOMEM;
	char *escaped = NULL;
	failed |= fuse_opt_add_opt_escaped(&escaped, options) < 0;
	failed |= fuse_opt_add_arg(args, "-o") < 0 || fuse_opt_add_arg(args, escaped) < 0;
	if (o->debug)
		failed |= fuse_opt_add_arg(args, "-d") < 0;
	free(options);
	free(escaped);
	return failed ? -ENOMEM : 0;
}

int session_new(struct fs *fs, const struct session_options *o, struct session **ret)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct session *s = calloc(1, sizeof(*s));
	int r = s == NULL ? -ENOMEM : add_options(&args, o);

	if (s != NULL) {
		s->fs = fs;
		s->on_serving = o->on_serving;
		s->on_hangup = o->on_hangup;
		s->on_serving_arg = o->arg;
		s->no_xattrs = o->no_xattrs;
		s->n_threads = o->threads > 0 ? o->threads : DEFAULT_THREADS;
		if (s->n_threads > SESSION_MAX_THREADS)
			s->n_threads = SESSION_MAX_THREADS;
		s->mountpoint = strdup(o->mountpoint);
		s->control_socket = o->control_socket != NULL ? strdup(o->control_socket) : NULL;
		s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		s->park = park_new(s);
	}
	if (r == 0) {
		s->fuse = fuse_session_new(&args, &handlers, sizeof(handlers), s);
		r = s->fuse == NULL                                              ? -EINVAL
		    : s->wake_fd < 0 || s->mountpoint == NULL || s->park == NULL ? -ENOMEM
										 : 0;
	}
	fuse_opt_free_args(&args);
	if (r < 0) {
		session_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int session_mount(struct session *s)
{
	if (fuse_session_mount(s->fuse, s->mountpoint) != 0)
		return errno != 0 ? -errno : -EIO;
	s->mounted = true;
	return kernel_init_install(s);
}

/* Async-signal-safe. */
static void wake(struct session *s)
{
	uint64_t one = 1;
	ssize_t ignored = write(s->wake_fd, &one, sizeof(one));

	(void)ignored; /* the counter is full: it is awake */
}

void session_exit(struct session *s)
{
	atomic_store(&s->exiting, true);
	wake(s);
}

void session_hangup(struct session *s)
{
	atomic_store(&s->hangs_up, true);
	wake(s);
}

/* The counter goes back to 0, before what it told of is looked at. */
static void sleep_again(struct session *s)
{
	uint64_t count;
	ssize_t ignored = read(s->wake_fd, &count, sizeof(count));

	(void)ignored; /* nobody has woken it */
}

static void *serve(void *arg)
{
	struct session *s = arg;
	struct fuse_buf buffer = {0};
	int n;

	while (!atomic_load(&s->exiting) && !fuse_session_exited(s->fuse)) {
		n = fuse_session_receive_buf(s->fuse, &buffer);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0) {
			if (n < 0)
				log_error("reading the FUSE device failed: %s", strerror(-n));
			break;
		}
		park_serve(s->park, &buffer);
	}
	free(buffer.mem);
	atomic_store(&s->exiting, true); /* the mount is gone: the others shall look */
	atomic_fetch_sub(&s->running_threads, 1);
	wake(s);
	return NULL;
}

static void do_nothing(int signal)
{
	(void)signal;
}

static int start_threads(struct session *s, pthread_t threads[], unsigned int *ret_n)
{
	struct sigaction action = {.sa_handler = do_nothing}; /* no SA_RESTART: reads end */
	sigset_t block, before;
	int r = 0;

	sigaction(WAKE_SIGNAL, &action, NULL);
	sigfillset(&block);
	sigdelset(&block, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &block, &before);
	r = park_start(s->park);
	for (*ret_n = 0; *ret_n < s->n_threads && r == 0; (*ret_n)++) {
		atomic_fetch_add(&s->running_threads, 1);
		r = -pthread_create(&threads[*ret_n], NULL, serve, s);
		if (r < 0) {
			atomic_fetch_sub(&s->running_threads, 1);
			break;
		}
		pthread_setname_np(threads[*ret_n], "mfs-fuse");
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

/* A thread may have been about to read when it was signalled: so again until all have ended. */
static void end_threads(struct session *s, pthread_t threads[], unsigned int n)
{
	atomic_store(&s->exiting, true);
	fuse_session_exit(s->fuse);
	while (atomic_load(&s->running_threads) > 0) {
		for (unsigned int i = 0; i < n; i++)
			pthread_kill(threads[i], WAKE_SIGNAL);
		clock_sleep_ms(PAUSE_MS);
	}
	for (unsigned int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* Requests that wait for the backend or the disk get their answers before the session ends. */
static void wait_for_requests(struct session *s)
{
	while (atomic_load(&s->waiting_requests) > 0)
		clock_sleep_ms(PAUSE_MS);
}

int session_run(struct session *s)
{
	pthread_t threads[SESSION_MAX_THREADS];
	struct pollfd wait = {.fd = s->wake_fd, .events = POLLIN};
	unsigned int n = 0;
	int r = start_threads(s, threads, &n);

	while (r == 0 && !atomic_load(&s->exiting)) {
		(void)poll(&wait, 1, -1);
		sleep_again(s);
		if (atomic_exchange(&s->hangs_up, false) && s->on_hangup != NULL)
			s->on_hangup(s->on_serving_arg);
	}
	end_threads(s, threads, n);
	park_stop(s->park);
	wait_for_requests(s);
	if (s->mounted)
		fuse_session_unmount(s->fuse);
	s->mounted = false;
	return r;
}

int session_forget_entry(struct session *s, uint64_t parent, const char *name)
{
	int r;

	if (!s->mounted || atomic_load(&s->exiting))
		return -ENOTCONN;
	r = fuse_lowlevel_notify_inval_entry(s->fuse, parent, name, strlen(name));
	return r == -ENOENT ? 0 : r == -ENODEV ? -ENOTCONN : r;
}

uint64_t session_count_parked(const struct session *s)
{
	return park_count(s->park);
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	if (s->fuse != NULL && s->mounted)
		fuse_session_unmount(s->fuse);
	if (s->fuse != NULL)
		fuse_session_destroy(s->fuse);
	if (s->wake_fd > 0)
		close(s->wake_fd);
	park_free(s->park);
	free(s->mountpoint);
	free(s->control_socket);
	free(s);
}
