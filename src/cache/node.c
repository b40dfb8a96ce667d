#include <config.h>
#include "cache/node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/adoption.h"
#include "cache/backlog.h"
#include "cache/body_evictor.h"
#include "cache/body_fetcher.h"
#include "cache/body_uploader.h"
#include "cache/change_set.h"
#include "cache/inode_remove.h"
#include "cache/node_private.h"
#include "cache/object_reaper.h"
#include "cache/packer.h"
#include "cache/replay.h"
#include "cache/torn_write.h"
#include "util/clock.h"
#include "util/log.h"

#define DEFAULT_CHANGES_BYTES (UINT64_C(64) << 20)
#define KEEP_LOG_BYTES (UINT64_C(256) << 20) /* log_scan.h */
#define DEFAULT_MEMORY_BYTES (UINT64_C(256) << 20)

/* What of the memory the decoded inodes get; the store has the rest. */
#define INODES_SHARE 4

int node_load_inode(struct node *node, uint64_t ino, struct inode *ret)
{
	struct key key = key_inode(ino);
	struct store_value value;
	int r;

	if (inode_cache_get(node->inodes, ino, ret))
		return 0;
	r = store_get(node->store, STORE_META, &key, &value);
	if (r < 0)
		return r;
	r = record_decode_inode(ino, value.data, value.size_bytes, ret);
	store_value_done(&value);
	if (r < 0)
		return r;
	ret->changed_lsn = inode_cache_evicted_lsn(node->inodes);
	inode_cache_put(node->inodes, ret);
	return 0;
}

static int make_parts(struct node *node, const struct node_options *o, uint64_t memory_bytes)
{
	node->commit = commit_new(node->store);
	node->accounts = account_table_new(node);
	node->adoption = adoption_new(node);
	node->backlog = backlog_new(node, o->backlog_bytes, o->backlog_age_ms);
	if (o->journal) {
		node->changes = change_set_new(o->changes_limit_bytes != 0 ? o->changes_limit_bytes
									   : DEFAULT_CHANGES_BYTES);
		if (node->changes == NULL)
			return -ENOMEM;
	}
	node->inodes = inode_cache_new(memory_bytes / INODES_SHARE);
	node->locks = inode_locks_new();
	node->refs = inode_refs_new();
	node->fetcher = body_fetcher_new(node);
	node->uploader = body_uploader_new(node, o->commit_interval_ms);
	node->evictor = body_evictor_new(node, o->cache_size_bytes);
	node->reaper = object_reaper_new(node);
	node->packer = o->journal ? packer_new(node) : NULL;
	node->torn_writes = torn_writes_new(node, o->torn_settle_ms);
	if (node->commit == NULL || node->accounts == NULL || node->adoption == NULL ||
		node->backlog == NULL || node->inodes == NULL || node->locks == NULL ||
		node->refs == NULL || node->fetcher == NULL || node->uploader == NULL ||
		node->evictor == NULL || node->reaper == NULL || node->torn_writes == NULL ||
		(o->journal && node->packer == NULL))
		return -ENOMEM;
	return 0;
}

/* In this order: what a crash left is cleared before anything new can refer to it. */
static int recover_and_start(struct node *node)
{
	int r = replay_recover(node);

	if (r == 0)
		r = adoption_recover(node->adoption);
	if (r == 0)
		r = body_evictor_recover(node->evictor);

	if (r == 0)
		r = object_reaper_start(node->reaper);
	if (r == 0)
		r = body_uploader_recover(node);
	if (r == 0)
		r = inode_remove_leftovers(node);
	if (r == 0)
		r = torn_writes_recover(node);
	if (r == 0)
		r = torn_writes_start(node->torn_writes);
	if (r == 0)
		r = body_evictor_start(node->evictor);
	if (r == 0)
		r = body_uploader_start(node->uploader);
	if (r == 0)
		r = packer_start(node->packer);
	return r;
}

int node_open(const struct node_options *o, struct node **ret, char **ret_message)
{
	uint64_t memory = o->memory_bytes ? o->memory_bytes : DEFAULT_MEMORY_BYTES;
	struct store_options store = {
		.directory = o->directory,
		.memory_bytes = memory - memory / INODES_SHARE,
		.keep_log_bytes = o->journal ? KEEP_LOG_BYTES : 0,
	};
	struct node *node = calloc(1, sizeof(*node));
	int r = -ENOMEM;

	*ret_message = NULL;
	if (node == NULL)
		return -ENOMEM;
	lock_init(&node->pack_lock);
	node->backend = o->backend;
	node->account_depth = o->account_depth;
	node->strict_sync = o->strict_sync;
	node->ack = o->ack;
	node->plain_puts = o->plain_puts;
	r = store_open(&store, &node->store, ret_message);
	if (r == 0)
		r = make_parts(node, o, memory);
	if (r == 0)
		r = recover_and_start(node);
	if (r < 0) {
		if (*ret_message == NULL)
			(void)!asprintf(ret_message, "cannot open the local store %s: %s",
				o->directory, strerror(-r));
		node_close(node);
		return r;
	}
	*ret = node;
	return 0;
}

static int backend_error(struct node *node)
{
	int error = 0;

	for (int i = 0; i < NODE_BACKEND_CALLS && error == 0; i++)
		error = atomic_load(&node->backend_errors[i]);
	return error;
}

void node_get_figures(struct node *node, struct node_figures *ret)
{
	struct commit_figures commits;
	struct body_uploader_figures uploads;
	struct body_fetcher_figures fetches;
	struct backlog_figures backlog;
	struct packer_figures packs;

	packer_get_figures(node->packer, &packs);
	commit_get_figures(node->commit, &commits);
	body_uploader_get_figures(node->uploader, &uploads);
	body_fetcher_get_figures(node->fetcher, &fetches);
	backlog_get_figures(node->backlog, &backlog);
	*ret = (struct node_figures){
		.commits = commits.syncs,
		.sync_requests = commits.waits + atomic_load(&node->syncs_elided) +
				 atomic_load(&node->remote_waits),
		.syncs_covered = commits.covered,
		.syncs_elided = atomic_load(&node->syncs_elided),
		.body_cache_bytes = body_evictor_local_bytes(node->evictor),
		.body_cache_limit_bytes = body_evictor_limit_bytes(node->evictor),
		.dirty_files = uploads.queued,
		.oldest_dirty_ms = uploads.oldest_ms,
		.objects_put = uploads.objects,
		.objects_put_bytes = uploads.objects_bytes,
		.objects_fetched = fetches.objects,
		.objects_fetched_bytes = fetches.objects_bytes,
		.objects_removed = object_reaper_removed(node->reaper),
		.packs_put = packs.packs,
		.packs_put_bytes = packs.packs_bytes,
		.bodies_packed = packs.bodies,
		.packs_rewritten = packs.rewritten,
		.bodies_evicted = body_evictor_evicted(node->evictor),
		.backend_error = backend_error(node),
		.store_error = commits.error,
		.free_disk_bytes = store_free_disk_bytes(node->store),
		.remote_waits = atomic_load(&node->remote_waits),
		.backlog_bytes = backlog.bytes,
		.backlog_age_ms = backlog.age_ms,
		.backlog_refused = backlog.refused,
		.backlog_is_full = backlog.is_full,
		.is_fenced = node_is_fenced(node),
	};
}

/* What is small; then what had to wait for that. */
static int pack_all(struct node *node, uint64_t deadline_ms)
{
	struct packer_options options = {.deadline_ms = deadline_ms, .only_dirty = true};
	struct packer_figures figures = {0};
	int r = packer_pack_all(node, &options, &figures);

	return r == 0 ? body_uploader_flush(node->uploader, deadline_ms) : r;
}

int node_flush(struct node *node, uint32_t timeout_ms)
{
	uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	int r = body_uploader_flush(node->uploader, deadline_ms);

	if (r == 0 && node->packer != NULL)
		r = pack_all(node, deadline_ms);
	if (r == 0)
		r = object_reaper_flush(node->reaper, deadline_ms);
	return r == 0 ? commit_now(node->commit) : r;
}

uint64_t node_account_bytes(struct node *node, uint32_t account)
{
	struct key from = key_account_begin(account);
	struct key to = key_account_end(account);

	return store_disk_bytes(node->store, STORE_META, &from, &to) +
	       store_disk_bytes(node->store, STORE_DATA, &from, &to);
}

int node_evict(struct node *node, uint64_t keep_bytes, uint64_t *ret_evicted_bytes)
{
	int r = body_evictor_shrink(node->evictor, keep_bytes, ret_evicted_bytes);

	if (r == 0 && *ret_evicted_bytes > 0)
		store_reclaim_soon(node->store);
	return r;
}

void node_set_replication(struct node *node, const struct node_replication *replication)
{
	node->replication = replication != NULL ? *replication : (struct node_replication){0};
	object_reaper_set_replication(node->reaper, &node->replication);
}

void node_fence(struct node *node)
{
	if (!atomic_exchange(&node->is_fenced, true))
		log_error("another node has taken over: everything here gives ESTALE from now on");
}

bool node_is_fenced(struct node *node)
{
	return atomic_load(&node->is_fenced);
}

void node_close(struct node *node)
{
	if (node == NULL)
		return;
	torn_writes_stop(node->torn_writes);
	packer_stop(node->packer);
	body_uploader_stop(node->uploader);
	body_evictor_stop(node->evictor);
	object_reaper_stop(node->reaper);
	body_fetcher_drain(node->fetcher);
	packer_free(node->packer);
	body_uploader_free(node->uploader);
	body_evictor_free(node->evictor);
	object_reaper_free(node->reaper);
	torn_writes_free(node->torn_writes);
	body_fetcher_free(node->fetcher);
	commit_free(node->commit);
	account_table_free(node->accounts);
	adoption_free(node->adoption);
	backlog_free(node->backlog);
	inode_cache_free(node->inodes);
	inode_locks_free(node->locks);
	inode_refs_free(node->refs);
	change_set_free(node->changes);
	store_close(node->store);
	lock_done(&node->pack_lock);
	free(node);
}
