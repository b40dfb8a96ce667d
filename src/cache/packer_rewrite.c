/*
 * packer_rewrite.c: packs that are mostly dead, or small, become fewer.
 *
 * The index of a pack says which bodies were in it; the extents of these say what lives. Contents
 * are copied as they are stored, verified by their checksums.
 */
#include <config.h>
#include "cache/packer_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "util/checksum.h"
#include "util/failpoint.h"
#include "util/log.h"

/* Live contents that lie no further apart are fetched together, up to so much. */
#define GAP_BYTES (64U << 10)
#define FETCH_BYTES (4U << 20)
#define FIRST_FETCH_BYTES (64U << 10)

/* Of one account and one call; the others have their turn with the next. */
#define MAX_PACKS 256

/* What is to be recorded once the new pack is there. */
struct move {
	struct uuid from;
	struct pack_entry entry; /* as in the old pack */
};

struct rewrite {
	struct packing *packing;
	struct pack_put put; /* without a builder: none has begun */
	struct move moves[PACKER_MAX_BODIES];
	unsigned int n;
};

/* ---- which packs */

struct candidate {
	struct uuid pack;
	struct pack_record record;
	bool is_chosen;
};

static bool is_mostly_dead(const struct pack_record *r)
{
	return r->live_bytes < r->total_bytes / 2;
}

static bool is_small(const struct pack_record *r)
{
	return r->total_bytes < PACKER_SMALL_PACK_BYTES;
}

static int load_candidates(struct packing *p, struct candidate ret[MAX_PACKS], size_t *ret_n)
{
	struct key from = key_type(p->account, KEY_PACK), to = key_type(p->account, KEY_PACK + 1);
	struct store_iterator *it = store_iterator_new(p->node->store, STORE_META, &from, &to);
	size_t n = 0;
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && n < MAX_PACKS && store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes, value_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		const uint8_t *value = store_iterator_value(it, &value_bytes);
		struct candidate c = {.is_chosen = false};

		if (key_pack_uuid(key, key_bytes, &c.pack) &&
			record_decode_pack(value, value_bytes, &c.record) == 0 &&
			(is_mostly_dead(&c.record) || is_small(&c.record)))
			ret[n++] = c;
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	*ret_n = n;
	return r;
}

static bool choose(struct candidate *candidates, size_t n)
{
	size_t n_small = 0;
	bool any = false;

	for (size_t i = 0; i < n; i++)
		n_small += is_small(&candidates[i].record);
	for (size_t i = 0; i < n; i++) {
		struct candidate *c = &candidates[i];

		c->is_chosen = is_mostly_dead(&c->record) ||
			       (is_small(&c->record) && n_small >= PACKER_SMALL_PACKS);
		any = any || c->is_chosen;
	}
	return any;
}

/* ---- fetching */

static int load_index(struct packing *p, const struct uuid *pack, struct pack_index *ret)
{
	size_t bytes = FIRST_FETCH_BYTES, needed = 0;
	struct backend_result result;
	int r = -EAGAIN;

	for (int i = 0; i < 2 && r == -EAGAIN; i++) {
		r = pack_put_get(p, pack, 0, bytes, &result);
		if (r < 0)
			return r;
		r = pack_decode_index(
			result.data, result.data_size_bytes, p->account, pack, ret, &needed, NULL);
		backend_result_done(&result);
		bytes = needed;
	}
	return r == -EAGAIN ? -EBADMSG : r;
}

/* ---- recording */

static struct extent extent_of(const struct uuid *pack, const struct pack_entry *e)
{
	return (struct extent){
		.offset_bytes = e->offset_bytes,
		.size_bytes = e->raw_bytes,
		.object = *pack,
		.object_size_bytes = e->raw_bytes,
		.kind = OBJECT_PACK,
		.encoding = e->encoding,
		.stored_bytes = e->stored_bytes,
		.stored_offset_bytes = e->stored_offset_bytes,
		.checksum = e->raw_checksum,
	};
}

static int move_locked(struct rewrite *w, unsigned int i)
{
	struct node *node = w->packing->node;
	const struct move *m = &w->moves[i];
	struct extent old = extent_of(&m->from, &m->entry);
	struct extent new = extent_of(&w->put.id, pack_builder_entry(w->put.builder, i));
	uint64_t ino = key_ino_compose(w->packing->account, m->entry.ino);
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	r = body_map_move_content(&t, ino, &old, &new, w->put.total_bytes);
	if (r == 0)
		return transaction_commit(&t);
	transaction_abort(&t);
	return r == -ENOENT || r == -EBUSY ? 0 : r; /* dead, or it stays where it is */
}

static int move(struct rewrite *w, unsigned int i)
{
	uint64_t ino = key_ino_compose(w->packing->account, w->moves[i].entry.ino);
	struct inode_lock_set locks;
	int r;

	inode_locks_write(w->packing->node->locks, &ino, 1, &locks);
	r = move_locked(w, i);
	inode_locks_release(&locks);
	failpoint("rewrite.recorded");
	return r;
}

static int send(struct rewrite *w)
{
	int r, ended;

	if (w->put.builder == NULL)
		return 0;
	r = w->n == 0 ? -ECANCELED : pack_put_send(w->packing, &w->put);
	for (unsigned int i = 0; i < w->n && r == 0; i++)
		r = move(w, i);
	/* Once it is there, what was recorded of it counts. */
	ended = pack_put_end(w->packing, &w->put, w->put.total_bytes > 0 ? 0 : r);
	if (w->n == 0)
		r = 0;
	w->n = 0;
	return r < 0 ? r : ended;
}

/* ---- copying */

/* Whether an extent leads to it, and nothing dirty is in the way. */
static int is_live(struct packing *p, const struct uuid *pack, const struct pack_entry *e)
{
	uint64_t ino = key_ino_compose(p->account, e->ino);
	struct extent content = extent_of(pack, e);
	struct inode_lock_set locks;
	int r;

	inode_locks_read(p->node->locks, ino, &locks);
	r = body_map_can_move(p->node, ino, &content);
	inode_locks_release(&locks);
	return r;
}

static int add(struct rewrite *w, const struct uuid *pack, const struct pack_entry *e,
	const uint8_t *stored)
{
	int r = 0;

	if (checksum_64(stored, e->stored_bytes) != e->stored_checksum)
		return -EBADMSG;
	if (w->put.builder != NULL &&
		(w->n == PACKER_MAX_BODIES || pack_builder_size_bytes(w->put.builder) +
							      PACK_ENTRY_BYTES + e->stored_bytes >
						      PACKER_TARGET_BYTES))
		r = send(w);
	if (r == 0 && w->put.builder == NULL)
		r = pack_put_begin(w->packing, &w->put);
	if (r == 0)
		r = pack_builder_add_stored(w->put.builder, e, stored);
	if (r == 0)
		w->moves[w->n++] = (struct move){.from = *pack, .entry = *e};
	return r;
}

/* Fetches entries from the first up to but without the last, and adds those that live. */
static int copy_run(struct rewrite *w, const struct pack_index *index, const bool *live,
	uint32_t first, uint32_t end)
{
	const struct pack_entry *e = index->entries;
	uint64_t start = e[first].stored_offset_bytes;
	size_t bytes = (size_t)(e[end - 1].stored_offset_bytes + e[end - 1].stored_bytes - start);
	struct backend_result result;
	int r = pack_put_get(w->packing, &index->id, start, bytes, &result);

	if (r < 0)
		return r;
	if (result.data_size_bytes != bytes)
		r = -EBADMSG;
	for (uint32_t i = first; i < end && r == 0; i++) {
		if (!live[i])
			continue;
		r = add(w, &index->id, &e[i],
			(const uint8_t *)result.data + (e[i].stored_offset_bytes - start));
		w->packing->figures->copied_bytes += e[i].stored_bytes;
	}
	backend_result_done(&result);
	return r;
}

static bool belongs(const struct pack_index *index, uint32_t first, uint32_t end, uint32_t next)
{
	const struct pack_entry *e = index->entries;
	uint64_t last = e[end - 1].stored_offset_bytes + e[end - 1].stored_bytes;

	return e[next].stored_offset_bytes - last <= GAP_BYTES &&
	       e[next].stored_offset_bytes + e[next].stored_bytes - e[first].stored_offset_bytes <=
		       FETCH_BYTES;
}

static int copy_live(struct rewrite *w, const struct pack_index *index, const bool *live)
{
	uint32_t i = 0, end, next;
	int r = 0;

	while (i < index->n_entries && r == 0) {
		if (!live[i]) {
			i++;
			continue;
		}
		end = i + 1;
		for (next = end; next < index->n_entries && belongs(index, i, end, next); next++)
			end = live[next] ? next + 1 : end;
		r = copy_run(w, index, live, i, end);
		i = end;
	}
	return r;
}

static int copy_pack(struct rewrite *w, const struct uuid *pack)
{
	struct pack_index index = {0};
	bool *live = NULL;
	int r = load_index(w->packing, pack, &index), one;

	if (r == 0) {
		live = calloc(index.n_entries, sizeof(*live));
		r = live == NULL ? -ENOMEM : 0;
	}
	for (uint32_t i = 0; i < index.n_entries && r == 0; i++) {
		one = is_live(w->packing, pack, &index.entries[i]);
		live[i] = one > 0;
		r = one < 0 ? one : 0;
	}
	if (r == 0)
		r = copy_live(w, &index, live);
	if (r == 0)
		w->packing->figures->rewritten++;
	free(live);
	pack_index_done(&index);
	return r;
}

/* ---- */

/* Of a crash, or of another node: nothing leads to it, and nobody is at it. */
static int drop_pack(struct packing *p, const struct uuid *pack)
{
	struct pack_change change = {.pack = *pack};
	struct transaction t;
	int r = transaction_begin(p->node, &t);

	if (r < 0)
		return r;
	transaction_note_pack(&t, p->account, &change);
	return transaction_commit(&t);
}

static void say_damaged(const struct packing *p, const struct uuid *pack, int error)
{
	char id[UUID_TEXT_BYTES];

	uuid_format(pack, id);
	log_error("pack %s of account %u cannot be rewritten (%s): it stays", id, p->account,
		error == -ENOENT ? "it is missing on the backend" : "it is damaged");
}

static int rewrite_one(struct rewrite *w, const struct candidate *c)
{
	int r;

	if (c->record.live_bodies == 0)
		return drop_pack(w->packing, &c->pack);
	r = copy_pack(w, &c->pack);
	if (r != -EBADMSG && r != -ENOENT && r != -ERANGE)
		return r;
	say_damaged(w->packing, &c->pack, r);
	return 0;
}

int packer_rewrite(struct packing *p)
{
	struct candidate *candidates = calloc(MAX_PACKS, sizeof(*candidates));
	struct rewrite *w = calloc(1, sizeof(*w));
	size_t n = 0;
	int r = candidates == NULL || w == NULL ? -ENOMEM : load_candidates(p, candidates, &n);
	int sent;

	if (r == 0 && choose(candidates, n)) {
		w->packing = p;
		for (size_t i = 0; i < n && r == 0; i++) {
			if (candidates[i].is_chosen)
				r = rewrite_one(w, &candidates[i]);
		}
		sent = send(w);
		r = r == 0 ? sent : r;
	}
	free(candidates);
	free(w);
	return r;
}
