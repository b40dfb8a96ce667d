/*
 * record.h: values of the local store (doc/format-metadata.md): to and from bytes.
 *
 * Every value but content, symlink targets and xattrs begins with a version byte. Decoders check
 * all bounds and give -EBADMSG for what they do not understand; they are fuzzed. Encoders write
 * into a buffer of the named size, which always suffices.
 */
#ifndef MAILFS_CACHE_RECORD_H
#define MAILFS_CACHE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>
#include "util/uuid.h"

/* ---- inodes */
#define RECORD_INODE_BYTES 160

enum inode_flag {
	INODE_BODY = 1 << 0,      /* content goes to the backend; KEY_NODE_UPLOAD tracks it */
	INODE_HAS_XATTR = 1 << 1, /* there may be KEY_XATTR records */
};

struct inode {
	uint64_t ino;    /* from the key */
	uint64_t parent; /* directories: where ".." leads; files: where the last name was given */
	uint32_t mode, nlink, uid, gid, rdev;
	uint64_t size_bytes;
	uint64_t blocks;      /* files: data blocks that exist, here or on the backend */
	uint64_t entries;     /* directories: names in it */
	uint64_t next_cookie; /* directories: for the next entry; grows for ever */
	struct timespec atime, mtime, ctime, btime;
	uint8_t block_shift;    /* files: a block is 1 << block_shift bytes */
	uint8_t file_class;     /* files: enum file_class, from the last name given */
	uint8_t directory_kind; /* directories: enum directory_kind */
	uint8_t depth;          /* directories of the root account: components below the root */
	uint8_t flags;          /* enum inode_flag */
	uint8_t deferral;       /* files: number of a struct file_class_deferral, or 0 */

	/* In memory only. */
	bool torn;             /* torn_write.h: the last append may be half of one */
	uint64_t changed_lsn;  /* commit.h: what a sync of it must cover */
	uint64_t first_cookie; /* directories: no entry has a smaller one */
};

static inline bool inode_is_directory(const struct inode *inode)
{
	return S_ISDIR(inode->mode);
}

static inline uint64_t inode_block_bytes(const struct inode *inode)
{
	return UINT64_C(1) << inode->block_shift;
}

size_t record_encode_inode(const struct inode *inode, uint8_t data[RECORD_INODE_BYTES]);
int record_decode_inode(uint64_t ino, const void *data, size_t size_bytes, struct inode *ret);

/* ---- directory entries: the value of a name, and of a cookie (with the name behind it) */
#define RECORD_ENTRY_BYTES (32 + 256)

struct entry {
	uint64_t ino;
	uint32_t mode; /* the file's type bits */
	uint64_t cookie;
	char name[256]; /* of a cookie record only */
};

size_t record_encode_entry(const struct entry *entry, uint8_t data[RECORD_ENTRY_BYTES]);
int record_decode_entry(const void *data, size_t size_bytes, struct entry *ret);

/* ---- accounts */
#define RECORD_ACCOUNT_BYTES 16

struct account_record {
	uint64_t next_local;   /* inode numbers from here on were never given out */
	uint32_t next_account; /* root account only: the same for account numbers */
};

size_t record_encode_account(const struct account_record *a, uint8_t data[RECORD_ACCOUNT_BYTES]);
int record_decode_account(const void *data, size_t size_bytes, struct account_record *ret);

/* ---- extents: a part of a body on the backend */
#define RECORD_EXTENT_BYTES 64

enum object_kind {
	OBJECT_BODY = 0, /* body_object.h: one content; it says itself how it is stored */
	OBJECT_PACK = 1, /* pack.h: many contents; the extent says where its own is */
};

struct extent {
	uint64_t offset_bytes; /* in the file, from the key; a multiple of the block size */
	uint64_t size_bytes;
	struct uuid object;
	uint64_t object_offset_bytes; /* of the extent's first byte in the raw content */
	uint64_t object_size_bytes; /* of the whole raw content: the object's, or in a pack ours */
	uint8_t kind;               /* enum object_kind */

	/* Of a pack only, else 0: what to fetch, and how to make content of it. */
	uint8_t encoding; /* enum pack_encoding */
	uint32_t stored_bytes;
	uint64_t stored_offset_bytes;
	uint64_t checksum; /* XXH3-64 of the raw content */
};

/* Whether both lead into the same content. */
bool record_same_content(const struct extent *a, const struct extent *b);

size_t record_encode_extent(const struct extent *x, uint8_t data[RECORD_EXTENT_BYTES]);
int record_decode_extent(
	uint64_t offset_bytes, const void *data, size_t size_bytes, struct extent *ret);

/* ---- uploads: which blocks of a body the backend does not have yet */
#define RECORD_UPLOAD_MAX_RANGES 32
#define RECORD_UPLOAD_BYTES (64 + (RECORD_UPLOAD_MAX_RANGES + 1) * 16 + UUID_BYTES)

struct block_range {
	uint64_t first, end; /* blocks first .. end - 1 */
};

struct upload {
	int64_t since_ms; /* since 1970: when the oldest of these changes was made */
	uint32_t n_dirty;
	struct block_range dirty[RECORD_UPLOAD_MAX_RANGES]; /* sorted, apart from each other */
	bool running; /* `object` is being put for `uploading` */
	struct block_range uploading;
	struct uuid object;
	uint8_t kind; /* enum object_kind, of the object */
};

size_t record_encode_upload(const struct upload *u, uint8_t data[RECORD_UPLOAD_BYTES]);
int record_decode_upload(const void *data, size_t size_bytes, struct upload *ret);

/* ---- small ones */
#define RECORD_SMALL_BYTES 24

/* KEY_NODE_PENDING and KEY_NODE_GARBAGE: an object of ours that is being put, or is to go. */
enum object_state {
	OBJECT_WAITS = 0,  /* pending; or the journal may not have yet that nothing refers to it */
	OBJECT_DEAD = 1,   /* since then: the journal has it */
	OBJECT_UNUSED = 2, /* nothing ever referred to it */
};

struct object_record {
	uint32_t account;
	uint8_t kind;     /* enum object_kind */
	uint8_t state;    /* enum object_state */
	uint64_t dead_ms; /* OBJECT_DEAD: since then, in ms since 1970; else 0 */
};

size_t record_encode_object(const struct object_record *o, uint8_t data[RECORD_SMALL_BYTES]);
int record_decode_object(const void *data, size_t size_bytes, struct object_record *ret);

/* KEY_PACK: what a pack has, and what of it extents lead to. */
struct pack_record {
	uint64_t total_bytes; /* of its contents, as stored */
	uint64_t live_bytes;  /* stored, of the contents that an extent leads to */
	uint32_t live_bodies; /* how many such contents */
};

#define RECORD_PACK_BYTES 32
size_t record_encode_pack(const struct pack_record *p, uint8_t data[RECORD_PACK_BYTES]);
int record_decode_pack(const void *data, size_t size_bytes, struct pack_record *ret);

/* KEY_NODE_LOCAL: what the cache holds of a body, and its place in the LRU. */
struct local_body {
	uint64_t used_ms;
	uint64_t size_bytes;
};
/* KEY_NODE_TORN: how long the file was before. */
size_t record_encode_torn_size(uint64_t size_bytes, uint8_t data[RECORD_SMALL_BYTES]);
int record_decode_torn_size(const void *data, size_t size_bytes, uint64_t *ret);

size_t record_encode_local(const struct local_body *l, uint8_t data[RECORD_SMALL_BYTES]);
int record_decode_local(const void *data, size_t size_bytes, struct local_body *ret);

#endif
