/*
 * file_record_state.h: looks at a record's directory (file_record.h).
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_RECORD_STATE_H
#define MAILFS_BACKENDS_FILE_FILE_RECORD_STATE_H

#include "backends/file/file_internal.h"

struct file_record_state {
	char incarnation[TREE_INCARNATION_BYTES]; /* "": the directory is empty or absent */
	int chain_fd;                             /* of +<incarnation>, or -1 */
	uint64_t lowest, highest;
	bool is_present; /* the highest generation is no tombstone */
	struct stat st;  /* of the highest generation */
};

/* 0; -ENOTDIR: there is an ordinary object; -EISDIR: there is an ordinary directory. An absent
 * directory is a success. */
int file_record_state_read(const struct file_backend *fb, int parent_fd, const char *name,
	struct file_record_state *ret);

void file_record_state_done(struct file_record_state *state);

/* The lowest and highest generation in the directory; both 0 when there is none. */
int file_record_range(int chain_fd, uint64_t *ret_lowest, uint64_t *ret_highest);

/* The one entry of a record's directory, "" when it is empty; -EISDIR when it is none. */
int file_record_incarnation(int record_fd, char ret[TREE_INCARNATION_BYTES]);

void file_record_version(
	const struct file_record_state *state, uint64_t generation, struct backend_version *ret);

#endif
