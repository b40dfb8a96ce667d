#include <config.h>
#include "admin/dump_record.h"

#include <stdio.h>
#include <string.h>
#include "admin/dump.h"
#include "cache/key.h"
#include "cache/pack.h"
#include "cache/record.h"
#include "util/codec.h"

/* What follows the type and the inode in a key. */
enum tail {
	TAIL_NONE,
	TAIL_NUMBER,
	TAIL_NAME,
	TAIL_UUID,
};

struct type {
	uint8_t letter;
	const char *name;
	const char *ino_name; /* NULL: keys have no inode */
	enum tail tail;
	const char *tail_name;
};

static const struct type types[] = {
	{KEY_ACCOUNT, "account", NULL, TAIL_NONE, NULL},
	{KEY_COOKIE, "cookie", "directory", TAIL_NUMBER, "position"},
	{KEY_DATA, "data", "inode", TAIL_NUMBER, "block"},
	{KEY_EXTENT, "extent", "inode", TAIL_NUMBER, "offset_bytes"},
	{KEY_INODE, "inode", "inode", TAIL_NONE, NULL},
	{KEY_NAME, "name", "directory", TAIL_NAME, "name"},
	{KEY_PACK, "pack", NULL, TAIL_UUID, "pack"},
	{KEY_SYMLINK, "symlink", "inode", TAIL_NONE, NULL},
	{KEY_XATTR, "xattr", "inode", TAIL_NAME, "name"},
};

static const struct type *find_type(uint8_t letter)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].letter == letter)
			return &types[i];
	}
	return NULL;
}

/* ---- keys */

/* False when the key is not as its type has it. */
static bool set_key(json_t *to, const struct type *type, const struct section_record *record)
{
	struct decoder d = decoder_over(record->key + 1, record->key_bytes - 1);
	uint64_t ino = 0, number = 0;
	struct uuid uuid;
	size_t left;

	if (type->ino_name != NULL)
		ino = decode_u64(&d);
	if (type->tail == TAIL_NUMBER)
		number = decode_u64(&d);
	left = decoder_left_bytes(&d);
	if (!decoder_ok(&d) || (type->tail == TAIL_UUID ? left != UUID_BYTES
							: (type->tail == TAIL_NAME) != (left > 0)))
		return false;
	if (type->ino_name != NULL)
		dump_set_number(to, type->ino_name, ino);
	if (type->tail == TAIL_NUMBER)
		dump_set_number(to, type->tail_name, number);
	else if (type->tail == TAIL_NAME)
		dump_set_bytes(to, type->tail_name, decode_view(&d, left), left);
	if (type->tail == TAIL_UUID) {
		decode_bytes(&d, uuid.bytes, UUID_BYTES);
		dump_set_uuid(to, type->tail_name, &uuid);
	}
	return true;
}

/* ---- values */

static void set_mode(json_t *to, uint32_t mode)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%06o", mode);
	dump_set_text(to, "mode", text);
}

static void set_timespec(json_t *to, const char *name, const struct timespec *t)
{
	int64_t ms;

	if (!__builtin_mul_overflow((int64_t)t->tv_sec, (int64_t)1000, &ms) &&
		!__builtin_add_overflow(ms, (int64_t)(t->tv_nsec / 1000000), &ms))
		dump_set_time(to, name, ms);
}

static bool set_inode(json_t *to, const void *value, size_t size_bytes)
{
	struct inode inode;

	if (record_decode_inode(0, value, size_bytes, &inode) < 0)
		return false;
	set_mode(to, inode.mode);
	dump_set_number(to, "nlink", inode.nlink);
	dump_set_number(to, "uid", inode.uid);
	dump_set_number(to, "gid", inode.gid);
	if (S_ISBLK(inode.mode) || S_ISCHR(inode.mode))
		dump_set_number(to, "rdev", inode.rdev);
	dump_set_number(to, "size_bytes", inode.size_bytes);
	set_timespec(to, "atime", &inode.atime);
	set_timespec(to, "mtime", &inode.mtime);
	set_timespec(to, "ctime", &inode.ctime);
	set_timespec(to, "btime", &inode.btime);
	dump_set_number(to, "flags", inode.flags);
	dump_set_number(to, "file_class", inode.file_class);
	dump_set_number(to, "deferral", inode.deferral);
	dump_set_number(to, "block_shift", inode.block_shift);
	dump_set_number(to, "blocks", inode.blocks);
	dump_set_number(to, "parent", inode.parent);
	if (inode_is_directory(&inode)) {
		dump_set_number(to, "directory_kind", inode.directory_kind);
		dump_set_number(to, "depth", inode.depth);
		dump_set_number(to, "entries", inode.entries);
		dump_set_number(to, "next_cookie", inode.next_cookie);
	}
	return true;
}

static bool set_entry(json_t *to, const void *value, size_t size_bytes)
{
	struct entry entry;

	if (record_decode_entry(value, size_bytes, &entry) < 0)
		return false;
	dump_set_number(to, "inode", entry.ino);
	set_mode(to, entry.mode);
	dump_set_number(to, "cookie", entry.cookie);
	if (entry.name[0] != '\0')
		dump_set_bytes(to, "name", (const uint8_t *)entry.name, strlen(entry.name));
	return true;
}

static bool set_extent(json_t *to, const void *value, size_t size_bytes)
{
	struct extent extent;

	if (record_decode_extent(0, value, size_bytes, &extent) < 0)
		return false;
	dump_set_number(to, "size_bytes", extent.size_bytes);
	dump_set_uuid(to, "object", &extent.object);
	dump_set_number(to, "object_offset_bytes", extent.object_offset_bytes);
	dump_set_number(to, "object_size_bytes", extent.object_size_bytes);
	dump_set_text(to, "kind", extent.kind == OBJECT_PACK ? "pack" : "body");
	if (extent.kind != OBJECT_PACK)
		return true;
	dump_set_text(to, "encoding", extent.encoding == PACK_RAW ? "raw" : "zstd");
	dump_set_number(to, "stored_offset_bytes", extent.stored_offset_bytes);
	dump_set_number(to, "stored_bytes", extent.stored_bytes);
	dump_set_hex_number(to, "content_checksum", extent.checksum);
	return true;
}

static bool set_pack(json_t *to, const void *value, size_t size_bytes)
{
	struct pack_record pack;

	if (record_decode_pack(value, size_bytes, &pack) < 0)
		return false;
	dump_set_number(to, "total_bytes", pack.total_bytes);
	dump_set_number(to, "live_bytes", pack.live_bytes);
	dump_set_number(to, "live_bodies", pack.live_bodies);
	return true;
}

static bool set_account(json_t *to, const void *value, size_t size_bytes)
{
	struct account_record account;

	if (record_decode_account(value, size_bytes, &account) < 0)
		return false;
	dump_set_number(to, "next_inode", account.next_local);
	dump_set_number(to, "next_account", account.next_account);
	return true;
}

/* False when there is nothing to decode, or it is not understood. */
static bool set_fields(json_t *to, uint8_t letter, const void *value, size_t size_bytes)
{
	switch (letter) {
	case KEY_INODE:
		return set_inode(to, value, size_bytes);
	case KEY_NAME:
	case KEY_COOKIE:
		return set_entry(to, value, size_bytes);
	case KEY_EXTENT:
		return set_extent(to, value, size_bytes);
	case KEY_PACK:
		return set_pack(to, value, size_bytes);
	case KEY_ACCOUNT:
		return set_account(to, value, size_bytes);
	default:
		return false;
	}
}

static void set_value(json_t *to, const struct section_record *record)
{
	json_t *fields;

	if (record->key[0] == KEY_SYMLINK) {
		dump_set_bytes(to, "value", record->value, record->value_bytes);
		return;
	}
	fields = json_object();
	if (set_fields(fields, record->key[0], record->value, record->value_bytes)) {
		(void)json_object_set_new(to, "value", fields);
		return;
	}
	json_decref(fields);
	dump_set_hex(to, "value_hex", record->value, record->value_bytes);
}

json_t *dump_record_json(const struct section_record *record)
{
	const struct type *type = find_type(record->key[0]);
	json_t *to = json_object();

	dump_set_text(to, "table", record->table == SECTION_DATA ? "data" : "meta");
	dump_set_text(to, "operation", record->is_removal ? "remove" : "put");
	if (type != NULL)
		dump_set_text(to, "type", type->name);
	if (type == NULL || !set_key(to, type, record))
		dump_set_hex(to, "key_hex", record->key, record->key_bytes);
	if (!record->is_removal)
		set_value(to, record);
	return to;
}
