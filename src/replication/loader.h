/*
 * loader.h: brings accounts to this node that are on the backend only (cache/adoption.h).
 *
 * Has a catalogue of the backend, read when it is needed first, and a restore that works from it.
 * After accounts have left this node (loader_expire()) it is read anew by the first load; and an
 * account of which it does not know enough (what it names was removed since) is looked for in a
 * newer one, once, at most every LOADER_RELOAD_MS.
 */
#ifndef MAILFS_REPLICATION_LOADER_H
#define MAILFS_REPLICATION_LOADER_H

#include "replication/catalogue.h"
#include "replication/restore.h"

#define LOADER_RELOAD_MS 10000
#define LOADER_MAX_REQUESTS 65536

struct loader;

struct loader_options {
	struct node *node;
	struct backend *backend;
	struct uuid volume;
};

/* Starts its thread, `mfs-loader`. */
int loader_new(const struct loader_options *options, struct loader **ret);

/* Reads the catalogue, unless there is one. Blocks. *ret_message as catalogue_load()'s. The
 * catalogue lives until loader_free(). For the time before the first load. */
int loader_get_catalogue(struct loader *loader, const struct catalogue **ret, char **ret_message);

/* Accounts leave this node: from now on loads begin with a catalogue that is read later than this.
 * A catalogue from before would bring them back as they were then. */
void loader_expire(struct loader *loader);

/* Begins to load; adoption_finish() follows exactly once, also when this returns an error has
 * happened. From any thread, with no lock of the node. */
void loader_load(struct loader *loader, uint32_t account, enum backend_priority priority);

/* Why the last load failed, if there was more to say than the error: malloc()ed, the caller's; or
 * NULL. */
char *loader_take_problem(struct loader *loader);

/* The priority of loads that adoption_wait() begins in this thread: BACKEND_READER unless set. So
 * that who warms accounts does not get before who waits. Its load keeps that when a reader joins
 * it: warm fewer at a time than RESTORE_DEFAULT_THREADS. */
void loader_set_thread_priority(enum backend_priority priority);
enum backend_priority loader_thread_priority(void);

/* Ends what runs with -ECANCELED; new ones get that at once. Then loader_free(). NULL is allowed.
 */
void loader_stop(struct loader *loader);
void loader_free(struct loader *loader);

#endif
