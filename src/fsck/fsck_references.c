#include <config.h>
#include "fsck/fsck_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/key.h"
#include "cache/pack.h"
#include "cache/record.h"
#include "util/codec.h"

int fsck_reference_compare(const void *a, const void *b)
{
	const struct fsck_reference *x = a, *y = b;

	if (x->account != y->account)
		return x->account < y->account ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return memcmp(x->object.bytes, y->object.bytes, UUID_BYTES);
}

void fsck_references_add(struct fsck_references *references, const struct fsck_reference *one)
{
	size_t capacity = references->capacity ? references->capacity * 2 : 256;
	struct fsck_reference *bigger;

	if (references->n == references->capacity) {
		bigger = references->n >= FSCK_MAX_REFERENCES
				 ? NULL
				 : reallocarray(references->list, capacity, sizeof(*bigger));
		if (bigger == NULL) {
			references->is_incomplete = true;
			return;
		}
		references->list = bigger;
		references->capacity = capacity;
	}
	references->list[references->n++] = *one;
	references->is_sorted = false;
}

void fsck_references_sort(struct fsck_references *references)
{
	if (!references->is_sorted && references->n > 0)
		qsort(references->list, references->n, sizeof(*references->list),
			fsck_reference_compare);
	references->is_sorted = true;
}

bool fsck_references_have(struct fsck_references *references, const struct fsck_reference *one)
{
	return references->n > 0 &&
	       bsearch(one, references->list, references->n, sizeof(*references->list),
		       fsck_reference_compare) != NULL;
}

void fsck_references_done(struct fsck_references *references)
{
	free(references->list);
	*references = (struct fsck_references){.list = NULL};
}

/* Keys are without the account's number: the type, the inode, the offset. */
bool fsck_references_of(
	uint32_t account, const struct section_record *record, struct fsck_reference *ret)
{
	struct decoder d = decoder_over(record->key, record->key_bytes);
	struct extent extent;
	uint64_t offset;

	if (record->table != SECTION_META || record->is_removal || record->key[0] != KEY_EXTENT)
		return false;
	(void)decode_u8(&d);
	(void)decode_u64(&d);
	offset = decode_u64(&d);
	if (!decoder_ok(&d) ||
		record_decode_extent(offset, record->value, record->value_bytes, &extent) < 0)
		return false;
	fsck_body_reference(account, &extent, ret);
	return true;
}

bool fsck_object_parse(const char *key, struct fsck_reference *ret)
{
	uint64_t account;

	*ret = (struct fsck_reference){.kind = FSCK_BODY};
	if (!body_object_parse_key(key, &account, &ret->object)) {
		ret->kind = FSCK_PACK;
		if (!pack_parse_key(key, &account, &ret->object))
			return false;
	}
	if (account > KEY_ACCOUNT_MAX)
		return false;
	ret->account = (uint32_t)account;
	return true;
}

void fsck_object_key(const struct fsck_reference *reference, char key[BACKEND_KEY_MAX_BYTES])
{
	if (reference->kind == FSCK_PACK)
		pack_key(reference->account, &reference->object, key);
	else
		body_object_key(reference->account, &reference->object, key);
}
