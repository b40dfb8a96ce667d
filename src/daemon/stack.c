#include <config.h>
#include "daemon/stack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/registry.h"
#include "fs/account_names.h"
#include "backends/retry_backend.h"
#include "cache/account_list.h"
#include "cache/key.h"
#include "daemon/ack_accounts.h"
#include "daemon/mountpoint.h"
#include "daemon/state_superseded.h"
#include "replication/owner.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/message.h"
#include "util/mount_table.h"
#include "util/open_files.h"

#define FILE_URL_PREFIX "file://"

/* How long a mount waits for a store that does not answer. */
#define OPEN_PATIENCE_MS 20000
#define OPEN_PAUSE_MS 1000

/* How often another node may be faster. */
#define MAX_BEGINNINGS 3

/* A store that is just being restarted is no reason to leave a mail host without its mail. */
static int open_driver(const struct stack *stack, struct backend **ret, char **ret_message)
{
	const char *const *options = (const char *const *)stack->options->backend_options;
	uint64_t deadline_ms = clock_monotonic_ms() + OPEN_PATIENCE_MS;
	int r;

	for (;;) {
		r = backend_open_url(stack->options->url, options, ret, ret_message);
		if (r == 0 || !retry_backend_is_passing(r) || clock_monotonic_ms() >= deadline_ms)
			return r;
		log_warning("%s; trying again", *ret_message != NULL ? *ret_message : strerror(-r));
		free(*ret_message);
		*ret_message = NULL;
		clock_sleep_ms(OPEN_PAUSE_MS);
	}
}

static int open_backend(struct stack *stack, char **ret_message)
{
	struct backend *driver;
	int r = open_driver(stack, &driver, ret_message);

	if (r < 0)
		return r;
	if (stack->options->faults != NULL)
		log_warning("faults=%s: calls of the backend will fail", stack->options->faults);
	return backend_chain_build(driver, stack->options->faults, &stack->backend, ret_message);
}

static int open_volume(struct stack *stack, char **ret_message)
{
	const char *url = stack->options->url;
	int r = mountpoint_resolve(
		stack->options->mountpoint, url, &stack->mountpoint, ret_message);

	if (r == 0 && strncmp(url, FILE_URL_PREFIX, strlen(FILE_URL_PREFIX)) == 0)
		r = mountpoint_keep_clear(stack->mountpoint, url + strlen(FILE_URL_PREFIX),
			"the volume's directory", ret_message);
	if (r == 0)
		r = open_backend(stack, ret_message);
	if (r == 0)
		r = volume_open(stack->backend.backend, &stack->volume, ret_message);
	if (r == 0)
		r = backend_chain_prove(&stack->backend, ret_message);
	if (r == 0 && stack->backend.probe_message != NULL)
		log_warning("%s; one node can use it all the same", stack->backend.probe_message);
	return r;
}

static void choose_ack(struct stack *stack)
{
	struct backend_capabilities capabilities;
	bool is_remote = stack->options->ack == MOUNT_ACK_REMOTE;

	backend_get_capabilities(stack->backend.backend, &capabilities);
	if (stack->options->ack == MOUNT_ACK_DEFAULT)
		is_remote = !capabilities.local;
	stack->ack = is_remote ? NODE_ACK_REMOTE : NODE_ACK_LOCAL;
}

static int open_state(struct stack *stack, char **ret_message)
{
	struct state_request request = {
		.path = stack->options->state_directory,
		.volume_uuid = stack->volume.uuid,
		.url = stack->options->url,
		.mountpoint = stack->mountpoint,
	};
	int r = state_directory_open(&request, &stack->state, ret_message);

	if (r == 0)
		r = mountpoint_keep_clear(
			stack->mountpoint, stack->state->path, "the state directory", ret_message);
	return r;
}

/* ---- the node, and whether it may go on from what is here */

static int open_node(struct stack *stack, char **ret_message)
{
	struct node_options options = {
		.directory = stack->state->node_path,
		.backend = stack->backend.backend,
		.account_depth = stack->volume.account_depth,
		.cache_size_bytes = stack->options->cache_size_bytes,
		.memory_bytes = stack->options->memory_bytes,
		.commit_interval_ms = stack->options->commit_interval_ms,
		.ack = stack->ack,
		.backlog_bytes = stack->options->backlog_size_bytes,
		.backlog_age_ms = stack->options->backlog_age_ms,
		.strict_sync = stack->options->strict_sync,
		.journal = true,
		.plain_puts = !stack->backend.probe.put_if_absent,
	};

	return node_open(&options, &stack->node, ret_message);
}

static int note_ownership(void *arg, uint64_t incarnation, uint64_t epoch)
{
	struct state_directory *state = arg;

	state->identity.incarnation = incarnation;
	state->identity.epoch = epoch;
	return state_directory_write_identity(state);
}

static int open_replicator(struct stack *stack, char **ret_message)
{
	const struct mount_options *o = stack->options;
	struct replicator_options options = {
		.node = stack->node,
		.backend = stack->backend.backend,
		.incarnation = stack->state->identity.incarnation,
		.epoch = stack->state->identity.epoch,
		.note = note_ownership,
		.note_arg = stack->state,
		.commit_interval_ms = (uint32_t)o->commit_interval_ms,
		.commit_window_ms = (uint32_t)o->commit_window_ms,
		.commit_timeout_ms = (uint32_t)o->commit_timeout_ms,
		.retention_ms = o->retention_ms,
		/* Also when only some accounts, or after a SIGHUP, acknowledge what is here. */
		.syncs_notes = stack->ack == NODE_ACK_LOCAL || o->ack_accounts != NULL,
		.plain_puts = !stack->backend.probe.put_if_absent,
	};

	if (!uuid_parse(stack->volume.uuid, &options.volume) ||
		!uuid_parse(stack->state->identity.node_uuid, &options.node_uuid))
		return -EBADMSG;
	return replicator_open(&options, &stack->replicator, ret_message);
}

/* Before the node is opened: one that is superseded must not go on with anything, least of all with
 * removing objects. */
static int check_owner(struct stack *stack, char **ret_message)
{
	const struct state_identity *identity = &stack->state->identity;
	struct uuid volume, node;
	struct owner newest;
	int r;

	if (!uuid_parse(stack->volume.uuid, &volume) || !uuid_parse(identity->node_uuid, &node))
		return -EBADMSG;
	r = owner_find(stack->backend.backend, &volume, &newest, ret_message);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && owner_relate(&newest, &node, identity->incarnation, identity->epoch) ==
			      OWNER_SUPERSEDED)
		r = state_superseded_set_aside(stack->state, ret_message);
	return r;
}

/* Somebody was faster with what this node has tried. */
static int begin_again(struct stack *stack, char **ret_message)
{
	bool is_new = stack->state->identity.epoch == 0 &&
		      account_list_has(stack->node, KEY_ROOT_ACCOUNT) == 0;

	node_close(stack->node);
	stack->node = NULL;
	free(*ret_message);
	*ret_message = NULL;
	return is_new ? 0 : state_superseded_set_aside(stack->state, ret_message);
}

static int open_replication(struct stack *stack, char **ret_message)
{
	int r = -ESTALE;

	for (int i = 0; r == -ESTALE && i < MAX_BEGINNINGS; i++) {
		r = i > 0 ? begin_again(stack, ret_message) : 0;
		if (r == 0)
			r = check_owner(stack, ret_message);
		if (r == 0)
			r = open_node(stack, ret_message);
		if (r == 0)
			r = open_replicator(stack, ret_message);
	}
	return r;
}

static int open_filesystem(struct stack *stack, char **ret_message)
{
	int r = open_replication(stack, ret_message);

	if (r < 0)
		return r;
	r = fs_open(stack->node, &stack->fs);
	if (r == 0 && stack->options->ack_accounts != NULL)
		return ack_accounts_load(stack->fs, stack->options->ack_accounts, ret_message);
	return r < 0 ? message_set(ret_message, r, "cannot open the filesystem in '%s': %s",
			       stack->state->node_path, strerror(-r))
		     : 0;
}

static int open_session(
	struct stack *stack, const struct stack_listener *listener, char **ret_message)
{
	struct session_options options = {
		.source = stack->options->url,
		.mountpoint = stack->mountpoint,
		.fuse_options = stack->options->fuse_options,
		.threads = stack->options->threads,
		.control_socket = stack->state->control_socket_path,
		.no_xattrs = stack->options->no_xattrs,
		.debug = stack->options->debug,
		.on_serving = listener->on_serving,
		.on_hangup = listener->on_hangup,
		.arg = listener->arg,
	};
	int r = session_new(stack->fs, &options, &stack->session);

	return r < 0 ? message_set(ret_message, r, "cannot prepare the mount at '%s': %s",
			       stack->mountpoint, strerror(-r))
		     : 0;
}

static void count_requests(void *source, control_take_count_fn *take, void *arg)
{
	const struct stack *stack = source;

	session_count_requests(stack->session, take, arg);
}

static struct open_files *list_open_files(void *source)
{
	const struct stack *stack = source;
	struct open_files *files = NULL;
	struct mount_entry entry;
	int r = mount_table_find(stack->mountpoint, &entry);

	if (r == 0) {
		r = open_files_scan(entry.major, entry.minor, &files);
		mount_entry_done(&entry);
	}
	if (r < 0)
		log_warning("cannot find out which files are open: %s", strerror(-r));
	return files;
}

static void drop_kernel_caches(void *source, const char *account_name)
{
	const struct stack *stack = source;
	const char *name;
	uint64_t directory;
	int r = account_names_entry(stack->fs, account_name, &directory, &name);

	if (r == 0)
		r = session_forget_entry(stack->session, directory, name);
	if (r < 0)
		log_debug("the kernel keeps what it has of '%s': %s", account_name, strerror(-r));
}

static int open_control(struct stack *stack, char **ret_message)
{
	stack->subject = (struct control_subject){
		.node = stack->node,
		.fs = stack->fs,
		.replicator = stack->replicator,
		.backend = &stack->backend,
		.url = stack->options->url,
		.volume_uuid = stack->volume.uuid,
		.node_uuid = stack->state->identity.node_uuid,
		.mountpoint = stack->mountpoint,
		.state_directory = stack->state->path,
		.ack = stack->ack,
		.started_ms = clock_monotonic_ms(),
		.count_requests = count_requests,
		.list_open_files = list_open_files,
		.drop_kernel_caches = drop_kernel_caches,
		.source = stack,
	};
	return control_server_start(
		stack->state->control_socket_path, &stack->subject, &stack->control, ret_message);
}

static int begin_rescue(struct stack *stack)
{
	struct rescue_thread_options options = {
		.state = stack->state,
		.node = stack->node,
		.fs = stack->fs,
		.session = stack->session,
		.replicator = stack->replicator,
		.backend = stack->backend.backend,
		.account_depth = stack->volume.account_depth,
	};

	return rescue_thread_start(&options, &stack->rescue);
}

static void end_rescue(struct stack *stack)
{
	rescue_thread_stop(stack->rescue);
	stack->rescue = NULL;
}

int stack_open(const struct mount_options *options, const struct stack_listener *listener,
	struct stack *ret, char **ret_message)
{
	int r;

	*ret = (struct stack){.options = options};
	*ret_message = NULL;
	r = open_volume(ret, ret_message);
	if (r == 0) {
		choose_ack(ret);
		r = open_state(ret, ret_message);
	}
	if (r == 0)
		r = open_filesystem(ret, ret_message);
	if (r == 0)
		r = open_session(ret, listener, ret_message);
	if (r == 0)
		r = open_control(ret, ret_message);
	if (r == 0)
		r = begin_rescue(ret);
	return r;
}

void stack_flush(struct stack *stack)
{
	uint64_t timeout_ms = stack->options->umount_timeout_ms;
	struct node_figures figures = {0};
	int r;

	end_rescue(stack);
	if (stack->node == NULL || timeout_ms == 0)
		return;
	stack->close_until_ms = clock_monotonic_ms() + timeout_ms;
	r = node_flush(stack->node, (uint32_t)timeout_ms);
	if (r == 0)
		return;
	node_get_figures(stack->node, &figures);
	log_warning("%" PRIu64 " bodies are not on the backend yet (%s); they are safe in '%s' and "
		    "follow after the next mount",
		figures.dirty_files, strerror(-r), stack->state->path);
}

static void close_replicator(struct stack *stack)
{
	uint64_t now_ms = clock_monotonic_ms();
	uint64_t left_ms = stack->close_until_ms > now_ms ? stack->close_until_ms - now_ms : 0;
	int r = replicator_close(stack->replicator, (uint32_t)left_ms, left_ms > 0);

	if (r == -ESTALE)
		log_error("another node has taken over the volume; what had not reached the "
			  "backend by then is only in '%s', and the next mount sets it aside",
			stack->state->path);
	else if (r < 0 && stack->close_until_ms != 0)
		log_warning("the last changes are not on the backend yet (%s); they are safe in "
			    "'%s' and follow after the next mount",
			strerror(-r), stack->state->path);
}

void stack_close(struct stack *stack)
{
	end_rescue(stack);
	control_server_stop(stack->control);
	if (stack->session != NULL)
		session_free(stack->session);
	if (stack->fs != NULL)
		fs_close(stack->fs);
	if (stack->replicator != NULL)
		close_replicator(stack);
	/* The node waits for what it has in flight; a silent store would make it wait for the
	 * deadlines, one after the other. */
	if (stack->backend.backend != NULL)
		backend_shutdown(stack->backend.backend);
	if (stack->node != NULL)
		node_close(stack->node);
	backend_chain_done(&stack->backend);
	state_directory_close(stack->state);
	free(stack->mountpoint);
}
