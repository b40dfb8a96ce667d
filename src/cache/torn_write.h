/*
 * torn_write.h: appends that the kernel sends in two requests survive a crash whole or not at all.
 *
 * When an append begins in a page that the kernel has not read and crosses the page's end, Linux
 * sends it as two WRITE requests (fs/fuse/file.c, fuse_fill_write_pages(): it stops behind a page
 * that is not up to date). A log of Dovecot's that ends in half a record is damaged for it. So the
 * first half is noted in the store (KEY_NODE_TORN, with the size before), in the same batch; the
 * second deletes the note. What a crash leaves noted is cut off again: no write() had returned.
 *
 * A write that simply ends at a page's end looks like a first half. Its note goes when the thread
 * that wrote makes any other request, so that nothing it does later can survive without it; when
 * the file is changed, or anything in its account synced; and after TORN_WRITE_SETTLE_MS.
 */
#ifndef MAILFS_CACHE_TORN_WRITE_H
#define MAILFS_CACHE_TORN_WRITE_H

#include <stdint.h>
#include <sys/types.h>
#include "cache/node.h"
#include "cache/record.h"
#include "cache/transaction.h"

#define TORN_WRITE_SETTLE_MS 5

struct torn_writes;

/* settle_ms 0: TORN_WRITE_SETTLE_MS. */
struct torn_writes *torn_writes_new(struct node *node, uint64_t settle_ms);

/* Cuts off what a crash left; before anything else is done with the node's files. */
int torn_writes_recover(struct node *node);
int torn_writes_start(struct torn_writes *w);

/* Whether an append from old_size to new_size may be the first half of a longer one. */
bool torn_write_is_likely(uint64_t old_size_bytes, uint64_t new_size_bytes);

/* In the batch of the first half, with the inode's lock. */
void torn_write_note(struct transaction *t, uint64_t ino, uint64_t old_size_bytes);

/* After that batch was committed: the note is to go soon. `thread` wrote (0: not known). */
void torn_writes_expect(struct torn_writes *w, uint64_t ino, pid_t thread);

/* The thread makes another request: a write to written_ino, which may be the second half, or (0)
 * something else. Its notes but that go now. Takes inode locks. Cheap when there are none. */
void torn_writes_returned(struct torn_writes *w, pid_t thread, uint64_t written_ino);

/* In the batch of any later change of the inode, if it is noted. */
void torn_write_forget(struct transaction *t, uint64_t ino);

/* Deletes all notes of the account now: what was written is about to be acknowledged. Returns the
 * LSN that a commit must cover, or a note that is gone here could come back after a loss of power.
 * Takes inode locks. Cheap when there are none. A note that cannot be deleted is a failed write of
 * the store, which the commit that follows reports. */
uint64_t torn_writes_settle(struct torn_writes *w, uint32_t account);

/* Settles what is left and joins the thread. */
void torn_writes_stop(struct torn_writes *w);
void torn_writes_free(struct torn_writes *w);

#endif
