/*
 * fuzz_record.c: values and keys of the local store. The first byte says which decoder gets the
 * rest. What is decoded can be encoded and decoded again, to the same; dirty ranges stay sorted
 * and apart when they were, whatever is added to them or taken away.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "cache/key.h"
#include "cache/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

static void fuzz_inode(const uint8_t *data, size_t size)
{
	uint8_t first[RECORD_INODE_BYTES], second[RECORD_INODE_BYTES];
	struct inode inode, again;
	size_t n;

	if (record_decode_inode(7, data, size, &inode) < 0)
		return;
	check(inode.ino == 7 && inode.block_shift < 64);
	n = record_encode_inode(&inode, first);
	check(record_decode_inode(7, first, n, &again) == 0);
	check(record_encode_inode(&again, second) == n && memcmp(first, second, n) == 0);
}

static void fuzz_entry(const uint8_t *data, size_t size)
{
	uint8_t first[RECORD_ENTRY_BYTES];
	struct entry entry, again;

	if (record_decode_entry(data, size, &entry) < 0)
		return;
	check(memchr(entry.name, '\0', sizeof(entry.name)) != NULL);
	check(record_decode_entry(first, record_encode_entry(&entry, first), &again) == 0);
	check(entry.ino == again.ino && entry.cookie == again.cookie &&
		strcmp(entry.name, again.name) == 0);
}

static void fuzz_extent(const uint8_t *data, size_t size)
{
	uint8_t first[RECORD_EXTENT_BYTES];
	struct extent x, again;

	if (record_decode_extent(1 << 20, data, size, &x) < 0)
		return;
	check(x.object_offset_bytes + x.size_bytes <= x.object_size_bytes);
	check(x.offset_bytes + x.size_bytes >= x.offset_bytes);
	check(record_decode_extent(1 << 20, first, record_encode_extent(&x, first), &again) == 0);
	check(record_same_content(&x, &again) && x.size_bytes == again.size_bytes);
	check(x.kind == again.kind && x.encoding == again.encoding &&
		x.stored_bytes == again.stored_bytes && x.checksum == again.checksum);
	check(x.kind != OBJECT_PACK || x.stored_bytes <= x.object_size_bytes);
	check(record_encode_extent(&x, first) == size && memcmp(first, data, size) == 0);
}

static bool is_sorted(const struct upload *u)
{
	for (uint32_t i = 0; i < u->n_dirty; i++) {
		if (u->dirty[i].first >= u->dirty[i].end ||
			(i > 0 && u->dirty[i - 1].end >= u->dirty[i].first))
			return false;
	}
	return true;
}

/* The record's ranges are added one by one, then taken away again. */
static void fuzz_ranges(const struct upload *from)
{
	struct upload u = {0};

	for (uint32_t i = 0; i < from->n_dirty; i++) {
		const struct block_range *range = &from->dirty[i];

		upload_add_range(&u, range->first, range->end);
		check(is_sorted(&u) && u.n_dirty <= RECORD_UPLOAD_MAX_RANGES);
		check(range->first == range->end || upload_covers(&u, range->first, range->end));
	}
	for (uint32_t i = 0; i < from->n_dirty; i++) {
		upload_remove_range(&u, from->dirty[i].first / 2, from->dirty[i].end);
		check(is_sorted(&u) && u.n_dirty <= RECORD_UPLOAD_MAX_RANGES);
	}
}

static void fuzz_upload(const uint8_t *data, size_t size)
{
	uint8_t first[RECORD_UPLOAD_BYTES], second[RECORD_UPLOAD_BYTES];
	struct upload u, again;
	size_t n;

	if (record_decode_upload(data, size, &u) < 0)
		return;
	check(u.n_dirty <= RECORD_UPLOAD_MAX_RANGES);
	n = record_encode_upload(&u, first);
	check(record_decode_upload(first, n, &again) == 0);
	check(record_encode_upload(&again, second) == n && memcmp(first, second, n) == 0);
	fuzz_ranges(&u);
}

static void fuzz_small(const uint8_t *data, size_t size)
{
	uint8_t bytes[RECORD_SMALL_BYTES];
	struct account_record account;
	struct local_body local;
	struct object_record object;
	struct pack_record pack;
	uint8_t pack_bytes[RECORD_PACK_BYTES];

	if (record_decode_account(data, size, &account) == 0)
		check(record_encode_account(&account, bytes) == size &&
			memcmp(bytes, data, size) == 0);
	if (record_decode_local(data, size, &local) == 0)
		check(record_encode_local(&local, bytes) == size && memcmp(bytes, data, size) == 0);
	if (record_decode_object(data, size, &object) == 0)
		check(record_encode_object(&object, bytes) == size &&
			memcmp(bytes, data, size) == 0);
	if (record_decode_pack(data, size, &pack) == 0)
		check(record_encode_pack(&pack, pack_bytes) == size &&
			memcmp(pack_bytes, data, size) == 0 && pack.live_bytes <= pack.total_bytes);
}

static void fuzz_key(const uint8_t *data, size_t size)
{
	size_t tail_bytes = 0;
	const uint8_t *tail = key_tail(data, size, &tail_bytes);

	check(tail == NULL || (tail >= data && tail + tail_bytes == data + size));
	tail_bytes = 0;
	tail = key_node_tail(data, size, &tail_bytes);
	check(tail == NULL || (tail >= data && tail + tail_bytes == data + size));
	(void)key_tail_number(data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const uint8_t *data, size_t size) = {
		fuzz_inode, fuzz_entry, fuzz_extent, fuzz_upload, fuzz_small, fuzz_key};

	if (size > 0)
		targets[data[0] % (sizeof(targets) / sizeof(targets[0]))](data + 1, size - 1);
	return 0;
}
