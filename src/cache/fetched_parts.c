#include <config.h>
#include "cache/fetched_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fetched_part {
	struct fetched_part *next;
	unsigned int n;        /* this one and those behind it */
	struct extent content; /* which content: record_same_content() */
	uint64_t offset_bytes; /* in it */
	uint64_t size_bytes;
	uint8_t data[];
};

int fetched_parts_add(struct fetched_part **list, const struct extent *x, uint64_t from_bytes,
	uint64_t end_bytes, const void *content, size_t content_bytes)
{
	uint64_t extent_end = x->offset_bytes + x->size_bytes, offset, size;
	unsigned int n = *list != NULL ? (*list)->n : 0;
	struct fetched_part *part;

	if (x->object_offset_bytes > content_bytes ||
		x->size_bytes > content_bytes - x->object_offset_bytes)
		return -EBADMSG;
	if (from_bytes < x->offset_bytes)
		from_bytes = x->offset_bytes;
	if (end_bytes > extent_end)
		end_bytes = extent_end;
	if (from_bytes >= end_bytes)
		return 0;
	if (n == FETCHED_PARTS_MAX)
		return -EFBIG;
	offset = x->object_offset_bytes + (from_bytes - x->offset_bytes);
	size = end_bytes - from_bytes;
	part = malloc(sizeof(*part) + (size_t)size);
	if (part == NULL)
		return -ENOMEM;
	*part = (struct fetched_part){.next = *list,
		.n = n + 1,
		.content = *x,
		.offset_bytes = offset,
		.size_bytes = size};
	memcpy(part->data, (const uint8_t *)content + offset, (size_t)size);
	*list = part;
	return 0;
}

bool fetched_parts_copy(const struct fetched_part *list, const struct extent *x,
	uint64_t from_bytes, uint64_t end_bytes, void *data)
{
	uint64_t offset = x->object_offset_bytes + (from_bytes - x->offset_bytes);
	uint64_t size = end_bytes - from_bytes;

	for (const struct fetched_part *p = list; p != NULL; p = p->next) {
		if (!record_same_content(&p->content, x) || offset < p->offset_bytes ||
			size > p->size_bytes || offset - p->offset_bytes > p->size_bytes - size)
			continue;
		memcpy(data, p->data + (offset - p->offset_bytes), (size_t)size);
		return true;
	}
	return false;
}

void fetched_parts_free(struct fetched_part *list)
{
	while (list != NULL) {
		struct fetched_part *next = list->next;

		free(list);
		list = next;
	}
}
