/*
 * dump.h: objects of a volume as JSON, for mailfs-admin dump.
 *
 * Each dump_…() fetches one object and prints it to standard output; blocking. Whatever is wrong
 * with the object is a problem: a sentence on standard error and in the JSON, and what could be
 * read is printed all the same. A negative result means that nothing could be: no such object, or
 * the backend's error.
 */
#ifndef MAILFS_ADMIN_DUMP_H
#define MAILFS_ADMIN_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "backends/backend.h"
#include "replication/position.h"
#include "util/uuid.h"

struct dump {
	struct backend *backend;
	const char *key;
	bool content;     /* of a body: that, raw, instead of JSON */
	bool records;     /* of sections and packs: what is in them, too */
	json_t *problems; /* sentences */
};

/* The object is volume.json; printed as it is. */
int dump_volume(struct dump *dump);

int dump_owner(struct dump *dump, uint64_t epoch);

int dump_body(struct dump *dump, const struct uuid *id);

int dump_pack(struct dump *dump, uint32_t account, const struct uuid *id);

/* part 0: the segment itself. */
int dump_segment(struct dump *dump, const struct position *position, uint16_t part);

int dump_checkpoint(struct dump *dump, uint32_t account, uint64_t number, uint16_t part);

/* ---- for these */

void dump_problem(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets fields of an object; a NULL object is left alone. Numbers that JSON programs could not hold,
 * and checksums, are texts. */
void dump_set_text(json_t *object, const char *name, const char *text);
void dump_set_number(json_t *object, const char *name, uint64_t value);
void dump_set_hex_number(json_t *object, const char *name, uint64_t value);
void dump_set_time(json_t *object, const char *name, int64_t ms);
void dump_set_uuid(json_t *object, const char *name, const struct uuid *uuid);

/* As `name` when it is UTF-8 without control characters, else in hex as `name`_hex. */
void dump_set_bytes(json_t *object, const char *name, const uint8_t *data, size_t size_bytes);
void dump_set_hex(json_t *object, const char *name, const uint8_t *data, size_t size_bytes);

#endif
