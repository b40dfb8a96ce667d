/*
 * file_open.h: the root directory of a file backend and its .tmp+.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_OPEN_H
#define MAILFS_BACKENDS_FILE_FILE_OPEN_H

#include "backends/file/file_internal.h"

/* Opens both, makes .tmp+, proves that files can be made, finds out about O_TMPFILE and removes old
 * leftovers. On failure a sentence for the user. */
int file_open_root(struct file_backend *fb, const char *path, char **ret_message);

#endif
