/* Random operations on one file, each result compared with a model in memory. */
#ifndef TESTS_POSIX_FSX_H
#define TESTS_POSIX_FSX_H

#include <stddef.h>
#include <stdint.h>

struct fsx_options {
	const char *path; /* must not exist; left in place */
	uint64_t seed;    /* the same seed does the same operations */
	unsigned int operations;
	size_t max_size;  /* of the file, bytes */
	size_t max_chunk; /* of one operation, bytes */
	const char
		*rename_to; /* NULL, or: from time to time the file changes between the two names */
};

/* Fails the case at the first difference, with the number of the operation and its seed. */
void fsx_run(const struct fsx_options *options);

#endif
