/*
 * directory.h: which sections are in an object, or in an object and its parts
 * (doc/format-objects.md).
 *
 * Entries are in ascending order of accounts; those of one account in the order in which their
 * records are to be applied. Pure: no I/O, no locks.
 */
#ifndef MAILFS_REPLICATION_DIRECTORY_H
#define MAILFS_REPLICATION_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "replication/position.h"
#include "replication/section.h"
#include "util/codec.h"

#define DIRECTORY_ENTRY_BYTES 80
#define DIRECTORY_MAX_ENTRIES 65536
#define DIRECTORY_MAX_PARTS 1024                       /* beside the segment itself */
#define DIRECTORY_MAX_OBJECT_BYTES (UINT64_C(4) << 30) /* of one object, everything included */

struct directory_entry {
	uint32_t account;
	uint16_t part;            /* 0: the section is in the object itself, else in this part */
	bool has_previous;        /* there is an earlier segment with changes of the account */
	struct position previous; /* and that is its position; else zeros */
	uint64_t offset_bytes;    /* from the beginning of the object or part; 0: not known yet */
	struct section_info section;
	const void *stored; /* while encoding: the caller's. NULL in what was decoded */
};

/* Zeros are an empty one. */
struct directory {
	struct directory_entry *entries; /* owned */
	uint32_t n_entries, capacity;
};

/* Appends. `previous` NULL: there is none. The section's stored content stays the caller's and must
 * live until the object that it goes into was put; its struct may go at once. -EINVAL: an account
 * smaller than the last one, or above POSITION_MAX_ACCOUNT, or the previous position is another
 * than in the account's last entry, or no section; -EFBIG above a ceiling; -ENOMEM. */
int directory_add(struct directory *directory, uint32_t account, uint16_t part,
	const struct position *previous, const struct section *section);

void directory_done(struct directory *directory);

/* The account's first entry, and how many it has: they follow each other. NULL: none. */
const struct directory_entry *directory_find(
	const struct directory *directory, uint32_t account, uint32_t *ret_n);

/* The highest part that an entry is in. */
uint16_t directory_last_part(const struct directory *directory);

uint32_t directory_count_part(const struct directory *directory, uint16_t part);

/* ---- for the formats of objects */

/* Sets the offsets of the sections of `part`, which follow each other from `from_bytes` on;
 * *ret_end_bytes is behind the last. -EFBIG above DIRECTORY_MAX_OBJECT_BYTES. */
int directory_place(
	struct directory *directory, uint16_t part, uint64_t from_bytes, uint64_t *ret_end_bytes);

void directory_encode_entry(struct encoder *e, const struct directory_entry *entry);

/* What a directory has to fit to. */
struct directory_frame {
	uint16_t part;               /* the number of the object that it stands in */
	uint16_t last_part;          /* others are from `part` to this; each has a section */
	uint64_t head_bytes;         /* where the sections of `part` begin */
	uint64_t part_header_bytes;  /* of the other parts */
	const struct position *self; /* what previous positions precede; NULL: there are none */
};

/* Decodes n entries. -EBADMSG, *ret_problem (NULL: not wanted) is a text that says what is wrong;
 * -ENOMEM. *ret_end_bytes: where the sections of the object end, which is its size. */
int directory_decode(const void *data, uint32_t n_entries, const struct directory_frame *frame,
	struct directory *ret, uint64_t *ret_end_bytes, const char **ret_problem);

#endif
