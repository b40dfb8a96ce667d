/*
 * state_identity.h: state.json, which says whose state a directory holds.
 *
 *   {"format": "mailfs-state", "format_version": 2, "volume_uuid": "…", "node_uuid": "…",
 *    "incarnation": 1, "epoch": 0, "url": "…", "created": "2026-01-31T12:00:00Z"}
 */
#ifndef MAILFS_DAEMON_STATE_IDENTITY_H
#define MAILFS_DAEMON_STATE_IDENTITY_H

#include <stddef.h>
#include <stdint.h>
#include "util/uuid.h"

#define STATE_FORMAT_VERSION 2
#define STATE_IDENTITY_MAX_BYTES 16384

struct state_identity {
	uint32_t format_version;
	char volume_uuid[UUID_TEXT_BYTES];
	char node_uuid[UUID_TEXT_BYTES];
	uint64_t incarnation; /* of the node's journal, from 1 */
	uint64_t epoch;       /* the newest in which it has owned the volume; 0: it never did */
	char created[32];
	char *url;
};

/* A new node's identity; *ret is the caller's. -EIO without random numbers, -ENOMEM. */
int state_identity_new(const char *volume_uuid, const char *url, struct state_identity *ret);

/* The file's text, malloc()ed. -ENOMEM. */
int state_identity_format(const struct state_identity *identity, char **ret);

/* -EBADMSG: not the text of a state.json; -EPROTONOSUPPORT: of a newer format, and only
 * ret->format_version is set. */
int state_identity_parse(const char *text, size_t size_bytes, struct state_identity *ret);

void state_identity_done(struct state_identity *identity);

#endif
