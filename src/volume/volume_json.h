/*
 * volume_json.h: the text of volume.json (doc/format-objects.md). Pure.
 */
#ifndef MAILFS_VOLUME_VOLUME_JSON_H
#define MAILFS_VOLUME_VOLUME_JSON_H

#include <stddef.h>
#include "volume/volume.h"

#define VOLUME_JSON_MAX_BYTES 65536

/* A malloc()ed text that ends in a newline, or NULL without memory. */
char *volume_json_encode(const struct volume *volume);

/* Fields it does not know are ignored. -EPROTONOSUPPORT: a newer format; -EBADMSG: anything else
 * that is wrong; *ret_message says what. */
int volume_json_decode(const void *text, size_t size_bytes, struct volume *ret, char **ret_message);

#endif
