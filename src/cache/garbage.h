/*
 * garbage.h: the records of objects that are to be removed, or are being put. For object_reaper.c.
 */
#ifndef MAILFS_CACHE_GARBAGE_H
#define MAILFS_CACHE_GARBAGE_H

#include "backends/backend.h"
#include "cache/key.h"
#include "cache/node.h"
#include "cache/record.h"

#define GARBAGE_BATCH 64

struct garbage {
	struct uuid object;
	struct object_record record;
};

/* A scan over the records of a type that names objects. */
struct garbage_scan {
	enum key_type type;
	struct key next;     /* where it goes on */
	const char *damaged; /* what to say of a damaged record; NULL: nothing */
};

/* From the first. */
struct garbage_scan garbage_scan(enum key_type type, const char *damaged);

/* The next records; fewer than GARBAGE_BATCH: there are no more. Errors of the store. */
int garbage_load(struct node *node, struct garbage_scan *scan, struct garbage ret[GARBAGE_BATCH],
	unsigned int *ret_n);

void garbage_key(const struct garbage *g, char key[BACKEND_KEY_MAX_BYTES]);

/* After a crash: nobody is putting any more what is pending. */
int garbage_condemn_pending(struct node *node);

#endif
