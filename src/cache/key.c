#include <config.h>
#include "cache/key.h"

#include <assert.h>
#include <string.h>
#include "util/codec.h"

#define NODE_HEAD_BYTES 5
#define INO_HEAD_BYTES 13

/* Names are checked before they get here; a longer one is a mistake of ours. */
static struct key finish(struct key *key, const struct encoder *e)
{
	assert(encoder_ok(e));
	key->size_bytes = e->size_bytes;
	return *key;
}

static struct encoder begin(struct key *key, uint32_t account, enum key_type type)
{
	struct encoder e = encoder_over(key->bytes, sizeof(key->bytes));

	encode_u32(&e, account);
	encode_u8(&e, (uint8_t)type);
	return e;
}

static struct encoder begin_ino(struct key *key, enum key_type type, uint64_t ino)
{
	struct encoder e = begin(key, key_ino_account(ino), type);

	encode_u64(&e, key_ino_local(ino));
	return e;
}

struct key key_account(uint32_t account)
{
	struct key key;
	struct encoder e = begin(&key, account, KEY_ACCOUNT);

	return finish(&key, &e);
}

static struct key account_only(uint32_t account)
{
	struct key key;
	struct encoder e = encoder_over(key.bytes, sizeof(key.bytes));

	encode_u32(&e, account);
	return finish(&key, &e);
}

struct key key_account_begin(uint32_t account)
{
	return account_only(account);
}

struct key key_account_end(uint32_t account)
{
	return account_only(account + 1);
}

static struct key key_of_ino(enum key_type type, uint64_t ino)
{
	struct key key;
	struct encoder e = begin_ino(&key, type, ino);

	return finish(&key, &e);
}

static struct key key_with_number(enum key_type type, uint64_t ino, uint64_t number)
{
	struct key key;
	struct encoder e = begin_ino(&key, type, ino);

	encode_u64(&e, number);
	return finish(&key, &e);
}

static struct key key_with_text(enum key_type type, uint64_t ino, const char *text)
{
	struct key key;
	struct encoder e = begin_ino(&key, type, ino);

	encode_bytes(&e, text, strlen(text));
	return finish(&key, &e);
}

struct key key_inode(uint64_t ino)
{
	return key_of_ino(KEY_INODE, ino);
}

struct key key_symlink(uint64_t ino)
{
	return key_of_ino(KEY_SYMLINK, ino);
}

struct key key_name(uint64_t directory, const char *name)
{
	return key_with_text(KEY_NAME, directory, name);
}

struct key key_cookie(uint64_t directory, uint64_t position)
{
	return key_with_number(KEY_COOKIE, directory, position);
}

struct key key_xattr(uint64_t ino, const char *name)
{
	return key_with_text(KEY_XATTR, ino, name);
}

struct key key_data(uint64_t ino, uint64_t block)
{
	return key_with_number(KEY_DATA, ino, block);
}

struct key key_extent(uint64_t ino, uint64_t offset)
{
	return key_with_number(KEY_EXTENT, ino, offset);
}

struct key key_pack(uint32_t account, const struct uuid *pack)
{
	struct key key;
	struct encoder e = begin(&key, account, KEY_PACK);

	encode_bytes(&e, pack->bytes, UUID_BYTES);
	return finish(&key, &e);
}

bool key_pack_uuid(const uint8_t *key, size_t size_bytes, struct uuid *ret)
{
	if (size_bytes != NODE_HEAD_BYTES + UUID_BYTES || key[NODE_HEAD_BYTES - 1] != KEY_PACK)
		return false;
	memcpy(ret->bytes, key + NODE_HEAD_BYTES, UUID_BYTES);
	return true;
}

struct key key_end_of(enum key_type type, uint64_t ino)
{
	return key_of_ino(type, ino + 1);
}

const uint8_t *key_tail(const uint8_t *key, size_t size_bytes, size_t *ret_tail_bytes)
{
	if (size_bytes < INO_HEAD_BYTES)
		return NULL;
	*ret_tail_bytes = size_bytes - INO_HEAD_BYTES;
	return key + INO_HEAD_BYTES;
}

uint64_t key_tail_number(const uint8_t *key, size_t size_bytes)
{
	size_t tail_bytes = 0;
	const uint8_t *tail = key_tail(key, size_bytes, &tail_bytes);
	struct decoder d = decoder_over(tail, tail == NULL ? 0 : tail_bytes);

	return decode_u64(&d);
}

struct key key_type(uint32_t account, enum key_type type)
{
	struct key key;
	struct encoder e = begin(&key, account, type);

	return finish(&key, &e);
}

struct key key_node(enum key_type type)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, type);

	return finish(&key, &e);
}

struct key key_node_end(enum key_type type)
{
	return key_node(type + 1);
}

struct key key_node_ino(enum key_type type, uint64_t ino)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, type);

	encode_u64(&e, ino);
	return finish(&key, &e);
}

struct key key_node_uuid(enum key_type type, const struct uuid *uuid)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, type);

	encode_bytes(&e, uuid->bytes, UUID_BYTES);
	return finish(&key, &e);
}

struct key key_node_journal(uint64_t incarnation, uint64_t sequence)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, KEY_NODE_JOURNAL);

	encode_u64(&e, incarnation);
	encode_u64(&e, sequence);
	return finish(&key, &e);
}

struct key key_node_account(enum key_type type, uint32_t account)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, type);

	encode_u32(&e, account);
	return finish(&key, &e);
}

struct key key_node_end_of_account(enum key_type type, uint32_t account)
{
	if (account == KEY_ACCOUNT_MAX)
		return key_node_end(type);
	return key_node_ino(type, key_ino_compose(account + 1, 0));
}

struct key key_node_lru(uint64_t time_ms, uint64_t ino)
{
	struct key key;
	struct encoder e = begin(&key, KEY_NODE_SECTION, KEY_NODE_LRU);

	encode_u64(&e, time_ms);
	encode_u64(&e, ino);
	return finish(&key, &e);
}

const uint8_t *key_node_tail(const uint8_t *key, size_t size_bytes, size_t *ret_tail_bytes)
{
	if (size_bytes < NODE_HEAD_BYTES)
		return NULL;
	*ret_tail_bytes = size_bytes - NODE_HEAD_BYTES;
	return key + NODE_HEAD_BYTES;
}

bool key_node_tail_ino(const uint8_t *key, size_t size_bytes, uint64_t *ret)
{
	size_t tail_bytes = 0;
	const uint8_t *tail = key_node_tail(key, size_bytes, &tail_bytes);
	struct decoder d = decoder_over(tail, tail_bytes);
	uint64_t ino;

	if (tail == NULL || tail_bytes != sizeof(ino))
		return false;
	ino = decode_u64(&d);
	*ret = ino;
	return decoder_ok(&d);
}

struct key key_behind(const struct key *key)
{
	struct key behind = *key;

	assert(behind.size_bytes < KEY_MAX_BYTES);
	behind.bytes[behind.size_bytes++] = 0;
	return behind;
}
