/*
 * pack_put.c: a pack on its way to the backend: pending, put, recorded.
 */
#include <config.h>
#include "cache/packer_private.h"

#include <errno.h>
#include "cache/node_private.h"
#include "cache/transaction.h"
#include "util/clock.h"
#include "util/failpoint.h"

#define LOOK_MS 100

/* A pack gets its time by its size, on a slow line. */
#define SLOWEST_BYTES_PER_MS 32

int packing_check(struct packing *p)
{
	if (atomic_load(p->node_is_stopping) ||
		(p->options->stopping != NULL && atomic_load(p->options->stopping)))
		return -ECANCELED;
	if (p->options->deadline_ms != 0 && clock_monotonic_ms() >= p->options->deadline_ms)
		return -ETIMEDOUT;
	return 0;
}

int packing_pace(struct packing *p, uint64_t bytes)
{
	uint64_t now_ms = clock_monotonic_ms();
	int r = packing_check(p);

	if (p->options->rate_bytes_per_s == 0)
		return r;
	while (r == 0 && now_ms < p->not_before_ms) {
		uint64_t left_ms = p->not_before_ms - now_ms;

		clock_sleep_ms(left_ms < LOOK_MS ? (uint32_t)left_ms : LOOK_MS);
		now_ms = clock_monotonic_ms();
		r = packing_check(p);
	}
	p->not_before_ms = now_ms + bytes * 1000 / p->options->rate_bytes_per_s;
	return r;
}

int pack_put_begin(struct packing *p, struct pack_put *ret)
{
	struct pack_put put = {.builder = NULL};
	int r = uuid_generate(&put.id);

	if (r == 0)
		put.builder = pack_builder_new(p->account, &put.id);
	if (r == 0 && put.builder == NULL)
		r = -ENOMEM;
	if (r == 0)
		*ret = put;
	return r;
}

/* Nothing is on the backend that is not named here, durably. */
static int note_pending(struct packing *p, struct pack_put *put)
{
	struct transaction t;
	int r = transaction_begin(p->node, &t);

	if (r < 0)
		return r;
	transaction_put_pending(&t, p->account, OBJECT_PACK, &put->id);
	r = transaction_commit(&t);
	put->is_pending = r == 0;
	return r == 0 ? commit_now(p->node->commit) : r;
}

/* ---- calls that are waited for */

struct answer {
	struct lock lock;
	struct lock_condition answered;
	bool is_answered;             /* protected by lock, as is the next */
	struct backend_result result; /* then the waiter's */
};

static void answered(struct backend_result *result, void *arg)
{
	struct answer *a = arg;

	lock_acquire(&a->lock);
	a->is_answered = true;
	a->result = *result;
	*result = (struct backend_result){.error = result->error};
	lock_condition_signal(&a->answered);
	lock_release(&a->lock);
}

static struct backend_call begin_call(struct answer *a, size_t size_bytes)
{
	*a = (struct answer){.is_answered = false};
	lock_init(&a->lock);
	lock_condition_init(&a->answered);
	return (struct backend_call){
		.priority = BACKEND_BACKGROUND,
		.timeout_ms =
			BACKEND_DEFAULT_TIMEOUT_MS + (uint32_t)(size_bytes / SLOWEST_BYTES_PER_MS),
		.done = answered,
		.arg = a,
	};
}

static struct backend_result end_call(struct answer *a)
{
	struct backend_result result;

	lock_acquire(&a->lock);
	while (!a->is_answered)
		lock_condition_wait(&a->answered, &a->lock);
	result = a->result;
	lock_release(&a->lock);
	lock_condition_done(&a->answered);
	lock_done(&a->lock);
	return result;
}

static int put_wait(struct packing *p, const char *key, struct iovec parts[PACK_BUILDER_PARTS])
{
	/* The id of a pack is random: the condition is a second line of defence. */
	struct backend_condition condition = {
		.type = p->node->plain_puts ? BACKEND_ALWAYS : BACKEND_IF_ABSENT};
	struct backend_result result;
	struct answer a;
	struct backend_call call = begin_call(&a, parts[0].iov_len + parts[1].iov_len);

	backend_put(p->node->backend, key, parts, PACK_BUILDER_PARTS, &condition, &call);
	result = end_call(&a);
	backend_result_done(&result);
	return result.error;
}

int pack_put_get(struct packing *p, const struct uuid *pack, uint64_t offset_bytes, size_t bytes,
	struct backend_result *ret)
{
	char key[PACK_KEY_BYTES];
	struct backend_call call;
	struct answer a;
	int r = packing_pace(p, bytes);

	if (r < 0)
		return r;
	pack_key(p->account, pack, key);
	call = begin_call(&a, bytes);
	backend_get(p->node->backend, key, offset_bytes, bytes, &call);
	*ret = end_call(&a);
	atomic_store(&p->node->backend_errors[NODE_BACKEND_GET], ret->error);
	return ret->error;
}

int pack_put_send(struct packing *p, struct pack_put *put)
{
	struct iovec parts[PACK_BUILDER_PARTS];
	char key[PACK_KEY_BYTES];
	uint64_t bytes = pack_builder_size_bytes(put->builder);
	int r = pack_builder_finish(put->builder, parts);

	if (r == 0)
		r = packing_pace(p, bytes);
	if (r == 0)
		r = note_pending(p, put);
	if (r < 0)
		return r;
	failpoint("pack.noted");
	pack_key(p->account, &put->id, key);
	r = put_wait(p, key, parts);
	atomic_store(&p->node->backend_errors[NODE_BACKEND_PUT], r);
	failpoint("pack.put");
	if (r < 0)
		return r;
	put->total_bytes = pack_builder_content_bytes(put->builder);
	p->figures->packs++;
	p->figures->packs_bytes += bytes;
	return 0;
}

int pack_put_end(struct packing *p, struct pack_put *put, int error)
{
	struct key pending = key_node_uuid(KEY_NODE_PENDING, &put->id);
	struct pack_change change = {.pack = put->id, .is_complete = true};
	struct transaction t;
	int r;

	if (put->builder == NULL)
		return 0;
	pack_builder_free(put->builder);
	put->builder = NULL;
	if (!put->is_pending)
		return 0;
	r = transaction_begin(p->node, &t);
	if (r < 0)
		return r;
	if (error == 0) {
		transaction_note_pack(&t, p->account, &change);
	} else {
		transaction_delete(&t, STORE_META, &pending);
		transaction_put_unused(&t, p->account, OBJECT_PACK, &put->id);
	}
	r = transaction_commit(&t);
	failpoint("pack.complete");
	return r;
}
