/*
 * file_record.h: objects for compare-and-swap, as directories of generations.
 *
 *     <key>/+<incarnation>/<generation>
 *
 * <incarnation> is 16 random hex digits, <generation> a number in 16 hex digits; each generation is
 * a complete file that appeared by link(). The highest one is the object; if it is a symbolic link,
 * the object was removed (a tombstone). A directory <key> that is empty is no object.
 *
 * Who may do what, with any number of processes on any number of machines:
 *
 *  create   rename() of a prepared directory to <key>. That succeeds only where <key> is absent or
 *           an empty directory, so <key> never holds two incarnations.
 *  replace  link() of a synced file to generation g+1. The server lets one process win. Nothing is
 *           locked or claimed, so a process that dies leaves either the new state or the old one.
 *  remove   symlink() as generation g+1. Nobody ever adds a generation behind a tombstone.
 *  clear    once there is a tombstone: rename() of +<incarnation> into .tmp+, then rmdir(<key>).
 * The name is random and never used again, so a late clear cannot hit a later incarnation. forget
 * unlink() of generations more than FILE_RECORD_KEEP below the highest, always the lowest first, in
 * a live or a cleared incarnation.
 *
 * Why compare-and-swap is safe. Only the holder of version (incarnation, g) links g+1.
 * (a) If g+1 exists, link() fails: lost. (b) If g+1 never existed, link() wins, once. (c) If g+1
 * existed and was forgotten, link() would wrongly succeed; but then g had been forgotten before it,
 * lowest first. So the winner looks whether its own g, known by its inode number and time while it
 * holds it open, is still there AFTER the link: if it is, (c) cannot be. If it is not and the new
 * generation is the highest, (c) cannot be either, for a forgotten generation has higher ones for
 * ever. Else the answer is -EIO, "may or may not have taken place"; that takes a process that slept
 * during FILE_RECORD_KEEP changes between two of its system calls, and what it linked lies below
 * the highest generation, where nobody reads it. Neither clocks nor locks are involved.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_RECORD_H
#define MAILFS_BACKENDS_FILE_FILE_RECORD_H

#include "backends/file/file_internal.h"

#define FILE_RECORD_KEEP 64
#define FILE_RECORD_MAX_FORGOTTEN (1U << 20) /* in one call */

/* In all of these `parent_fd` is the directory that holds the record, `name` its name there. */

/* Puts a record. -EEXIST, -ESTALE, -EOPNOTSUPP (there is an ordinary object), -EISDIR (there is an
 * ordinary directory). Durable once parent_fd is synced. */
int file_record_put(struct file_backend *fb, int parent_fd, const char *name,
	const struct blocking_request *request, struct backend_version *ret_version);

/* Opens the current generation for reading: an fd, -ENOENT, -ENOTDIR (an ordinary object). */
int file_record_open(const struct file_backend *fb, int parent_fd, const char *name,
	struct backend_version *ret_version);

/* Removes it and its directory. Success also when there is none; -EISDIR. */
int file_record_remove(struct file_backend *fb, int parent_fd, const char *name);

/* Removes what is left of a removed record: 0 if `name` is free now, -EEXIST if there is a living
 * record, -EISDIR if there is an ordinary directory. */
int file_record_clear(struct file_backend *fb, int parent_fd, const char *name);

/* Removes a cleared incarnation or an unfinished record from .tmp+. */
void file_record_discard(int temporary_fd, const char *name);

#endif
