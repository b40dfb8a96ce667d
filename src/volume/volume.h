/*
 * volume.h: what `mailfs-admin format` fixes for ever: PREFIX/volume.json (doc/format-objects.md).
 *
 * Blocking. On failure *ret_message is a malloc()ed sentence for the user; the caller frees it.
 */
#ifndef MAILFS_VOLUME_VOLUME_H
#define MAILFS_VOLUME_VOLUME_H

#include <stdint.h>
#include "backends/backend.h"

#define VOLUME_FORMAT_VERSION 1
#define VOLUME_UUID_TEXT_BYTES 37
#define VOLUME_MAX_ACCOUNT_DEPTH 2

struct volume {
	char uuid[VOLUME_UUID_TEXT_BYTES]; /* canonical lower-case text */
	uint32_t format_version;
	uint32_t account_depth; /* 0 the whole tree, 1 /user, 2 /domain/user */
	int64_t created_ms;
};

/* -EEXIST: there is a volume already; -ENOTEMPTY: the prefix holds objects that are no volume. */
int volume_check_absent(struct backend *b, char **ret_message);

/* Writes volume.json with a new UUID, put-if-absent where the store can. The errors of
 * volume_check_absent(), which it calls. */
int volume_format(
	struct backend *b, uint32_t account_depth, struct volume *ret, char **ret_message);

/* -ENOENT: not formatted; -EPROTONOSUPPORT: a newer format; -EBADMSG: not a volume.json. */
int volume_open(struct backend *b, struct volume *ret, char **ret_message);

#endif
