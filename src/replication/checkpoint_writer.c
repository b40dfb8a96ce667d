#include <config.h>
#include "replication/checkpoint_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/checkpoint.h"
#include "util/lock.h"

/* Keys of the store begin with the account's number, those of sections do not. */
#define ACCOUNT_BYTES 4

struct writer {
	const struct checkpoint_writer_request *request;
	struct section_builder *builder;
	struct section *sections; /* owned, with what they hold */
	uint32_t n_sections, capacity;
	uint64_t stored_bytes;
};

/* ---- sections */

static int keep_section(struct writer *w)
{
	uint64_t limit =
		w->request->max_bytes ? w->request->max_bytes : CHECKPOINT_WRITER_MAX_BYTES;
	struct section *bigger;
	uint32_t capacity;
	int r;

	if (w->n_sections == w->capacity) {
		capacity = w->capacity ? w->capacity * 2 : 8;
		bigger = reallocarray(w->sections, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		w->sections = bigger;
		w->capacity = capacity;
	}
	r = section_builder_finish(w->builder, &w->sections[w->n_sections]);
	if (r < 0)
		return r;
	w->stored_bytes += w->sections[w->n_sections++].info.stored_bytes;
	return w->stored_bytes > limit ? -EFBIG : 0;
}

static int take(void *arg, const struct cut_record *record)
{
	struct writer *w = arg;
	enum section_table table = record->table == STORE_META ? SECTION_META : SECTION_DATA;
	const uint8_t *key = record->key + ACCOUNT_BYTES;
	size_t key_bytes = record->key_bytes - ACCOUNT_BYTES;
	int r = section_builder_put(
		w->builder, table, key, key_bytes, record->value, record->value_bytes);

	if (r != -ENOSPC)
		return r;
	r = keep_section(w);
	return r == 0 ? section_builder_put(w->builder, table, key, key_bytes, record->value,
				record->value_bytes)
		      : r;
}

static int make_sections(struct writer *w)
{
	int r = cut_each_of_account(w->request->cut, w->request->account, take, w);

	if (r == 0 && section_builder_content_bytes(w->builder) > 0)
		r = keep_section(w);
	return r;
}

/* ---- the object */

struct put {
	struct lock lock;
	struct lock_condition ended;
	bool is_done; /* protected by lock */
	int error;
};

static void note_done(struct backend_result *result, void *arg)
{
	struct put *put = arg;

	lock_acquire(&put->lock);
	put->error = result->error;
	put->is_done = true;
	lock_condition_signal(&put->ended);
	lock_release(&put->lock);
}

static int put_object(const struct writer *w, const struct frame *frame)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT};
	struct put put = {.is_done = false};
	struct backend_call call = {
		.priority = BACKEND_BACKGROUND,
		.timeout_ms = CHECKPOINT_WRITER_TIMEOUT_MS,
		.done = note_done,
		.arg = &put,
	};
	char key[POSITION_CHECKPOINT_KEY_BYTES];

	position_checkpoint_key(w->request->account, w->request->number, key);
	lock_init(&put.lock);
	lock_condition_init(&put.ended);
	backend_put(w->request->backend, key, frame->parts, frame->n_parts, &condition, &call);
	lock_acquire(&put.lock);
	while (!put.is_done)
		lock_condition_wait(&put.ended, &put.lock);
	lock_release(&put.lock);
	lock_condition_done(&put.ended);
	lock_done(&put.lock);
	return put.error;
}

static int write_object(const struct writer *w, struct checkpoint_writer_figures *ret)
{
	struct checkpoint checkpoint = {
		.volume = w->request->volume,
		.account = w->request->account,
		.number = w->request->number,
		.created_ms = w->request->cut_ms,
		.position = w->request->position,
	};
	struct frame frame;
	int r = 0;

	for (uint32_t i = 0; i < w->n_sections && r == 0; i++)
		r = directory_add(
			&checkpoint.directory, checkpoint.account, 0, NULL, &w->sections[i]);
	if (r == 0)
		r = checkpoint_encode(&checkpoint, &frame);
	if (r == 0) {
		r = put_object(w, &frame);
		if (r == 0)
			*ret = (struct checkpoint_writer_figures){
				.n_sections = w->n_sections, .object_bytes = frame.size_bytes};
		frame_done(&frame);
	}
	checkpoint_done(&checkpoint);
	return r;
}

int checkpoint_writer_write(const struct checkpoint_writer_request *request,
	struct checkpoint_writer_figures *ret_figures)
{
	struct writer w = {.request = request, .builder = section_builder_new()};
	int r = w.builder == NULL ? -ENOMEM : make_sections(&w);

	section_builder_free(w.builder);
	if (r == 0)
		r = write_object(&w, ret_figures);
	for (uint32_t i = 0; i < w.n_sections; i++)
		section_done(&w.sections[i]);
	free(w.sections);
	return r;
}
