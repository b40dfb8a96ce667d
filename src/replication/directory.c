#include <config.h>
#include "replication/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

#define HAS_PREVIOUS 1 /* the only flag */
#define FIRST_CAPACITY 16

static bool same_previous(const struct directory_entry *a, const struct directory_entry *b)
{
	return a->has_previous == b->has_previous && position_equal(&a->previous, &b->previous);
}

/* Whether b may stand behind a. */
static bool may_follow(const struct directory_entry *a, const struct directory_entry *b)
{
	return a->account < b->account || (a->account == b->account && same_previous(a, b));
}

static int reserve(struct directory *directory)
{
	uint32_t capacity = directory->capacity == 0 ? FIRST_CAPACITY : directory->capacity * 2;
	struct directory_entry *entries;

	if (directory->n_entries < directory->capacity)
		return 0;
	entries = realloc(directory->entries, capacity * sizeof(*entries));
	if (entries == NULL)
		return -ENOMEM;
	directory->entries = entries;
	directory->capacity = capacity;
	return 0;
}

int directory_add(struct directory *directory, uint32_t account, uint16_t part,
	const struct position *previous, const struct section *section)
{
	struct directory_entry entry = {.account = account,
		.part = part,
		.has_previous = previous != NULL,
		.section = section->info,
		.stored = section->stored};
	int r;

	if (previous != NULL)
		entry.previous = *previous;
	if (account > POSITION_MAX_ACCOUNT || section->stored == NULL ||
		!section_info_is_valid(&section->info))
		return -EINVAL;
	if (directory->n_entries > 0 &&
		!may_follow(&directory->entries[directory->n_entries - 1], &entry))
		return -EINVAL;
	if (directory->n_entries == DIRECTORY_MAX_ENTRIES || part > DIRECTORY_MAX_PARTS)
		return -EFBIG;
	r = reserve(directory);
	if (r == 0)
		directory->entries[directory->n_entries++] = entry;
	return r;
}

void directory_done(struct directory *directory)
{
	free(directory->entries);
	*directory = (struct directory){.n_entries = 0};
}

const struct directory_entry *directory_find(
	const struct directory *directory, uint32_t account, uint32_t *ret_n)
{
	uint32_t low = 0, high = directory->n_entries, end;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (directory->entries[middle].account < account)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < directory->n_entries && directory->entries[end].account == account;
		end++)
		;
	if (end == low)
		return NULL;
	*ret_n = end - low;
	return &directory->entries[low];
}

uint16_t directory_last_part(const struct directory *directory)
{
	uint16_t last = 0;

	for (uint32_t i = 0; i < directory->n_entries; i++) {
		if (directory->entries[i].part > last)
			last = directory->entries[i].part;
	}
	return last;
}

uint32_t directory_count_part(const struct directory *directory, uint16_t part)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < directory->n_entries; i++)
		n += directory->entries[i].part == part;
	return n;
}

int directory_place(
	struct directory *directory, uint16_t part, uint64_t from_bytes, uint64_t *ret_end_bytes)
{
	uint64_t at = from_bytes;

	for (uint32_t i = 0; i < directory->n_entries; i++) {
		struct directory_entry *entry = &directory->entries[i];

		if (entry->part != part)
			continue;
		entry->offset_bytes = at;
		at += entry->section.stored_bytes;
	}
	if (at > DIRECTORY_MAX_OBJECT_BYTES)
		return -EFBIG;
	*ret_end_bytes = at;
	return 0;
}

void directory_encode_entry(struct encoder *e, const struct directory_entry *entry)
{
	encode_u32(e, entry->account);
	encode_u16(e, entry->part);
	encode_u8(e, entry->has_previous ? HAS_PREVIOUS : 0);
	encode_u8(e, entry->section.encoding);
	position_encode(e, &entry->previous);
	encode_u64(e, entry->offset_bytes);
	encode_u32(e, entry->section.stored_bytes);
	encode_u32(e, entry->section.content_bytes);
	encode_u32(e, entry->section.n_records);
	encode_u32(e, 0);
	encode_u64(e, entry->section.content_checksum);
	encode_u64(e, entry->section.stored_checksum);
}

/* ---- decoding */

static int bad(const char **ret_problem, const char *problem)
{
	if (ret_problem != NULL)
		*ret_problem = problem;
	return -EBADMSG;
}

static int decode_entry(struct decoder *d, struct directory_entry *ret, const char **ret_problem)
{
	static const struct position none = {.sequence = 0};
	struct directory_entry entry = {.stored = NULL};
	uint8_t flags;
	uint32_t reserved;

	entry.account = decode_u32(d);
	entry.part = decode_u16(d);
	flags = decode_u8(d);
	entry.has_previous = flags == HAS_PREVIOUS;
	entry.section.encoding = decode_u8(d);
	position_decode(d, &entry.previous);
	entry.offset_bytes = decode_u64(d);
	entry.section.stored_bytes = decode_u32(d);
	entry.section.content_bytes = decode_u32(d);
	entry.section.n_records = decode_u32(d);
	reserved = decode_u32(d);
	entry.section.content_checksum = decode_u64(d);
	entry.section.stored_checksum = decode_u64(d);
	if (!decoder_ok(d) || flags > HAS_PREVIOUS || reserved != 0 ||
		entry.account > POSITION_MAX_ACCOUNT ||
		(!entry.has_previous && !position_equal(&entry.previous, &none)))
		return bad(ret_problem, "an entry of the directory is malformed");
	if (!section_info_is_valid(&entry.section))
		return bad(ret_problem, "a section has sizes or an encoding that cannot be");
	*ret = entry;
	return 0;
}

static int check_previous(const struct directory_entry *entry, const struct directory_frame *frame,
	const char **ret_problem)
{
	if (!entry->has_previous)
		return 0;
	if (frame->self == NULL || (position_same_journal(&entry->previous, frame->self) &&
					   entry->previous.sequence >= frame->self->sequence))
		return bad(ret_problem, "a previous segment is not an earlier one");
	return 0;
}

static int check_order(const struct directory *directory, const struct directory_frame *frame,
	const char **ret_problem)
{
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];
		int r = check_previous(entry, frame, ret_problem);

		if (r < 0)
			return r;
		if (entry->part < frame->part || entry->part > frame->last_part)
			return bad(ret_problem, "a section is in a part that there is not");
		if (i > 0 && !may_follow(entry - 1, entry))
			return bad(ret_problem, "the sections are not in order");
	}
	return 0;
}

/* Where the sections of each part begin, by part less frame->part. */
static int find_beginnings(const struct directory *directory, const struct directory_frame *frame,
	uint64_t *next, const char **ret_problem)
{
	size_t n_parts = (size_t)frame->last_part - frame->part + 1;

	for (uint32_t i = 0; i < directory->n_entries; i++)
		next[directory->entries[i].part - frame->part] += DIRECTORY_ENTRY_BYTES;
	for (size_t i = 1; i < n_parts; i++) {
		if (next[i] == 0)
			return bad(ret_problem, "a part holds no section");
		next[i] += frame->part_header_bytes;
	}
	next[0] = frame->head_bytes;
	return 0;
}

/* Sections follow each other without gaps, in each part. */
static int check_places(const struct directory *directory, const struct directory_frame *frame,
	uint64_t *ret_end_bytes, const char **ret_problem)
{
	size_t n_parts = (size_t)frame->last_part - frame->part + 1;
	CLEANUP_FREE uint64_t *next = calloc(n_parts, sizeof(*next));
	int r;

	if (next == NULL)
		return -ENOMEM;
	r = find_beginnings(directory, frame, next, ret_problem);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];
		uint64_t *at = &next[entry->part - frame->part];

		if (entry->offset_bytes != *at)
			return bad(ret_problem, "a section is not where the one before it ends");
		*at += entry->section.stored_bytes;
		if (*at > DIRECTORY_MAX_OBJECT_BYTES)
			return bad(ret_problem, "the sections are larger than any object may be");
	}
	*ret_end_bytes = next[0];
	return 0;
}

int directory_decode(const void *data, uint32_t n_entries, const struct directory_frame *frame,
	struct directory *ret, uint64_t *ret_end_bytes, const char **ret_problem)
{
	struct decoder d = decoder_over(data, (size_t)n_entries * DIRECTORY_ENTRY_BYTES);
	struct directory directory = {.n_entries = n_entries, .capacity = n_entries};
	int r = 0;

	if (n_entries > DIRECTORY_MAX_ENTRIES || frame->last_part > DIRECTORY_MAX_PARTS ||
		frame->last_part < frame->part)
		return bad(ret_problem, "there are more sections or parts than may be");
	if (n_entries > 0) {
		directory.entries = malloc(n_entries * sizeof(*directory.entries));
		if (directory.entries == NULL)
			return -ENOMEM;
	}
	for (uint32_t i = 0; r == 0 && i < n_entries; i++)
		r = decode_entry(&d, &directory.entries[i], ret_problem);
	if (r == 0)
		r = check_order(&directory, frame, ret_problem);
	if (r == 0)
		r = check_places(&directory, frame, ret_end_bytes, ret_problem);
	if (r == 0)
		*ret = directory;
	else
		directory_done(&directory);
	return r;
}
