/*
 * tree_listing.h: keys in byte order, out of directories (tree_layout.h).
 *
 * A directory `a` holds keys that begin with "a/", which sort behind "a-b"; if it is a record it is
 * the key "a", which sorts before. So each directory stands twice in the sorted names: as "a" and
 * as "a/". A page reads again each directory on the way to where it begins, and no other.
 *
 * A driver reads a directory into struct tree_names, sorts them, and visits each: a name with a '/'
 * at its end by going down, any other by tree_listing_add().
 */
#ifndef MAILFS_BACKENDS_TREE_LISTING_H
#define MAILFS_BACKENDS_TREE_LISTING_H

#include "backends/backend.h"

struct tree_listing {
	const char *prefix;
	const char *after; /* "": from the beginning */
	size_t max_entries;
	struct backend_result *result;       /* gets entries and continuation */
	char key[BACKEND_KEY_MAX_BYTES + 2]; /* of the directory at hand, with its '/', or "" */
	bool is_full;
};

struct tree_name {
	char *name; /* that of a directory comes once with and once without a '/' at its end */
	bool is_directory;
	uint64_t size_bytes; /* what the driver set for a file */
	int64_t modified_ms;
};

struct tree_names {
	struct tree_name *names;
	size_t n, capacity;
};

/* Begins in the directory that holds all keys with this prefix. The strings stay the caller's. */
void tree_listing_init(struct tree_listing *l, const char *prefix, const char *continuation,
	size_t max_entries, struct backend_result *result);

/* Whether the name can be part of a key; if not, it is nobody's object. */
bool tree_listing_is_key_name(const struct tree_listing *l, const char *name);

/* Adds the name, or both names of a directory, as far as keys below it are wanted. -ENOMEM. */
int tree_names_add(
	struct tree_names *names, const struct tree_listing *l, const struct tree_name *template);

/* Adds this one as it is. -ENOMEM. */
int tree_names_keep(struct tree_names *names, const struct tree_name *template);

/* Sorts, and leaves out what is there twice. */
void tree_names_sort(struct tree_names *names);
void tree_names_done(struct tree_names *names);

/* Goes down to the directory `name`, which has a '/' at its end: what tree_listing_leave() wants.
 */
size_t tree_listing_enter(struct tree_listing *l, const char *name);
void tree_listing_leave(struct tree_listing *l, size_t size);

/* There is an object of this name in the directory at hand. Sets is_full, and the continuation,
 * when the page has no place for it. -ENOMEM. */
int tree_listing_add(
	struct tree_listing *l, const char *name, uint64_t size_bytes, int64_t modified_ms);

#endif
