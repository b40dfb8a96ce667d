/*
 * park.h: requests for accounts that are not here wait without a thread (cache/adoption.h).
 *
 * A request is looked at before libfuse sees it: while the account of its inode is on the backend
 * only, a copy of the request waits, and is served when the account has come, by one of
 * PARK_THREADS threads (`mfs-park`), or answered with an error when it cannot be loaded: ESTALE if
 * it has moved to another node, ENOTCONN at the end of the session, ENOMEM above a ceiling of the
 * waits, otherwise EIO. A handler that meets another account behind a name does the same by
 * answering -EINPROGRESS (reply.c).
 *
 * LOOKUP is answered without the account (fs_lookup()), since the kernel holds the directory for
 * it. RENAME and RMDIR of an account's own directory wait and hold the directory above.
 *
 * While the backend is behind (cache/backlog.h), what needs room waits in the same way for a little
 * while before it is made.
 *
 * FORGET never waits. One whose program is being killed gets EINTR; other signals wait with it.
 */
#ifndef MAILFS_FUSE_PARK_H
#define MAILFS_FUSE_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Above these the thread that received the next one waits until there is room. */
#define PARK_MAX_REQUESTS 4096
#define PARK_MAX_BYTES (UINT64_C(64) << 20)
#define PARK_THREADS 2

struct fuse_buf;
struct park;
struct session;

struct park *park_new(struct session *s);
int park_start(struct park *park);

/* Serves the request or parks a copy. */
void park_serve(struct park *park, const struct fuse_buf *buffer);

/* All that wait are answered. Nobody calls park_serve() any more. */
void park_stop(struct park *park);
void park_free(struct park *park); /* NULL is allowed */

/* By handlers: the names that the request is about (the second may be NULL), as long as it runs. */
void park_note_names(uint64_t parent, const char *name, uint64_t new_parent, const char *new_name);

/* The request that this thread serves is to be made again. False: it serves none, which cannot be.
 */
bool park_repeat(void);

/* How many wait now. */
uint64_t park_count(struct park *park);

#endif
