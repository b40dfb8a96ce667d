/*
 * body_uploader.h: puts the dirty parts of bodies on the backend, in the background.
 *
 * A body is uploaded once it has been dirty for the delay (so that mail which is deleted at once
 * never travels), in objects of at most BODY_MAP_OBJECT_MAX_BYTES. What was appended to a body that
 * is there already becomes an object of its own; objects of one body that lie side by side are
 * merged when the newer is not much smaller, so that a body grown by n appends was put about
 * log(n) times and consists of about log(n) objects.
 *
 * With a journal only long runs become objects here, as soon as one is full or has been quiet for
 * the delay; the journal has the others, until the packer (packer.h) takes them.
 *
 * Crash safety. Before an object is put, a durable KEY_NODE_PENDING record names it; the record
 * goes in the same batch that refers to the object. What a crash leaves pending is removed. A
 * failed put is tried again, with growing pauses; nothing dirty is ever dropped. A body that fails
 * waits alone and does not delay the others; when several fail one after the other, all wait.
 */
#ifndef MAILFS_CACHE_BODY_UPLOADER_H
#define MAILFS_CACHE_BODY_UPLOADER_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/node.h"

struct body_uploader;

struct body_uploader_figures {
	uint64_t queued; /* bodies with something dirty */
	uint64_t oldest_ms;
	uint64_t objects, objects_bytes; /* put so far */
};

struct body_uploader *body_uploader_new(struct node *node, uint64_t delay_ms);

/* After a crash no upload is running any more: what was in flight is dirty again. Queues all that
 * is dirty. Before anything else happens to the node. */
int body_uploader_recover(struct node *node);
int body_uploader_start(struct body_uploader *u);

/* There is something to upload of this body; `now`: without the delay. Does not block. */
void body_uploader_enqueue(struct body_uploader *u, uint64_t ino, bool now);

/* So long a hurried upload is waited for, at most: the journal has the blocks as well. */
#define BODY_UPLOADER_HURRY_MS 5000

/* With a journal: calls `done` when nothing large of the body is left that is not on the backend in
 * an object, and what the uploader was at has been recorded, or with the error of an attempt, which
 * goes on. Starts at once what waits for its delay. Before returning if there is nothing to do;
 * small runs are left to the journal and the packer. -ECANCELED: the node is being closed;
 * -ETIMEDOUT: it takes longer than BODY_UPLOADER_HURRY_MS, as with a body that grows and grows, and
 * goes on. At most as many wait as there are requests. */
typedef void body_uploader_done_fn(void *arg, int error);
void body_uploader_hurry(struct node *node, uint64_t ino, body_uploader_done_fn *done, void *arg);

/* The same for all bodies of the account, but for those whose last attempt failed: these wait for
 * their pause, and the journal has their blocks. `done` may be called from within. */
void body_uploader_hurry_account(
	struct node *node, uint32_t account, body_uploader_done_fn *done, void *arg);

/* For the packer: nobody else uploads anything of this body until it is released. False: the
 * uploader is at it, or will be. -ENOMEM counts as that. */
bool body_uploader_claim(struct body_uploader *u, uint64_t ino);
void body_uploader_release(struct body_uploader *u, uint64_t ino);

/* Uploads without delay until nothing is dirty; -ETIMEDOUT or the backend's error. */
int body_uploader_flush(struct body_uploader *u, uint64_t deadline_ms);

/* Nothing of the account is queued any more; what is being put has ended when it returns. -EBUSY at
 * the deadline: all is as before. Until the account has gone, nobody may change it. */
int body_uploader_drop(struct body_uploader *u, uint32_t account, uint64_t deadline_ms);
void body_uploader_get_figures(struct body_uploader *u, struct body_uploader_figures *ret);

/* Lets running puts end and joins the thread. */
void body_uploader_stop(struct body_uploader *u);
void body_uploader_free(struct body_uploader *u);

#endif
