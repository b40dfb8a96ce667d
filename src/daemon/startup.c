#include <config.h>
#include "daemon/startup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/ack_accounts.h"
#include "daemon/mount_record.h"
#include "daemon/notify.h"
#include "daemon/process.h"
#include "daemon/signals.h"
#include "daemon/stack.h"
#include "util/cleanup.h"
#include "util/failpoint.h"
#include "util/log.h"
#include "util/message.h"

/* What systemd has to grant beyond the bounded flush: closing the store. */
#define CLOSE_MARGIN_MS 60000

struct startup {
	const struct mount_options *options;
	struct background *background;
	struct stack stack;
	_Atomic bool serves;
};

/* Called by the session, in a thread of its own, when the kernel has got its first answer. */
static void announce(void *arg)
{
	struct startup *startup = arg;
	const struct stack *stack = &startup->stack;

	atomic_store(&startup->serves, true);
	if (mount_record_add(
		    startup->options->url, stack->mountpoint, startup->options->user_options) < 0)
		log_debug("no entry in /run/mount/utab: umount will not wait");
	log_info("volume %s (%s) serves at '%s'", stack->volume.uuid, startup->options->url,
		stack->mountpoint);
	if (!startup->options->foreground) {
		if (background_report(startup->background, EXIT_SUCCESS, NULL) < 0) {
			log_error("the mount command was interrupted; unmounting again");
			session_exit(stack->session);
		}
		background_close_stdio();
	}
	if (notify_send("READY=1\nSTATUS=Serving.") < 0)
		log_warning("cannot tell systemd that the mount serves");
}

/* SIGHUP: what can be read again is. */
static void read_again(void *arg)
{
	const struct startup *startup = arg;
	const char *path = startup->options->ack_accounts;
	CLEANUP_FREE char *message = NULL;

	if (path == NULL)
		return;
	if (ack_accounts_load(startup->stack.fs, path, &message) < 0)
		log_error("%s; all stays as it was", message != NULL ? message : path);
	else
		log_info("'%s' was read again", path);
}

static void announce_end(const struct startup *startup)
{
	char lines[128];

	(void)snprintf(lines, sizeof(lines),
		"STOPPING=1\nSTATUS=Writing to the backend.\nEXTEND_TIMEOUT_USEC=%" PRIu64,
		(startup->options->umount_timeout_ms + CLOSE_MARGIN_MS) * 1000);
	(void)notify_send(lines);
	(void)mount_record_remove(startup->stack.mountpoint);
	log_info("'%s' is unmounted; finishing", startup->stack.mountpoint);
}

/* Of an ordinary user fusermount3 has said on standard error what it does not like. */
static int explain_no_mount(const char *mountpoint, int error, char **ret_message)
{
	const char *hint = "";

	if (access("/dev/fuse", R_OK | W_OK) < 0)
		return message_set(ret_message, error,
			"cannot mount at '%s': /dev/fuse cannot be opened: %s%s", mountpoint,
			strerror(errno),
			errno == EACCES ? "; only root can let users open it, or mount" : "");
	if (geteuid() != 0 && access(mountpoint, W_OK) < 0)
		hint = "; only root can mount where he may not write: give a mountpoint of your "
		       "own";
	else if (geteuid() != 0 && error == -EPERM)
		hint = "; not everything is allowed to users, see fusermount3(1); or mount as root";
	return message_set(ret_message, error, "cannot mount at '%s': %s%s", mountpoint,
		strerror(-error), hint);
}

/* Mounts, serves, and returns when the mount is gone. */
static int serve(struct startup *startup, char **ret_message)
{
	struct session *session = startup->stack.session;
	int r = session_mount(session);

	if (r < 0)
		return explain_no_mount(startup->stack.mountpoint, r, ret_message);
	signals_end_session(session);
	r = session_run(session);
	signals_forget_session();
	if (atomic_load(&startup->serves))
		announce_end(startup);
	else if (r == 0)
		r = -ECANCELED;
	if (r < 0)
		log_error("the mount at '%s' ended with: %s", startup->stack.mountpoint,
			strerror(-r));
	return r;
}

/* The report comes last: whoever waits for it may try again at once. */
static int finish(struct startup *startup, int error, const char *message)
{
	stack_close(&startup->stack);
	if (error < 0 && !atomic_load(&startup->serves))
		(void)background_report(startup->background, EXIT_FAILURE,
			message != NULL ? message : strerror(-error));
	log_info("ended%s", error < 0 ? " with an error" : "");
	return error < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int choose_failpoint(const struct mount_options *options, char **ret_message)
{
	if (options->failpoint == NULL)
		return 0;
	log_warning("failpoint=%s: mailfs will kill itself there", options->failpoint);
	if (failpoint_set(options->failpoint) < 0)
		return message_set(ret_message, -EINVAL, "failpoint='%s' is not NAME or NAME:N",
			options->failpoint);
	return 0;
}

int startup_run(const struct mount_options *options, struct background *background)
{
	struct stack_listener listener = {.on_serving = announce, .on_hangup = read_again};
	struct startup startup = {.options = options, .background = background};
	CLEANUP_FREE char *message = NULL;
	int r;

	listener.arg = &startup;
	log_set_level(options->log_level);
	process_prepare();
	signals_block();
	if (!options->foreground)
		log_use_syslog("mailfs", false);
	r = choose_failpoint(options, &message);
	if (r == 0)
		r = signals_enter_start();
	if (r == 0)
		r = stack_open(options, &listener, &startup.stack, &message);
	signals_leave_start();
	if (r == 0 && !options->foreground && chdir("/") < 0)
		r = -errno;
	if (r == 0)
		r = serve(&startup, &message);
	if (atomic_load(&startup.serves))
		stack_flush(&startup.stack);
	return finish(&startup, r, message);
}
