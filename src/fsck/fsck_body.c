#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "util/cleanup.h"

#define QUEUE 64

struct body {
	struct fsck *fsck;
	struct fsck_reference reference;
};

/* Stored as it is or smaller; nothing is stored as nothing. */
bool fsck_body_size_fits(uint64_t object_bytes, uint64_t raw_bytes)
{
	return object_bytes <= BODY_OBJECT_HEADER_BYTES + raw_bytes &&
	       (object_bytes > BODY_OBJECT_HEADER_BYTES ||
		       (raw_bytes == 0 && object_bytes == BODY_OBJECT_HEADER_BYTES));
}

static void check(struct body *body, const char *key)
{
	struct fsck *f = body->fsck;
	struct body_object_header header;
	CLEANUP_FREE void *data = NULL;
	const char *problem = "there is no memory for it";
	struct backend_result object;
	size_t size_bytes;
	int r = backend_get_wait(f->options.backend, key, 0,
		BODY_OBJECT_HEADER_BYTES + BODY_OBJECT_MAX_BYTES + 1, &object);

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
	if (body_object_inspect(object.data, object.data_size_bytes, &body->reference.object,
		    &header, &problem, &data, &size_bytes) < 0)
		fsck_problem(f, FSCK_ERROR, key, "%s", problem);
	backend_result_done(&object);
}

static void check_body(void *arg)
{
	struct body *body = arg;
	char key[BACKEND_KEY_MAX_BYTES];

	fsck_object_key(&body->reference, key);
	if (!fsck_is_over(body->fsck))
		check(body, key);
	free(body);
}

void fsck_body_check_all(struct fsck *f, const struct fsck_object *objects, size_t n)
{
	struct worker_pool *pool = NULL;
	int r = worker_pool_new(
		FSCK_IN_FLIGHT / FSCK_ACCOUNTS_AT_ONCE, QUEUE, "mfs-fsck-body", &pool);

	for (size_t i = 0; i < n && r == 0 && !fsck_is_over(f); i++) {
		struct body *body = objects[i].is_named ? malloc(sizeof(*body)) : NULL;

		if (body == NULL && objects[i].is_named)
			r = -ENOMEM;
		if (body == NULL)
			continue;
		*body = (struct body){.fsck = f, .reference = objects[i].reference};
		worker_pool_submit(pool, check_body, body);
	}
	worker_pool_free(pool);
	if (r < 0)
		fsck_fail(f, r, "bodies cannot be verified: %s", strerror(-r));
}
