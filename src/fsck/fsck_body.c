#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/pack.h"
#include "util/cleanup.h"

#define QUEUE 64
#define MAX_OBJECT_BYTES                                                   \
	(PACK_MAX_BYTES > BODY_OBJECT_HEADER_BYTES + BODY_OBJECT_MAX_BYTES \
			? PACK_MAX_BYTES                                   \
			: BODY_OBJECT_HEADER_BYTES + BODY_OBJECT_MAX_BYTES)

struct body {
	struct fsck *fsck;
	struct fsck_reference reference;
	const struct fsck_piece *pieces; /* of a pack: those that lead into it */
	size_t n_pieces;
};

void fsck_body_reference(uint32_t account, const struct extent *extent, struct fsck_reference *ret)
{
	*ret = (struct fsck_reference){.account = account,
		.kind = extent->kind == OBJECT_PACK ? FSCK_PACK : FSCK_BODY,
		.object = extent->object};
}

/* A body is stored as it is or smaller, and nothing as nothing. */
bool fsck_body_size_fits(uint64_t object_bytes, const struct extent *extent)
{
	uint64_t raw_bytes = extent->object_size_bytes;

	if (extent->kind == OBJECT_PACK)
		return extent->stored_offset_bytes <= object_bytes &&
		       extent->stored_bytes <= object_bytes - extent->stored_offset_bytes;
	return object_bytes <= BODY_OBJECT_HEADER_BYTES + raw_bytes &&
	       (object_bytes > BODY_OBJECT_HEADER_BYTES ||
		       (raw_bytes == 0 && object_bytes == BODY_OBJECT_HEADER_BYTES));
}

/* ---- one object */

static void check_body(struct body *body, const char *key, const struct backend_result *object)
{
	const char *problem = "there is no memory for it";
	struct body_object_header header;
	CLEANUP_FREE void *data = NULL;
	size_t size_bytes;

	if (body_object_inspect(object->data, object->data_size_bytes, &body->reference.object,
		    &header, &problem, &data, &size_bytes) < 0)
		fsck_problem(body->fsck, FSCK_ERROR, key, "%s", problem);
}

/* Whether the pack has this content there. */
static bool has_content(const struct backend_result *object, uint64_t offset, uint32_t stored_bytes,
	uint8_t encoding, uint64_t raw_bytes, uint64_t checksum)
{
	CLEANUP_FREE void *data = NULL;

	return offset <= object->data_size_bytes &&
	       stored_bytes <= object->data_size_bytes - offset &&
	       pack_decode_content((const uint8_t *)object->data + offset, stored_bytes, encoding,
		       raw_bytes, checksum, &data) == 0;
}

static void check_entries(struct body *body, const char *key, const struct pack_index *index,
	const struct backend_result *object)
{
	for (uint32_t i = 0; i < index->n_entries; i++) {
		const struct pack_entry *e = &index->entries[i];

		if (!has_content(object, e->stored_offset_bytes, e->stored_bytes, e->encoding,
			    e->raw_bytes, e->raw_checksum))
			fsck_problem(body->fsck, FSCK_ERROR, key,
				"content %" PRIu32 ", of inode %" PRIu64 ", is damaged", i, e->ino);
	}
	for (size_t i = 0; i < body->n_pieces; i++) {
		const struct extent *x = &body->pieces[i].extent;

		if (!has_content(object, x->stored_offset_bytes, x->stored_bytes, x->encoding,
			    x->object_size_bytes, x->checksum))
			fsck_problem(body->fsck, FSCK_ERROR, key,
				"a file needs content at %" PRIu64 " that is not there",
				x->stored_offset_bytes);
	}
}

static void check_pack(struct body *body, const char *key, const struct backend_result *object)
{
	const char *problem = "it is shorter than its index";
	struct pack_index index = {.entries = NULL};
	size_t needed_bytes;
	int r = pack_decode_index(object->data, object->data_size_bytes, body->reference.account,
		&body->reference.object, &index, &needed_bytes, &problem);

	if (r == 0 && index.object_bytes != object->data_size_bytes) {
		problem = "it does not have the size that its index says";
		r = -EBADMSG;
	} else if (r == 0) {
		check_entries(body, key, &index, object);
	}
	if (r < 0)
		fsck_problem(body->fsck, FSCK_ERROR, key, "%s", problem);
	pack_index_done(&index);
}

static void check(struct body *body, const char *key)
{
	struct fsck *f = body->fsck;
	struct backend_result object;
	int r = backend_get_wait(f->options.backend, key, 0, MAX_OBJECT_BYTES + 1, &object);

	if (r == -ENOENT) {
		if (!f->options.is_online)
			fsck_problem(f, FSCK_ERROR, key, "it is missing");
		return;
	}
	if (r < 0) {
		fsck_fail(f, r, "%s cannot be read: %s", key, strerror(-r));
		return;
	}
	lock_acquire(&f->lock);
	f->figures.read_bytes += object.data_size_bytes;
	lock_release(&f->lock);
	if (body->reference.kind == FSCK_PACK)
		check_pack(body, key, &object);
	else
		check_body(body, key, &object);
	backend_result_done(&object);
}

static void check_object(void *arg)
{
	struct body *body = arg;
	char key[BACKEND_KEY_MAX_BYTES];

	fsck_object_key(&body->reference, key);
	if (!fsck_is_over(body->fsck))
		check(body, key);
	free(body);
}

/* ---- all of an account */

static int compare_pieces(const void *a, const void *b)
{
	const struct fsck_piece *x = a, *y = b;

	return memcmp(&x->pack, &y->pack, sizeof(x->pack));
}

/* Pieces are sorted by their pack. */
static void find_pieces(const struct fsck_account *a, struct body *body)
{
	size_t low = 0, high = a->n_pieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&a->pieces[middle].pack, &body->reference.object, sizeof(struct uuid)) <
			0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == a->n_pieces) /* perhaps of none: there is no array then */
		return;
	body->pieces = &a->pieces[low];
	while (low + body->n_pieces < a->n_pieces &&
		memcmp(&body->pieces[body->n_pieces].pack, &body->reference.object,
			sizeof(struct uuid)) == 0)
		body->n_pieces++;
}

void fsck_body_check_all(struct fsck_account *a)
{
	struct worker_pool *pool = NULL;
	int r = worker_pool_new(
		FSCK_IN_FLIGHT / FSCK_ACCOUNTS_AT_ONCE, QUEUE, "mfs-fsck-body", &pool);

	if (a->n_pieces > 1)
		qsort(a->pieces, a->n_pieces, sizeof(*a->pieces), compare_pieces);
	for (size_t i = 0; i < a->n_objects && r == 0 && !fsck_is_over(a->fsck); i++) {
		struct body *body = a->objects[i].is_named ? malloc(sizeof(*body)) : NULL;

		if (body == NULL && a->objects[i].is_named)
			r = -ENOMEM;
		if (body == NULL)
			continue;
		*body = (struct body){.fsck = a->fsck, .reference = a->objects[i].reference};
		if (body->reference.kind == FSCK_PACK)
			find_pieces(a, body);
		worker_pool_submit(pool, check_object, body);
	}
	worker_pool_free(pool);
	if (r < 0)
		fsck_fail(a->fsck, r, "bodies cannot be verified: %s", strerror(-r));
}
