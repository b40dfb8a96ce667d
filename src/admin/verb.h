/*
 * verb.h: mailfs-admin's verbs: one file each, verb_<name>.c.
 *
 * A verb gets argv from its own name on, prints its answer to standard output and complaints to
 * standard error, and returns the exit status: ADMIN_OK, ADMIN_FAILED, ADMIN_USAGE.
 */
#ifndef MAILFS_ADMIN_VERB_H
#define MAILFS_ADMIN_VERB_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

enum admin_status {
	ADMIN_OK = 0,
	ADMIN_FAILED = 1,
	ADMIN_USAGE = 2,
};

struct admin_verb {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;   /* one line */
	const char *help;      /* the rest of --help, or NULL */
	enum admin_status (*run)(const struct admin_verb *verb, int argc, char **argv);
};

extern const struct admin_verb verb_format, verb_status, verb_flush, verb_evict, verb_metrics,
	verb_warm, verb_dump, verb_export, verb_restore, verb_fsck, verb_help;

/* All verbs, NULL at the end. */
extern const struct admin_verb *const admin_verbs[];

/* ---- for the verbs */

/* One option of a verb: a flag, a value that `take` understands (-EINVAL or -ERANGE when it does
 * not), or a text. What is not given keeps its value. The complaint goes behind the value that
 * `take` did not understand; without one that is "is no value for --NAME". */
struct verb_option {
	const char *name; /* NULL: the end of the list */
	bool *flag;       /* set when the option is given; may be NULL with a value */
	int (*take)(const char *text, uint64_t *ret);
	uint64_t *value;
	const char *complaint;
	const char **text; /* instead of `take`: the value as it is, in argv */
};

#define VERB_MAX_OPTIONS 8

/* What the command line of a verb has in common: [OPTIONS] TARGET [WORD...] and --json. */
struct verb_arguments {
	const struct admin_verb *verb;
	const struct verb_option *options; /* NULL: none but --json */
	const char *const *wanted;  /* what the words are that must be there, the target first;
				     * ends with NULL. NULL: a MOUNTPOINT alone */
	bool takes_words;           /* behind those */
	bool takes_backend_options; /* -o */
	bool json;
	const char *target;
	char **words; /* behind the target; of argv, ends with NULL */
	size_t n_words;
	char **backend_options; /* a list of text_list.h */
};

/* When *ret_done is set, the returned status is the verb's. The caller frees the options of the
 * backend in any case. */
enum admin_status verb_parse(
	struct verb_arguments *arguments, int argc, char **argv, bool *ret_done);

/* Complains about wrong use, with a hint; ADMIN_USAGE. */
enum admin_status verb_usage(const struct admin_verb *verb, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints "mailfs-admin: …"; ADMIN_FAILED. */
enum admin_status verb_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void verb_print_help(const struct admin_verb *verb);

/* Asks the daemon of arguments->target and waits at most timeout_ms. On success *ret_body is the
 * malloc()ed answer. A failure has been printed, with --json the daemon's own words too. */
enum admin_status verb_ask(const struct verb_arguments *arguments, const char *method,
	const char *path, const char *body, uint64_t timeout_ms, char **ret_body);

/* For answers in JSON: with --json prints the body as it is and sets *ret NULL, else *ret is the
 * object (json_decref() it). Frees the body. */
enum admin_status verb_take_json(const struct verb_arguments *arguments, char *body, json_t **ret);

/* As verb_ask() for long work, which answers in lines: shows how far it is on a terminal. On
 * success *ret is the result (json_decref() it). A failure has been printed. */
enum admin_status verb_work(const struct verb_arguments *arguments, const char *path,
	const json_t *request, json_t **ret);

/* Complains of each account that the result says it did not work for; ADMIN_FAILED if there are. */
enum admin_status verb_report_failures(
	const struct verb_arguments *arguments, const json_t *result);

/* {"accounts": the words behind the target}, or {} without words; NULL: they are not UTF-8, which
 * has been printed. */
json_t *verb_request(const struct verb_arguments *arguments);

/* Fields of an answer: 0 and "?" when there is none. */
uint64_t verb_number(const json_t *root, const char *name);
const char *verb_text(const json_t *root, const char *name);

/* "1.5 GiB", "3 h 12 min": `text` has 32 bytes. Returns it. */
const char *verb_size_text(uint64_t size_bytes, char *text);
const char *verb_duration_text(uint64_t ms, char *text);

#endif
