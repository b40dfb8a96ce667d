#include <config.h>
#include "fsck/fsck_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "replication/checkpoint.h"
#include "replication/segment.h"

/* What the kinds of objects have in common. */
struct head {
	struct directory directory;
	struct frame_facts facts;
	uint16_t part; /* number of the object among those of its segment */
};

static int check_volume(const struct fsck *f, const struct uuid *volume, struct head *head,
	const char **ret_problem)
{
	if (memcmp(volume, &f->options.volume, sizeof(*volume)) == 0)
		return 0;
	directory_done(&head->directory);
	*ret_problem = "it is of another volume";
	return -EBADMSG;
}

static int decode_checkpoint(const struct fsck *f, struct fsck_frame *frame,
	const struct backend_result *beginning, struct head *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	const void *data = beginning->data;
	size_t n = beginning->data_size_bytes;
	struct checkpoint checkpoint;
	struct checkpoint_part part;
	int r;

	if (frame->type == FSCK_CHECKPOINT_PART) {
		r = checkpoint_decode_part(data, n, frame->account, frame->number, frame->part,
			&part, ret_needed_bytes, ret_problem);
		if (r < 0)
			return r;
		ret->directory = part.directory;
		ret->facts = part.facts;
		return check_volume(f, &part.volume, ret, ret_problem);
	}
	r = checkpoint_decode(
		data, n, frame->account, frame->number, &checkpoint, ret_needed_bytes, ret_problem);
	if (r < 0)
		return r;
	frame->created_ms = checkpoint.created_ms;
	frame->n_parts = checkpoint.n_parts;
	ret->directory = checkpoint.directory;
	ret->facts = checkpoint.facts;
	return check_volume(f, &checkpoint.volume, ret, ret_problem);
}

static int decode(const struct fsck *f, struct fsck_frame *frame,
	const struct backend_result *beginning, struct head *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	const void *data = beginning->data;
	size_t n = beginning->data_size_bytes;
	struct segment_part part;
	struct segment segment;
	int r;

	*ret = (struct head){.part = frame->part};
	if (frame->type == FSCK_CHECKPOINT || frame->type == FSCK_CHECKPOINT_PART)
		return decode_checkpoint(f, frame, beginning, ret, ret_needed_bytes, ret_problem);
	if (frame->type == FSCK_PART) {
		r = segment_decode_part(data, n, &frame->position, frame->part, &part,
			ret_needed_bytes, ret_problem);
		if (r == 0) {
			ret->directory = part.directory;
			ret->facts = part.facts;
		}
		return r;
	}
	r = segment_decode(data, n, &frame->position, &segment, ret_needed_bytes, ret_problem);
	if (r == 0) {
		frame->created_ms = segment.created_ms;
		frame->n_parts = segment.n_parts;
		ret->directory = segment.directory;
		ret->facts = segment.facts;
	}
	return r;
}

static int get(struct fsck *f, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret)
{
	int r = backend_get_wait(f->options.backend, key, offset, size_bytes, ret);

	if (r == -ERANGE) {
		*ret = (struct backend_result){.error = 0};
		r = 0;
	}
	if (r == 0) {
		lock_acquire(&f->lock);
		f->figures.read_bytes += ret->data_size_bytes;
		lock_release(&f->lock);
	}
	return r;
}

/* The head, of which `beginning` has all. -EBADMSG: it is told. */
static int read_head(struct fsck *f, struct fsck_frame *frame, struct head *ret,
	struct backend_result *beginning)
{
	size_t size_bytes = FRAME_FIRST_READ_BYTES, needed_bytes = 0;
	const char *problem = "it is shorter than its directory";
	int r;

	for (;;) {
		r = get(f, frame->key, 0, size_bytes, beginning);
		if (r < 0)
			return r;
		r = decode(f, frame, beginning, ret, &needed_bytes, &problem);
		if (r != -EAGAIN || needed_bytes <= size_bytes ||
			needed_bytes > beginning->object_size_bytes)
			break;
		backend_result_done(beginning);
		size_bytes = needed_bytes;
	}
	if (r == 0 && beginning->object_size_bytes != ret->facts.object_bytes) {
		directory_done(&ret->directory);
		problem = beginning->object_size_bytes < ret->facts.object_bytes
				  ? "it is shorter than its directory says"
				  : "it is longer than its directory says";
		r = -EBADMSG;
	}
	if (r < 0)
		backend_result_done(beginning);
	if (r == -EAGAIN || r == -EBADMSG) {
		fsck_problem(f, FSCK_ERROR, frame->key, "%s", problem);
		r = -EBADMSG;
	}
	return r;
}

/* ---- sections */

static void add_shared(struct fsck_references *references, struct lock *lock,
	const struct fsck_reference *reference)
{
	lock_acquire(lock);
	fsck_references_add(references, reference);
	lock_release(lock);
}

static void take_references(
	struct fsck_frame *frame, uint32_t account, struct section_reader *reader)
{
	struct fsck_reference reference;
	struct section_record record;

	while (section_reader_next(reader, &record)) {
		if (!fsck_references_of(account, &record, &reference))
			continue;
		if (frame->references_lock != NULL)
			add_shared(frame->references, frame->references_lock, &reference);
		else
			fsck_references_add(frame->references, &reference);
	}
}

static bool check_section(struct fsck *f, struct fsck_frame *frame, uint32_t i,
	const struct directory_entry *entry, const void *stored, size_t stored_bytes)
{
	struct section_reader reader;
	const char *problem = "there is no memory for it";

	if (section_reader_open(&reader, &entry->section, stored, stored_bytes, &problem) < 0) {
		fsck_problem(f, FSCK_ERROR, frame->key,
			"section %" PRIu32 ", of account %" PRIu32 ": %s", i, entry->account,
			problem);
		return false;
	}
	take_references(frame, entry->account, &reader);
	section_reader_close(&reader);
	return true;
}

static int read_section(struct fsck *f, struct fsck_frame *frame, uint32_t i,
	const struct directory_entry *entry, const struct backend_result *beginning, bool *ok)
{
	uint64_t end = entry->offset_bytes + entry->section.stored_bytes;
	struct backend_result read;
	int r;

	if (end <= beginning->data_size_bytes) {
		*ok &= check_section(f, frame, i, entry,
			(const uint8_t *)beginning->data + entry->offset_bytes,
			entry->section.stored_bytes);
		return 0;
	}
	r = get(f, frame->key, entry->offset_bytes, entry->section.stored_bytes, &read);
	if (r < 0)
		return r;
	*ok &= check_section(f, frame, i, entry, read.data, read.data_size_bytes);
	backend_result_done(&read);
	return 0;
}

static int check_all(struct fsck *f, struct fsck_frame *frame)
{
	struct backend_result beginning;
	struct head head;
	bool ok = true;
	int r = read_head(f, frame, &head, &beginning);

	if (r < 0)
		return r;
	frame->has_head = true;
	for (uint32_t i = 0; i < head.directory.n_entries && r == 0; i++) {
		if (head.directory.entries[i].part == head.part)
			r = read_section(f, frame, i, &head.directory.entries[i], &beginning, &ok);
	}
	directory_done(&head.directory);
	backend_result_done(&beginning);
	return r == 0 && !ok ? -EBADMSG : r;
}

void fsck_frame_check(struct fsck *f, struct fsck_frame *frame)
{
	int r = check_all(f, frame);

	if (r == -ENOENT) {
		frame->is_missing = true;
		return;
	}
	if (r < 0)
		fsck_note_damage(f);
	if (r < 0 && r != -EBADMSG)
		fsck_fail(f, r, "%s cannot be read: %s", frame->key, strerror(-r));
	if (frame->has_head && frame->part == 0)
		fsck_note_cut(f, frame->created_ms);
}
