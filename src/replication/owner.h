/*
 * owner.h: who owns the volume: records `owner/<epoch>` on the backend (doc/format-objects.md).
 *
 * Each claim is a record of its own with the next epoch, put if absent: of several who claim at the
 * same time one wins. The newest epoch is the owner. A claim alone stops nobody: who has claimed
 * ends the journals of all before him (takeover.h), and reads only then. No clock decides anything.
 */
#ifndef MAILFS_REPLICATION_OWNER_H
#define MAILFS_REPLICATION_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"
#include "util/uuid.h"

#define OWNER_FORMAT_VERSION 1
#define OWNER_BYTES 96
#define OWNER_KEY_BYTES 24 /* with the NUL */
#define OWNER_PREFIX "owner/"

/* How many records stay; older ones are removed by the next owner. */
#define OWNER_KEPT 8

struct owner {
	struct uuid volume;
	uint64_t epoch; /* from 1 */
	struct uuid node;
	uint64_t incarnation; /* from 1 */
	struct uuid nonce;    /* random: no two claims are alike, also of copies of one node */
	int64_t created_ms;   /* since 1970; for people */
};

/* ---- the format; pure */

void owner_key(uint64_t epoch, char key[OWNER_KEY_BYTES]);
bool owner_parse_key(const char *key, uint64_t *ret_epoch);
void owner_encode(const struct owner *owner, uint8_t data[OWNER_BYTES]);

/* -EBADMSG: it is no record of this epoch; *ret_problem (NULL: not wanted) is a text, never freed.
 */
int owner_decode(const void *data, size_t size_bytes, uint64_t epoch, struct owner *ret,
	const char **ret_problem);

/* For showing what may be damaged: what the fields say. False: it is too short. */
bool owner_peek(const void *data, size_t size_bytes, struct owner *ret, uint16_t *ret_version);

/* ---- the records; all block. *ret_message: malloc()ed sentence for the user. */

/* All records, by epoch; malloc()ed, also when there are none. -EBADMSG: one is damaged, or of
 * another volume. */
int owner_list(struct backend *backend, const struct uuid *volume, struct owner **ret,
	size_t *ret_n, char **ret_message);

/* The newest. -ENOENT: nobody owns the volume. */
int owner_find(
	struct backend *backend, const struct uuid *volume, struct owner *ret, char **ret_message);

/* Becomes the owner of `epoch`: node and incarnation of *owner, the rest is set here. -EEXIST:
 * somebody was faster. With plain_puts the store does not keep the promise of put-if-absent, and
 * who looks last wins. */
int owner_claim(struct backend *backend, struct owner *owner, bool plain_puts, char **ret_message);

/* What a node is to the newest record (NULL: there is none). `epoch`: the newest that it has
 * owned, 0: none. */
enum owner_relation {
	OWNER_MINE,
	OWNER_CLAIMABLE,  /* the node may claim the next epoch */
	OWNER_SUPERSEDED, /* it was the owner, and another is */
};
enum owner_relation owner_relate(
	const struct owner *newest, const struct uuid *node, uint64_t incarnation, uint64_t epoch);

#endif
