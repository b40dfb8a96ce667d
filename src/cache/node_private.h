/*
 * node_private.h: what the parts of a node share. Only cache/ and fs/ include it.
 */
#ifndef MAILFS_CACHE_NODE_PRIVATE_H
#define MAILFS_CACHE_NODE_PRIVATE_H

#include <stdatomic.h>
#include "backends/backend.h"
#include "cache/account_table.h"
#include "cache/commit.h"
#include "cache/inode_cache.h"
#include "cache/inode_locks.h"
#include "cache/inode_refs.h"
#include "cache/node.h"
#include "cache/store.h"
#include "util/lock.h"

struct adoption;
struct backlog;
struct body_fetcher;
struct body_uploader;
struct body_evictor;
struct change_set;
struct object_reaper;
struct packer;
struct torn_writes;

enum node_backend_call { NODE_BACKEND_PUT, NODE_BACKEND_GET, NODE_BACKEND_REMOVE };
#define NODE_BACKEND_CALLS 3

struct node {
	struct backend *backend;
	struct store *store;
	struct commit *commit;
	struct change_set *changes; /* NULL: there is no journal */
	struct account_table *accounts;
	struct adoption *adoption;
	struct inode_cache *inodes;
	struct inode_locks *locks;
	struct inode_refs *refs;
	struct body_fetcher *fetcher;
	struct body_uploader *uploader;
	struct body_evictor *evictor;
	struct object_reaper *reaper;
	struct packer *packer; /* NULL: there is no journal */
	struct lock pack_lock; /* pack_live.h; behind the locks of inodes */
	struct torn_writes *torn_writes;
	struct node_replication replication; /* no functions: there is none */
	struct backlog *backlog;
	_Atomic bool is_fenced;
	enum node_ack ack;
	_Atomic uint64_t remote_waits;
	uint32_t account_depth;
	bool strict_sync;
	bool plain_puts;
	_Atomic uint64_t syncs_elided;
	/* Of the last call of each kind: one that works says nothing about the others. */
	_Atomic int backend_errors[NODE_BACKEND_CALLS];
};

/* The inode's record, from memory or the store. The caller holds its lock. -ENOENT. */
int node_load_inode(struct node *node, uint64_t ino, struct inode *ret);

#endif
