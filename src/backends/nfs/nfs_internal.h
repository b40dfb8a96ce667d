/*
 * nfs_internal.h: what the parts of the NFS driver share.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_INTERNAL_H
#define MAILFS_BACKENDS_NFS_NFS_INTERNAL_H

#include "backends/nfs/nfs_directory.h"
#include "backends/nfs/nfs_rpc.h"
#include "backends/nfs/nfs_settings.h"
#include "backends/tree_layout.h"

/* Of a server's addresses, the first that answers when the backend is opened is used. */
#define NFS_MAX_ADDRESSES 8

/* Attempts, when what one looks at changes or goes away under one's hands. */
#define NFS_MAX_ATTEMPTS 16

/* All but `base` and `loop` belongs to the loop's thread. */
struct nfs_backend {
	struct backend base; /* first */
	struct nfs_loop *loop;
	struct nfs_settings settings;
	char addresses[NFS_MAX_ADDRESSES][NFS_ADDRESS_BYTES]; /* of the server */
	size_t n_addresses, address;                          /* which one is used */
	struct nfs_export export;
	struct nfs_directories directories;
	char token[TREE_TOKEN_BYTES];
	uint64_t last_number; /* of temporary names */
	uint64_t mounted_ms;  /* when the root's handle was asked for last */
};

struct nfs_call;

/* Does a call. The result is completed by who called it, unless the function did. */
typedef int nfs_call_fn(struct nfs_task *task, struct nfs_call *call);

/* One call. The fields that it does not name are zero. */
struct nfs_call {
	struct queued_call queued; /* first */
	struct nfs_backend *nb;
	struct backend_call call;
	nfs_call_fn *run;
	const char *key;                    /* list: the prefix */
	const char *continuation;           /* list */
	const struct iovec *parts;          /* put */
	int n_parts;                        /* put */
	struct backend_condition condition; /* put */
	uint64_t offset;                    /* get */
	size_t size_bytes;                  /* get; list: how many entries */
	void *target;                       /* of the driver's own calls */
	struct backend_result result;
	char text[];
};

/* Sets the result's error and has the loop complete the call; the task goes on to clean up, and
 * must not use the call any more. */
void nfs_call_complete(struct nfs_task *task, struct nfs_call *call, int error);

/* The same, if the error is that its time is up: so that the caller does not wait for the cleaning.
 */
void nfs_call_give_up(struct nfs_task *task, struct nfs_call *call, int error);

/* A name in TREE_TEMPORARY that nobody else uses. */
void nfs_unique_name(struct nfs_backend *nb, char name[TREE_NAME_BYTES]);

/* Version and size of an ordinary object. */
void nfs_describe(const struct nfs_attributes *attributes, struct backend_result *ret);

/* Whether an error says that a directory's handle, or what was found by it, is out of date. */
bool nfs_is_stale(int error);

/* Each completes its call itself or gives its error. */
nfs_call_fn nfs_put, nfs_get, nfs_head, nfs_remove, nfs_list;

/* Asks the server for the root's handle: at most once in NFS_MOUNT_PAUSE_MS, else -EAGAIN. */
#define NFS_MOUNT_PAUSE_MS 2000
int nfs_mount_again(struct nfs_task *task, struct nfs_backend *nb);

#endif
