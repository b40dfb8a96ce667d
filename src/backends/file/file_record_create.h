/*
 * file_record_create.h: the two ends of a record's life (file_record.h): its directory appears
 * whole, and goes whole. file_record_clear() and file_record_discard() are here as well.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_RECORD_CREATE_H
#define MAILFS_BACKENDS_FILE_FILE_RECORD_CREATE_H

#include "backends/file/file_internal.h"

/* Makes the record unless `name` exists: -EEXIST. Synced, but for `name` in parent_fd. */
int file_record_create(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version);

#endif
