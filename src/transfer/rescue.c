#include <config.h>
#include "transfer/rescue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/read_only_backend.h"
#include "cache/key.h"
#include "transfer/rescue_private.h"
#include "transfer/transfer.h"
#include "transfer/tree_node.h"
#include "transfer/tree_times.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/failpoint.h"
#include "util/file_io.h"
#include "util/log.h"
#include "util/message.h"

#define PATH_BYTES 4096
#define NAME_BYTES (2 * (FS_NAME_MAX_BYTES + 1) + 16)
#define MEMORY_BYTES (UINT64_C(32) << 20)
#define BODY_CACHE_BYTES (UINT64_C(256) << 20)

struct rescue {
	const struct rescue_options *options;
	struct backend *backend; /* read-only */
	struct node *old;
	struct fs *old_fs;
	struct rescue_place place;
	struct rescue_figures *figures;
	const char *account; /* name of the one that is being copied */
	FILE *lost;
	int error; /* of what may work later */
};

static bool is_stopping(const struct rescue *r)
{
	return r->options->stopping != NULL && atomic_load(r->options->stopping);
}

/* ---- what cannot be had */

/* What the backend does not have, or not whole, it will not have later. A file gives -EIO for that,
 * but so does a store that is in trouble: then what is here must stay. */
static bool is_final(const struct rescue *r, int error)
{
	return read_only_backend_failures(r->backend) == 0 &&
	       (error == -EIO || error == -ENOENT || error == -EBADMSG || error == -ELOOP);
}

static void note_problem(void *arg, const struct transfer_problem *problem)
{
	struct rescue *r = arg;

	if (!problem->is_at_source || !is_final(r, problem->error)) {
		r->error = r->error < 0 ? r->error : problem->error;
		log_error("'%s/%s' of a superseded node cannot be kept now: %s: %s", r->account,
			problem->path, problem->what, strerror(-problem->error));
		return;
	}
	r->figures->lost++;
	fprintf(r->lost, "%s/%s: %s\n", r->account, problem->path, problem->what);
}

/* ---- copying */

static int copy_account(struct rescue *r, uint32_t account, const char *name)
{
	struct transfer_options options = {.source = r->old_fs,
		.directory = key_ino_compose(account, KEY_INO_LOCAL_ROOT),
		.within_account = true,
		.problem = note_problem,
		.arg = r,
		.stopping = r->options->stopping};
	struct transfer_figures figures = {0};
	struct fs_attributes a;
	uint64_t directory;
	int error = fs_getattr(r->old_fs, options.directory, &a);

	if (error == -ENOENT)
		return 0; /* it was removed, or is not here */
	if (error == 0)
		error = rescue_place_directory(&r->place, name, &directory);
	if (error < 0)
		return error;
	r->account = name;
	error = sink_fs_open(r->options->fs, directory, true, &options.sink);
	if (error == 0) {
		error = transfer_run(&options, &figures);
		options.sink->ops->free(options.sink);
	}
	if (directory != r->place.top)
		fs_forget(r->options->fs, directory, 1);
	r->figures->accounts++;
	r->figures->files += figures.files;
	r->figures->bytes += figures.bytes;
	return error < 0 ? error : r->error;
}

static void name_of(const struct tree_node_accounts *names, uint32_t account, char name[NAME_BYTES])
{
	(void)snprintf(name, NAME_BYTES, "account-%" PRIu32, account);
	if (account == KEY_ROOT_ACCOUNT)
		name[0] = '\0';
	for (size_t i = 0; i < names->n; i++) {
		if (names->accounts[i].account == account)
			(void)snprintf(name, NAME_BYTES, "%s", names->accounts[i].name);
	}
}

/* They are sorted: the root account, which has the directories above the others, comes first. */
static int copy_accounts(struct rescue *r, const uint32_t *accounts, size_t n)
{
	struct tree_node_accounts names;
	int error = tree_node_list_of(r->old_fs, &names);

	for (size_t i = 0; i < n && error == 0; i++) {
		char name[NAME_BYTES];

		name_of(&names, accounts[i], name);
		error = is_stopping(r) ? -ECANCELED : copy_account(r, accounts[i], name);
	}
	tree_node_list_done(&names);
	return error;
}

static int write_notes(struct rescue *r, const char *lost, size_t lost_bytes)
{
	char time[TREE_TIMES_TEXT_BYTES];
	CLEANUP_FREE char *text = NULL;
	int error = 0;

	if (asprintf(&text,
		    "What a node of this machine had and never shipped when another one took over: "
		    "%" PRIu64 " accounts, %" PRIu64 " files.\nCopied at %s; %" PRIu64
		    " could not be had%s.\n"
		    "Merge it (doveadm import, doveadm sync), then remove it.\n",
		    r->figures->accounts, r->figures->files,
		    tree_times_text(clock_realtime_ms(), time), r->figures->lost,
		    lost_bytes > 0 ? ": the file LOST names them" : "") < 0)
		return -ENOMEM;
	if (lost_bytes > 0)
		error = rescue_place_write_file(&r->place, "LOST", lost, lost_bytes);
	failpoint("rescue.copied");
	if (error == 0)
		error = rescue_place_write_file(&r->place, "COMPLETE", text, strlen(text));
	return error;
}

static int copy(struct rescue *r)
{
	CLEANUP_FREE uint32_t *accounts = NULL;
	char *lost = NULL;
	size_t n, lost_bytes = 0;
	int error = rescue_find_changed(r->old, r->options, &accounts, &n);

	if (error < 0 || n == 0)
		return error;
	error = rescue_place_open(r->options, &r->place);
	if (error < 0 || r->place.is_complete)
		return error;
	failpoint("rescue.begun");
	r->lost = open_memstream(&lost, &lost_bytes);
	if (r->lost == NULL)
		return -ENOMEM;
	error = copy_accounts(r, accounts, n);
	if (fclose(r->lost) != 0 && error == 0)
		error = -ENOMEM;
	if (error == 0)
		error = write_notes(r, lost, lost_bytes);
	free(lost);
	return error;
}

/* ---- the superseded node */

static int open_old(struct rescue *r, const char *directory, char **ret_message)
{
	struct node_options options = {.directory = directory,
		.account_depth = r->options->account_depth,
		.cache_size_bytes = BODY_CACHE_BYTES,
		.memory_bytes = MEMORY_BYTES,
		.commit_interval_ms = UINT32_MAX, /* nothing is to be put */
		.journal = true};
	int error = read_only_backend_borrow(r->options->backend, &r->backend);

	if (error < 0)
		return error;
	options.backend = r->backend;
	error = node_open(&options, &r->old, ret_message);
	return error < 0 ? error : fs_open(r->old, &r->old_fs);
}

static void close_old(struct rescue *r)
{
	rescue_place_close(&r->place);
	if (r->old_fs != NULL)
		fs_close(r->old_fs);
	if (r->old != NULL)
		node_close(r->old);
	backend_free(r->backend);
}

/* Whole or not at all: what a crash leaves of it has another name. */
static int remove_old(const struct rescue_options *options)
{
	const char *slash = strrchr(options->path, '/');
	int parent_bytes = slash != NULL ? (int)(slash - options->path) : 0;
	CLEANUP_FREE char *going = NULL;
	int r;

	if (asprintf(&going, "%.*s/" RESCUE_REMOVING_NAME, parent_bytes, options->path) < 0)
		return -ENOMEM;
	r = file_io_remove_tree(going);
	if (r == 0 && rename(options->path, going) < 0)
		r = -errno;
	failpoint("rescue.removing");
	return r < 0 ? r : file_io_remove_tree(going);
}

static int rescue(struct rescue *r, const char *directory, char **ret_message)
{
	int error = open_old(r, directory, ret_message);

	if (error == 0)
		error = copy(r);
	close_old(r);
	if (error == 0 && is_stopping(r))
		error = -ECANCELED;
	return error;
}

int rescue_run(const struct rescue_options *options, struct rescue_figures *ret, char **ret_message)
{
	struct rescue r = {.options = options, .figures = ret};
	char directory[PATH_BYTES];
	int error;

	*ret = (struct rescue_figures){0};
	*ret_message = NULL;
	if (snprintf(directory, sizeof(directory), "%s/db", options->path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	error = rescue(&r, directory, ret_message);
	failpoint("rescue.marked");
	if (error == 0)
		error = options->flush(options->arg);
	failpoint("rescue.flushed");
	if (error == 0)
		error = remove_old(options);
	if (error < 0 && *ret_message == NULL)
		return message_set(ret_message, error, "%s", strerror(-error));
	return error;
}
