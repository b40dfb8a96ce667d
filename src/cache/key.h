/*
 * key.h: keys of the local store (doc/format-metadata.md).
 *
 * Every key begins with an account number, so that all of an account is one contiguous range, then
 * a record type, then what the record belongs to. Numbers are big-endian, so that keys sort.
 * An inode number is composed of the account's number (24 bits) and the account's own (40 bits);
 * it is the same on every node and never used again.
 */
#ifndef MAILFS_CACHE_KEY_H
#define MAILFS_CACHE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/uuid.h"

#define KEY_MAX_BYTES 288
#define KEY_INO_LOCAL_BITS 40
#define KEY_INO_LOCAL_MAX ((UINT64_C(1) << KEY_INO_LOCAL_BITS) - 1)
#define KEY_ACCOUNT_MAX ((UINT32_C(1) << 24) - 1)
#define KEY_ROOT_ACCOUNT 0
#define KEY_INO_LOCAL_ROOT 1 /* the directory an account begins at */

/* Not an account: what only this node knows (queues, cache bookkeeping). Sorts behind all. */
#define KEY_NODE_SECTION UINT32_MAX

enum key_type {
	KEY_ACCOUNT = 'A',      /* -> allocation of inode numbers */
	KEY_COOKIE = 'C',       /* directory ino, position (fs/entry.h) -> entry, for readdir */
	KEY_DATA = 'D',         /* ino, block -> content (STORE_DATA) */
	KEY_EXTENT = 'E',       /* ino, offset -> object that holds it */
	KEY_INODE = 'I',        /* ino -> attributes */
	KEY_NAME = 'N',         /* directory ino, name -> entry, for lookup */
	KEY_PACK = 'P',         /* pack's uuid -> what of it is live */
	KEY_SYMLINK = 'S',      /* ino -> target */
	KEY_XATTR = 'X',        /* ino, name -> value */
	KEY_NODE_FORMAT = 'F',  /* node section: version of all of this */
	KEY_NODE_GARBAGE = 'G', /* node section: object uuid -> account; to be removed */
	KEY_NODE_ABSENT = 'B',  /* node section: account that is on the backend only (adoption.h) */
	KEY_NODE_JOURNAL = 'J', /* node section: incarnation, segment -> what it has (shipped.h) */
	KEY_NODE_LATEST = 'K',  /* node section: account -> position of its latest segment */
	KEY_NODE_LRU = 'L',     /* node section: time, ino -> nothing */
	KEY_NODE_LOCAL = 'M',   /* node section: ino -> place in the LRU, local bytes */
	KEY_NODE_ORPHAN = 'O',  /* node section: ino without a name */
	KEY_NODE_PENDING = 'P', /* node section: object uuid -> account; being put */
	KEY_NODE_REPLAY = 'R',  /* node section: account that is being loaded (replay.h) */
	KEY_NODE_TORN = 'T',    /* node section: ino -> size before an append that may be half */
	KEY_NODE_UPLOAD = 'U',  /* node section: ino -> dirty ranges */
};

struct key {
	size_t size_bytes;
	uint8_t bytes[KEY_MAX_BYTES];
};

static inline uint32_t key_ino_account(uint64_t ino)
{
	return (uint32_t)(ino >> KEY_INO_LOCAL_BITS);
}

static inline uint64_t key_ino_local(uint64_t ino)
{
	return ino & KEY_INO_LOCAL_MAX;
}

static inline uint64_t key_ino_compose(uint32_t account, uint64_t local)
{
	return (uint64_t)account << KEY_INO_LOCAL_BITS | local;
}

struct key key_account(uint32_t account);
struct key key_inode(uint64_t ino);
struct key key_symlink(uint64_t ino);
struct key key_name(uint64_t directory, const char *name);
struct key key_cookie(uint64_t directory, uint64_t position);
struct key key_xattr(uint64_t ino, const char *name);
struct key key_data(uint64_t ino, uint64_t block);
struct key key_extent(uint64_t ino, uint64_t offset);

struct key key_pack(uint32_t account, const struct uuid *pack);

/* The first key behind all keys of this type and inode, as the end of a scan. */
struct key key_end_of(enum key_type type, uint64_t ino);

/* What follows account, type and inode in a key of one of the types above: cookie, block, offset
 * or the name of an xattr. NULL when the key is too short. */
const uint8_t *key_tail(const uint8_t *key, size_t size_bytes, size_t *ret_tail_bytes);
uint64_t key_tail_number(const uint8_t *key, size_t size_bytes);

/* The account as a range: from the first up to but without the second. */
struct key key_account_begin(uint32_t account);
struct key key_account_end(uint32_t account);

/* What all keys of the type begin with in the account. */
struct key key_type(uint32_t account, enum key_type type);

/* The pack of a KEY_PACK's key; false: it is no such key. */
bool key_pack_uuid(const uint8_t *key, size_t size_bytes, struct uuid *ret);

/* Node section. */
struct key key_node(enum key_type type);
struct key key_node_end(enum key_type type);
struct key key_node_ino(enum key_type type, uint64_t ino);
struct key key_node_uuid(enum key_type type, const struct uuid *uuid);
struct key key_node_journal(uint64_t incarnation, uint64_t sequence);
struct key key_node_account(enum key_type type, uint32_t account);
struct key key_node_lru(uint64_t time_ms, uint64_t ino);

/* The first key behind all of key_node_ino() for inodes of the account. */
struct key key_node_end_of_account(enum key_type type, uint32_t account);

/* What follows the type in a key of the node section. */
const uint8_t *key_node_tail(const uint8_t *key, size_t size_bytes, size_t *ret_tail_bytes);

/* The inode that all of the tail is; false: the key is damaged. */
bool key_node_tail_ino(const uint8_t *key, size_t size_bytes, uint64_t *ret);

/* The first key behind this one. */
struct key key_behind(const struct key *key);

#endif
