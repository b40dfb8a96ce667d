#include <config.h>
#include "admin/export.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "admin/bare_volume.h"
#include "admin/interrupt.h"
#include "cache/key.h"
#include "transfer/transfer.h"
#include "transfer/tree_node.h"
#include "transfer/tree_times.h"
#include "util/cleanup.h"
#include "util/text_list.h"

#define LISTED_PROBLEMS_MAX 10000 /* in the JSON answer; all are printed */

struct export
{
	const struct export_arguments *arguments;
	struct tree_node *tree;
	const atomic_bool *stopping;
	json_t *problems;
	uint64_t n_lost_accounts;
	struct tree_node_state state; /* the oldest of what was loaded */
	struct transfer_figures figures;
};

static void note_problem(void *arg, const struct transfer_problem *problem)
{
	const char *path = problem->path, *what = problem->what;
	struct export *e = arg;

	(void)verb_fail("%s: %s: %s", path, what, strerror(-problem->error));
	if (json_array_size(e->problems) < LISTED_PROBLEMS_MAX)
		(void)json_array_append_new(
			e->problems, json_pack("{s:s%, s:s, s:s}", "path", path, strlen(path),
					     "problem", what, "reason", strerror(-problem->error)));
}

/* ---- loading */

static int load(struct export *e, uint32_t account, const char *name)
{
	CLEANUP_FREE char *message = NULL;
	struct tree_node_state state;
	int r = tree_node_load(e->tree, account, &state, &message);

	if (r < 0) {
		(void)verb_fail("%s: %s", name, message != NULL ? message : strerror(-r));
		return r;
	}
	if (e->state.time_ms == 0 || state.time_ms > e->state.time_ms)
		e->state.time_ms = state.time_ms;
	e->state.is_early = e->state.is_early || state.is_early;
	e->state.is_uncertain = e->state.is_uncertain || state.is_uncertain;
	return 0;
}

/* The root account is the whole tree, with all that begins in it. What cannot be loaded is missing
 * then, and the rest comes. */
static int load_all(struct export *e)
{
	struct tree_node_accounts list;
	int r = tree_node_list(e->tree, &list);

	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n && !atomic_load(e->stopping); i++) {
		int error = load(e, list.accounts[i].account, list.accounts[i].name);

		if (error < 0)
			e->n_lost_accounts++;
	}
	tree_node_list_done(&list);
	return load(e, KEY_ROOT_ACCOUNT, "/");
}

/* ---- answers */

static void print_state(const struct export *e)
{
	char text[TREE_TIMES_TEXT_BYTES];

	if (e->state.is_early)
		fprintf(stderr,
			"mailfs-admin: warning: what was changed between %s and the time that was "
			"asked for is not there any more\n",
			tree_times_text(e->state.time_ms, text));
	if (e->state.is_uncertain)
		fprintf(stderr, "mailfs-admin: warning: a segment of the journal, or the newest "
				"checkpoint, is missing or damaged: the last changes may be "
				"missing\n");
}

static void print_answer(const struct export *e)
{
	const struct transfer_figures *f = &e->figures;
	char text[TREE_TIMES_TEXT_BYTES], size[32];
	json_t *root;

	print_state(e);
	if (!e->arguments->json) {
		printf("%s as of %s: %" PRIu64 " files (%s), %" PRIu64 " directories, %" PRIu64
		       " further names, %" PRIu64 " problems\n",
			e->arguments->account, tree_times_text(e->state.time_ms, text), f->files,
			verb_size_text(f->bytes, size), f->directories, f->links,
			f->problems + e->n_lost_accounts);
		return;
	}
	root = json_pack("{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "account",
		e->arguments->account, "time", tree_times_text(e->state.time_ms, text), "is_early",
		e->state.is_early, "is_uncertain", e->state.is_uncertain, "files",
		(json_int_t)f->files, "bytes", (json_int_t)f->bytes, "directories",
		(json_int_t)f->directories, "links", (json_int_t)f->links, "others",
		(json_int_t)f->others, "lost_accounts", (json_int_t)e->n_lost_accounts, "problems",
		e->problems);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

static enum admin_status list_times(const struct export *e, uint32_t account)
{
	CLEANUP_FREE char *message = NULL;
	char text[TREE_TIMES_TEXT_BYTES], oldest[TREE_TIMES_TEXT_BYTES];
	struct catalogue_times times;
	json_t *root, *list = json_array();
	int r = catalogue_times(tree_node_catalogue(e->tree), account, &times, &message);

	if (r < 0) {
		json_decref(list);
		return verb_fail("%s", message != NULL ? message : strerror(-r));
	}
	for (size_t i = 0; i < times.n_checkpoints; i++) {
		const char *time = tree_times_text(times.checkpoints_ms[i], text);

		(void)json_array_append_new(list, json_string(time));
		if (!e->arguments->json)
			printf("checkpoint %s\n", time);
	}
	tree_times_text(times.oldest_segment_ms, oldest);
	tree_times_text(times.newest_segment_ms, text);
	if (times.n_segments > 0 && !e->arguments->json)
		printf("%zu segments from %s to %s\n", times.n_segments, oldest, text);
	root = json_pack("{s:s, s:o, s:I}", "account", e->arguments->account, "checkpoints", list,
		"segments", (json_int_t)times.n_segments);
	if (times.n_segments > 0) {
		(void)json_object_set_new(root, "oldest_segment", json_string(oldest));
		(void)json_object_set_new(root, "newest_segment", json_string(text));
	}
	if (e->arguments->json) {
		(void)json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(root);
	catalogue_times_done(&times);
	return ADMIN_OK;
}

/* ---- doing it */

static enum admin_status copy(struct export *e, uint32_t account, struct sink *sink)
{
	struct transfer_options options = {.source = tree_node_fs(e->tree),
		.directory = key_ino_compose(account, KEY_INO_LOCAL_ROOT),
		.sink = sink,
		.problem = note_problem,
		.arg = e,
		.stopping = e->stopping};
	int r = account == KEY_ROOT_ACCOUNT ? load_all(e) : load(e, account, e->arguments->account);

	if (r < 0)
		return ADMIN_FAILED;
	r = transfer_run(&options, &e->figures);
	if (r < 0)
		return verb_fail("%s: %s", e->arguments->directory, strerror(-r));
	print_answer(e);
	return e->figures.problems + e->n_lost_accounts > 0 ? ADMIN_FAILED : ADMIN_OK;
}

static enum admin_status copy_to_disk(struct export *e, uint32_t account)
{
	const char *directory = e->arguments->directory;
	enum admin_status status;
	struct sink *sink;
	int r = sink_disk_open(directory, &sink);

	if (r == -ENOTEMPTY)
		return verb_fail(
			"'%s' is not empty; name a new directory or an empty one", directory);
	if (r < 0)
		return verb_fail("cannot use '%s': %s", directory, strerror(-r));
	status = copy(e, account, sink);
	sink->ops->free(sink);
	return status;
}

static enum admin_status run_on(struct export *e, const struct bare_volume *volume)
{
	const struct export_arguments *arguments = e->arguments;
	struct tree_node_options options = {.backend = volume->chain.backend,
		.volume = volume->uuid,
		.account_depth = volume->volume.account_depth,
		.parent_directory = arguments->state_directory,
		.not_after_ms = arguments->not_after_ms,
		.stopping = e->stopping};
	CLEANUP_FREE char *message = NULL;
	enum admin_status status;
	uint32_t account;
	int r = tree_node_open(&options, &e->tree, &message);

	if (r == 0)
		r = tree_node_find(e->tree, arguments->account, &account, &message);
	if (r < 0)
		status = verb_fail("%s", message != NULL ? message : strerror(-r));
	else if (arguments->list)
		status = list_times(e, account);
	else
		status = copy_to_disk(e, account);
	tree_node_close(e->tree);
	return status;
}

static enum admin_status open_and_run(const struct export_arguments *arguments)
{
	struct export e = {
		.arguments = arguments, .stopping = interrupt_catch(), .problems = json_array()};
	struct bare_volume volume;
	enum admin_status status = bare_volume_open(
		arguments->verb, arguments->target, arguments->options, true, &volume);

	if (status == ADMIN_OK)
		status = run_on(&e, &volume);
	bare_volume_close(&volume);
	json_decref(e.problems);
	return status;
}

enum admin_status export_run(const struct admin_verb *verb, bool needs_time, int argc, char **argv)
{
	struct export_arguments arguments = {.verb = verb, .needs_time = needs_time};
	bool done;
	enum admin_status status = export_parse(&arguments, argc, argv, &done);

	if (!done)
		status = open_and_run(&arguments);
	text_list_free(arguments.options);
	return status;
}
