#include <config.h>
#include "transfer/rescue_private.h"

#include <errno.h>
#include <stdlib.h>
#include "cache/cut.h"
#include "cache/log_scan.h"
#include "cache/shipped.h"
#include "replication/fetch_queue.h"
#include "replication/segment.h"
#include "util/log.h"

/* Whether the segment that is noted is on the backend: 1, 0, or an error. */
static int is_there(const struct rescue_options *options, const struct shipped *note)
{
	struct position position = {.node = options->old_node,
		.incarnation = note->incarnation,
		.sequence = note->sequence};
	size_t size_bytes = FRAME_FIRST_READ_BYTES, needed_bytes = 0;
	char key[POSITION_SEGMENT_KEY_BYTES];
	struct fetch_queue_result read;
	struct segment segment;
	int r;

	position_segment_key(&position, 0, key);
	do {
		r = fetch_queue_read(
			options->backend, BACKEND_PREFETCH, NULL, key, 0, size_bytes, &read);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		r = segment_decode(
			read.data, read.size_bytes, &position, &segment, &needed_bytes, NULL);
		free(read.data);
		if (r == -EAGAIN &&
			(needed_bytes <= size_bytes || needed_bytes > read.object_size_bytes))
			r = -EBADMSG;
		size_bytes = needed_bytes;
	} while (r == -EAGAIN);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	r = segment.facts.head_checksum == note->checksum;
	segment_done(&segment);
	return r;
}

/* The store's number up to which the backend has everything. -ENOENT: nobody knows. Notes are in
 * their order, and what is behind a segment that never came does not count. */
static int find_base(struct node *old, const struct rescue_options *options, uint64_t *ret)
{
	struct shipped notes[SHIPPED_MAX_NOTES];
	bool has_base = false;
	size_t n;
	int r = shipped_load(old, notes, &n);

	for (size_t i = 0; i < n && r == 0; i++) {
		r = notes[i].is_complete ? 1 : is_there(options, &notes[i]);
		if (r <= 0)
			break;
		has_base = true;
		*ret = notes[i].store_sequence;
		r = 0;
	}
	if (r < 0 && r != -EBADMSG)
		return r;
	return has_base ? 0 : -ENOENT;
}

static int note_changes(struct node *old, const struct rescue_options *options)
{
	uint64_t base = 0;
	bool is_whole;
	int r = find_base(old, options, &base);

	if (r == 0)
		return log_scan_note(old, base, &is_whole);
	if (r != -ENOENT)
		return r;
	log_info("superseded state '%s' does not say what was shipped: all of it is kept",
		options->path);
	return log_scan_note_all(old);
}

int rescue_find_changed(
	struct node *old, const struct rescue_options *options, uint32_t **ret, size_t *ret_n)
{
	struct cut *cut;
	int r = note_changes(old, options);

	if (r == 0)
		r = cut_take(old, &cut);
	if (r < 0)
		return r;
	*ret_n = cut_n_accounts(cut);
	*ret = calloc(*ret_n + 1, sizeof(**ret));
	for (size_t i = 0; i < *ret_n && *ret != NULL; i++)
		(*ret)[i] = cut_account(cut, i);
	cut_done(cut);
	return *ret != NULL ? 0 : -ENOMEM;
}
