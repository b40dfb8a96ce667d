#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/bare_volume.h"
#include "admin/interrupt.h"
#include "fsck/fsck.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/parse_number.h"
#include "util/text_list.h"

#define DEFAULT_GRACE_MS 3600000
#define ONLINE_REPAIR_MIN_GRACE_MS DEFAULT_GRACE_MS
#define LISTED_PROBLEMS_MAX 100000 /* in the JSON answer */
#define PROGRESS_PAUSE_MS 200

/* As fsck(8) has them. */
enum fsck_status { CLEAN = 0, REPAIRED = 1, ERRORS_LEFT = 4, NOT_DONE = 8 };

struct fsck_arguments {
	struct verb_arguments common; /* its words are accounts */
	bool deep, repair;
	uint64_t grace_ms;
	const char *state_directory;
};

struct answer {
	bool json, shows_progress, progress_stands;
	uint64_t next_progress_ms;
	json_t *problems;
};

/* ---- the command line */

static enum admin_status check_arguments(const struct fsck_arguments *arguments)
{
	const struct verb_arguments *common = &arguments->common;

	if (common->n_words > TEXT_LIST_MAX_TEXTS)
		return verb_fail("too many accounts");
	if (arguments->repair && common->n_words > 0)
		return verb_usage(common->verb, "--repair is for the whole volume");
	if (arguments->repair && strstr(common->target, "://") == NULL &&
		arguments->grace_ms < ONLINE_REPAIR_MIN_GRACE_MS)
		return verb_usage(
			common->verb, "to repair a mounted volume, --grace is at least 1h");
	return ADMIN_OK;
}

/* ---- while it runs */

static void clear_progress(struct answer *answer)
{
	if (answer->progress_stands)
		fputs("\r\033[K", stderr);
	answer->progress_stands = false;
}

static void show_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
	struct answer *answer = arg;
	uint64_t now_ms = clock_monotonic_ms();

	if (!answer->shows_progress || now_ms < answer->next_progress_ms)
		return;
	answer->next_progress_ms = now_ms + PROGRESS_PAUSE_MS;
	clear_progress(answer);
	fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64, phase, done, total > done ? total : done);
	(void)fflush(stderr);
	answer->progress_stands = true;
}

static void take_problem(void *arg, const struct fsck_problem *problem)
{
	static const char *const severities[] = {"error", "orphan", "note"};
	const char *severity = severities[problem->severity];
	struct answer *answer = arg;

	if (answer->json) {
		if (json_array_size(answer->problems) < LISTED_PROBLEMS_MAX)
			(void)json_array_append_new(answer->problems,
				json_pack("{s:s, s:s, s:s, s:b}", "severity", severity, "subject",
					problem->subject, "problem", problem->text, "repaired",
					problem->is_repaired));
		return;
	}
	clear_progress(answer);
	printf("%s: %s: %s%s\n", severity, problem->subject, problem->text,
		problem->is_repaired ? " (removed)" : "");
}

/* ---- the answer */

static int status_of(const struct fsck_figures *f)
{
	if (f->errors > 0 || f->orphans > f->repaired)
		return ERRORS_LEFT | (f->repaired > 0 ? REPAIRED : 0);
	return f->repaired > 0 ? REPAIRED : CLEAN;
}

static void print_json(const struct fsck_arguments *arguments, const struct answer *answer,
	const struct fsck_figures *f, int status)
{
	json_t *root = json_pack("{s:s, s:b, s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
				 "s:I, s:I, s:I, s:I, s:O}",
		"target", arguments->common.target, "clean", status == CLEAN, "deep",
		arguments->deep, "status", status, "segments", (json_int_t)f->segments, "parts",
		(json_int_t)f->parts, "checkpoints", (json_int_t)f->checkpoints, "bodies",
		(json_int_t)f->bodies, "accounts", (json_int_t)f->accounts, "files",
		(json_int_t)f->files, "read_bytes", (json_int_t)f->read_bytes, "young",
		(json_int_t)f->young, "errors", (json_int_t)f->errors, "orphans",
		(json_int_t)f->orphans, "repaired", (json_int_t)f->repaired, "notes",
		(json_int_t)f->notes, "problems", answer->problems);

	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

static void print_answer(const struct fsck_arguments *arguments, struct answer *answer,
	const struct fsck_figures *f, int status)
{
	char size[32];

	if (arguments->common.json) {
		print_json(arguments, answer, f, status);
		return;
	}
	printf("%" PRIu64 " segments, %" PRIu64 " parts, %" PRIu64 " checkpoints, %" PRIu64
	       " accounts, %" PRIu64 " files, %" PRIu64 " bodies (%s): %s read\n",
		f->segments, f->parts, f->checkpoints, f->accounts, f->files, f->bodies,
		arguments->deep ? "read and verified" : "looked for; --deep reads them",
		verb_size_text(f->read_bytes, size));
	if (f->young > 0)
		printf("%" PRIu64 " objects are named by nothing, but too young for orphans\n",
			f->young);
	if (status == CLEAN)
		printf("clean\n");
	else
		printf("%" PRIu64 " errors, %" PRIu64 " orphans, of which %" PRIu64
		       " were removed\n",
			f->errors, f->orphans, f->repaired);
}

static int check(const struct fsck_arguments *arguments, const struct bare_volume *volume)
{
	struct answer answer = {.json = arguments->common.json,
		.shows_progress = isatty(STDERR_FILENO) == 1,
		.problems = json_array()};
	struct fsck_options options = {.backend = volume->chain.backend,
		.volume = volume->uuid,
		.account_depth = volume->volume.account_depth,
		.parent_directory = arguments->state_directory,
		.accounts = arguments->common.words,
		.deep = arguments->deep,
		.repair = arguments->repair,
		.is_online = volume->is_mounted,
		.grace_ms = arguments->grace_ms,
		.stopping = interrupt_catch(),
		.problem = take_problem,
		.progress = show_progress,
		.arg = &answer};
	CLEANUP_FREE char *message = NULL;
	struct fsck_figures figures;
	int status, r = fsck_run(&options, &figures, &message);

	clear_progress(&answer);
	status = r < 0 ? NOT_DONE : status_of(&figures);
	if (r < 0)
		(void)verb_fail("%s", message != NULL ? message : strerror(-r));
	print_answer(arguments, &answer, &figures, status);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		(void)verb_fail("cannot write: %s", strerror(errno));
		status = NOT_DONE;
	}
	json_decref(answer.problems);
	return status;
}

static int open_and_check(const struct fsck_arguments *arguments)
{
	const struct verb_arguments *common = &arguments->common;
	int status = (int)check_arguments(arguments);
	struct bare_volume volume;

	if (status != ADMIN_OK)
		return status;
	status = (int)bare_volume_open(
		common->verb, common->target, common->backend_options, !arguments->repair, &volume);
	status = status == ADMIN_OK ? check(arguments, &volume) : NOT_DONE;
	bare_volume_close(&volume);
	return status;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	static const char *const wanted[] = {"URL or MOUNTPOINT", NULL};
	struct fsck_arguments arguments = {.common = {.verb = verb,
						   .wanted = wanted,
						   .takes_words = true,
						   .takes_backend_options = true},
		.grace_ms = DEFAULT_GRACE_MS};
	const struct verb_option options[] = {
		{.name = "deep", .flag = &arguments.deep},
		{.name = "grace", .take = parse_number_duration_ms, .value = &arguments.grace_ms},
		{.name = "repair", .flag = &arguments.repair},
		{.name = "state-dir", .text = &arguments.state_directory},
		{.name = NULL},
	};
	bool done;
	int status;

	arguments.common.options = options;
	status = (int)verb_parse(&arguments.common, argc, argv, &done);
	if (!done)
		status = open_and_check(&arguments);
	text_list_free(arguments.common.backend_options);
	return (enum admin_status)status;
}

const struct admin_verb verb_fsck = {
	.name = "fsck",
	.arguments = "[-o OPTIONS] [--deep] [--repair] [--grace DURATION] [--state-dir DIRECTORY] "
		     "[--json] URL|MOUNTPOINT [ACCOUNT...]",
	.summary = "Verifies a volume on its backend: journals, checkpoints, accounts, bodies.",
	.help = "  ACCOUNT...             only these; no orphans are looked for then\n"
		"  --deep                 reads and verifies all bodies, too; else it is looked\n"
		"                         whether they are there with a size that is possible\n"
		"  --repair               removes orphans: objects that nothing names\n"
		"  --grace DURATION       how much older than the newest change of the volume an\n"
		"                         orphan is at least (default 1h)\n"
		"  -o OPTIONS             options of the backend: mailfs-backends(7)\n"
		"  --state-dir DIRECTORY  room for what is fetched meanwhile (default: TMPDIR)\n"
		"  --json                 answer in JSON\n"
		"\n"
		"Of a MOUNTPOINT the daemon is asked to flush first.\n"
		"Exit status, as of fsck(8): 0 clean, 1 orphans were removed, 4 errors are left,\n"
		"5 both, 8 it could not be done to its end, 2 wrong use.\n",
	.run = run,
};
