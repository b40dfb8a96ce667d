/*
 * tree_layout.h: how objects lie in a tree of files. The drivers for a mounted directory (file) and
 * for an NFS server without a mount (nfs) keep to it alike, so that one volume may be used through
 * both at the same time, from any number of machines.
 *
 * A key is a path below the root. An ordinary object is a file; it appears by LINK or RENAME of a
 * complete file on stable storage. Names that contain '+' are the drivers' own: TREE_TEMPORARY
 * below the root holds what is not finished yet, under names that nobody else uses.
 *
 * A record, an object for compare-and-swap, is a directory of generations:
 *
 *     <key>/+<incarnation>/<generation>
 *
 * <incarnation> is 16 random hex digits, <generation> a number in 16 hex digits; each generation is
 * a complete file that appeared by LINK. The highest one is the object; if it is a symbolic link,
 * the object was removed (a tombstone). A directory <key> that is empty is no object.
 *
 * Who may do what, with any number of processes on any number of machines:
 *
 *  create   RENAME of a prepared directory to <key>. That succeeds only where <key> is absent or
 *           an empty directory, so <key> never holds two incarnations.
 *  replace  LINK of a stable file to generation g+1. The server lets one process win. Nothing is
 *           locked or claimed, so a process that dies leaves either the new state or the old one.
 *  remove   SYMLINK as generation g+1. Nobody ever adds a generation behind a tombstone.
 *  clear    once there is a tombstone: RENAME of +<incarnation> into TREE_TEMPORARY, then RMDIR of
 *           <key>. The name is random and never used again, so a late clear cannot hit a later
 *           incarnation.
 *  forget   REMOVE of generations more than TREE_KEEP_GENERATIONS below the highest, always the
 *           lowest first, in a live or a cleared incarnation.
 *
 * Why compare-and-swap is safe. Only the holder of version (incarnation, g) links g+1.
 * (a) If g+1 exists, LINK fails: lost. (b) If g+1 never existed, LINK wins, once. (c) If g+1
 * existed and was forgotten, LINK would wrongly succeed; but then g had been forgotten before it,
 * lowest first. So the winner looks whether its own g, which it can tell from any other file that
 * might stand there, is still there AFTER the LINK: if it is, (c) cannot be. If it is not and the
 * new generation is the highest, (c) cannot be either, for a forgotten generation has higher ones
 * for ever. Else the answer is -EIO, "may or may not have taken place"; that takes a process that
 * slept during TREE_KEEP_GENERATIONS changes between two of its calls, and what it linked lies
 * below the highest generation, where nobody reads it. Neither clocks nor locks are involved.
 */
#ifndef MAILFS_BACKENDS_TREE_LAYOUT_H
#define MAILFS_BACKENDS_TREE_LAYOUT_H

#include "backends/backend.h"

#define TREE_FILE_MODE 0600
#define TREE_DIRECTORY_MODE 0700
#define TREE_TEMPORARY ".tmp+"
#define TREE_NAME_BYTES 256 /* of any name, with its NUL */
#define TREE_TOKEN_BYTES 17

/* What is older than this in TREE_TEMPORARY is removed by who opens the backend. */
#define TREE_LEFTOVER_AGE_MS 3600000

#define TREE_KEEP_GENERATIONS 64
#define TREE_MAX_FORGOTTEN (1U << 20) /* in one call */
#define TREE_TOMBSTONE "removed"
#define TREE_INCARNATION_BYTES 18 /* '+', 16 digits, NUL */
#define TREE_GENERATION_BYTES 17

/* The last part of a key. */
const char *tree_name_of(const char *key);

/* 16 random hex digits, which make a client's temporary names its own. -EIO. */
int tree_token_make(char ret[TREE_TOKEN_BYTES]);

void tree_temporary_name(
	const char token[TREE_TOKEN_BYTES], uint64_t number, char ret[TREE_NAME_BYTES]);

/* A new random one. -EIO. */
int tree_incarnation_make(char ret[TREE_INCARNATION_BYTES]);

bool tree_is_incarnation(const char *name);

void tree_generation_name(uint64_t generation, char ret[TREE_GENERATION_BYTES]);

/* False when the name is that of no generation. */
bool tree_generation_parse(const char *name, uint64_t *ret);

void tree_record_version(const char *incarnation, uint64_t generation, struct backend_version *ret);

/* Of an ordinary object: its inode, the time of its last change, its size. */
void tree_object_version(uint64_t inode, uint64_t seconds, unsigned long nanoseconds,
	uint64_t size_bytes, struct backend_version *ret);

#endif
