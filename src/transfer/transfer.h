/*
 * transfer.h: copies a tree out of a filesystem of ours into a sink: names, content with its holes,
 * owners, modes, times, extended attributes, symlinks, hard links.
 *
 * Nobody may change the source meanwhile. What fails is told and left out (a file whose content
 * cannot be had is not there at all, rather than half), and the rest goes on. The content of many
 * files is copied at the same time, so that bodies that are on the backend come in parallel.
 *
 * The tree is walked twice: first everything is made, then directories get their attributes, and
 * hard links are made. Memory: TRANSFER_THREADS buffers, a path for each file that has several
 * names, and 16 bytes for each that failed.
 */
#ifndef MAILFS_TRANSFER_TRANSFER_H
#define MAILFS_TRANSFER_TRANSFER_H

#include <stdatomic.h>
#include "fs/fs.h"
#include "transfer/sink.h"

#define TRANSFER_THREADS 32
#define TRANSFER_QUEUE 64 /* files that are made and wait for their content */
#define TRANSFER_BUFFER_BYTES (1U << 20)
#define TRANSFER_MAX_DEPTH 256

/* What could not be done with a file or directory. One call at a time. */
struct transfer_problem {
	const char *path; /* from the top */
	const char *what; /* never freed */
	int error;
	bool is_at_source; /* it cannot be had; else the sink does not take it */
};
typedef void transfer_problem_fn(void *arg, const struct transfer_problem *problem);

struct transfer_options {
	struct fs *source;
	uint64_t directory;  /* all below it */
	bool within_account; /* other accounts' directories are left out */
	struct sink *sink;
	transfer_problem_fn *problem;
	void *arg;
	const atomic_bool *stopping; /* NULL: never; set: -ECANCELED soon */
};

struct transfer_figures {
	uint64_t files, directories, links, others; /* that were made */
	uint64_t bytes;                             /* of content */
	uint64_t problems;
};

/* Blocks. 0 also when there were problems; -ECANCELED; -ENOMEM; errors of the sink as a whole (it
 * cannot be made durable). On success all of it is durable. */
int transfer_run(const struct transfer_options *options, struct transfer_figures *ret);

#endif
