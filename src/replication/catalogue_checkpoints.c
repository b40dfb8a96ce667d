/*
 * catalogue_checkpoints.c: the checkpoints of one account, and what there is of it (catalogue.h).
 */
#include <config.h>
#include "replication/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "replication/catalogue_private.h"
#include "replication/fetch_queue.h"
#include "util/account_path.h"
#include "util/cleanup.h"
#include "util/message.h"

const struct catalogue_item *catalogue_items(
	const struct catalogue *c, uint32_t account, size_t *ret_n)
{
	const struct catalogue_item *items;
	size_t low = 0, high = c->n_items, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->items[middle].account < account)
			low = middle + 1;
		else
			high = middle;
	}
	items = &c->items[low];
	while (low + n < c->n_items && items[n].account == account)
		n++;
	*ret_n = n;
	return items;
}

bool catalogue_has_account(const struct catalogue *c, uint32_t account)
{
	size_t n;

	(void)catalogue_items(c, account, &n);
	return n > 0;
}

static int add_number(struct catalogue_numbers *numbers, uint64_t number)
{
	size_t capacity = numbers->capacity ? numbers->capacity * 2 : 16;
	struct catalogue_number *bigger;

	if (numbers->n == CATALOGUE_MAX_CHECKPOINTS)
		return -EFBIG;
	if (numbers->n == numbers->capacity) {
		bigger = reallocarray(numbers->numbers, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		numbers->numbers = bigger;
		numbers->capacity = capacity;
	}
	numbers->numbers[numbers->n++] = (struct catalogue_number){.number = number};
	return 0;
}

/* Parts are listed in order, behind what they belong to. One behind a gap, or that nothing names,
 * stands for no other. */
static void add_part(struct catalogue_numbers *numbers, uint64_t number, uint16_t part)
{
	struct catalogue_number *last = numbers->n > 0 ? &numbers->numbers[numbers->n - 1] : NULL;

	if (last != NULL && last->number == number && part == last->n_parts + 1)
		last->n_parts++;
}

static int add_numbers(
	const struct backend_result *page, uint32_t wanted, struct catalogue_numbers *numbers)
{
	uint64_t number;
	uint32_t account;
	uint16_t part;
	int r = 0;

	for (size_t i = 0; i < page->n_entries && r == 0; i++) {
		if (!position_parse_checkpoint_part_key(
			    page->entries[i].key, &account, &number, &part) ||
			account != wanted)
			continue;
		if (part > 0)
			add_part(numbers, number, part);
		else
			r = add_number(numbers, number);
	}
	return r;
}

int catalogue_list_checkpoints(const struct catalogue *c, uint32_t account,
	struct catalogue_numbers *ret, char **ret_message)
{
	const struct backend_call how = {
		.priority = c->options.priority, .cancellation = c->options.cancellation};
	char path[ACCOUNT_PATH_BYTES], prefix[POSITION_CHECKPOINT_KEY_BYTES];
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	int r;

	*ret = (struct catalogue_numbers){0};
	account_path_format(account, path);
	snprintf(prefix, sizeof(prefix), "%s/checkpoint/", path);
	do {
		r = backend_list_wait_as(c->options.backend, prefix, continuation,
			BACKEND_LIST_MAX_ENTRIES, &how, &page);
		if (r < 0) {
			free(TAKE_PTR(ret->numbers));
			return message_set(ret_message, r, "cannot list the checkpoints in %s: %s",
				prefix, strerror(-r));
		}
		r = add_numbers(&page, account, ret);
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL);
	if (r < 0)
		free(TAKE_PTR(ret->numbers));
	return r;
}

/* The head of the object, as much as it takes. */
int catalogue_read_checkpoint(const struct catalogue *c, uint32_t account, uint64_t number,
	enum backend_priority priority, struct checkpoint *ret, const char **ret_problem)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	size_t size_bytes = FRAME_FIRST_READ_BYTES, needed_bytes = 0;
	struct fetch_queue_result result;
	int r;

	position_checkpoint_key(account, number, key);
	for (;;) {
		r = fetch_queue_read(c->options.backend, priority, c->options.cancellation, key, 0,
			size_bytes, &result);
		if (r < 0)
			return r;
		r = checkpoint_decode(result.data, result.size_bytes, account, number, ret,
			&needed_bytes, ret_problem);
		free(result.data);
		if (r != -EAGAIN)
			break;
		if (needed_bytes <= size_bytes || needed_bytes > result.object_size_bytes) {
			*ret_problem = "it is shorter than its directory";
			return -EBADMSG;
		}
		size_bytes = needed_bytes;
	}
	if (r == 0 && memcmp(ret->volume.bytes, c->options.volume.bytes, UUID_BYTES)) {
		checkpoint_done(ret);
		*ret_problem = "it is of another volume";
		return -EBADMSG;
	}
	return r;
}

int catalogue_read_header(const struct catalogue *c, uint32_t account, uint64_t number,
	enum backend_priority priority, struct checkpoint *ret)
{
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct fetch_queue_result result;
	struct checkpoint checkpoint;
	int r;

	position_checkpoint_key(account, number, key);
	r = fetch_queue_read(c->options.backend, priority, c->options.cancellation, key, 0,
		CHECKPOINT_HEADER_BYTES, &result);
	if (r < 0)
		return r;
	r = checkpoint_decode_header(result.data, result.size_bytes, account, number, &checkpoint);
	free(result.data);
	if (r == 0 && memcmp(checkpoint.volume.bytes, c->options.volume.bytes, UUID_BYTES) != 0)
		r = -EBADMSG;
	if (r == 0)
		*ret = checkpoint;
	return r;
}

bool catalogue_is_whole(const struct catalogue_number *number, const struct checkpoint *checkpoint)
{
	return checkpoint->n_parts <= number->n_parts;
}

/* ---- what there is */

static int add_checkpoint_times(const struct catalogue *c, uint32_t account,
	struct catalogue_times *times, char **ret_message)
{
	struct catalogue_numbers numbers;
	struct checkpoint checkpoint;
	int r = catalogue_list_checkpoints(c, account, &numbers, ret_message);

	if (r < 0)
		return r;
	times->checkpoints_ms = calloc(numbers.n + 1, sizeof(*times->checkpoints_ms));
	if (times->checkpoints_ms == NULL)
		r = -ENOMEM;
	for (size_t i = numbers.n; r == 0 && i > 0; i--) {
		const char *problem;

		r = catalogue_read_checkpoint(c, account, numbers.numbers[i - 1].number,
			c->options.priority, &checkpoint, &problem);
		if (r == 0) {
			if (catalogue_is_whole(&numbers.numbers[i - 1], &checkpoint))
				times->checkpoints_ms[times->n_checkpoints++] =
					checkpoint.created_ms;
			checkpoint_done(&checkpoint);
		}
		if (r == -EBADMSG || r == -ENOENT)
			r = 0;
	}
	free(numbers.numbers);
	return r;
}

int catalogue_times(const struct catalogue *c, uint32_t account, struct catalogue_times *ret,
	char **ret_message)
{
	const struct catalogue_item *items;
	int r;

	*ret_message = NULL;
	*ret = (struct catalogue_times){0};
	r = add_checkpoint_times(c, account, ret, ret_message);
	if (r < 0) {
		catalogue_times_done(ret);
		return r;
	}
	items = catalogue_items(c, account, &ret->n_segments);
	for (size_t i = 0; i < ret->n_segments; i++) {
		int64_t ms = c->segments[items[i].segment].segment.created_ms;

		if (i == 0 || ms < ret->oldest_segment_ms)
			ret->oldest_segment_ms = ms;
		if (i == 0 || ms > ret->newest_segment_ms)
			ret->newest_segment_ms = ms;
	}
	return 0;
}

void catalogue_times_done(struct catalogue_times *times)
{
	free(times->checkpoints_ms);
	times->checkpoints_ms = NULL;
	times->n_checkpoints = 0;
}
