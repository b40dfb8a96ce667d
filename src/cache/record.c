#include <config.h>
#include "cache/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/pack.h"
#include "util/codec.h"

/* One number for all records: they change together, with the store's format version. */
#define RECORD_VERSION 2

static size_t finish(const struct encoder *e)
{
	assert(encoder_ok(e));
	return e->size_bytes;
}

static struct encoder begin(uint8_t *data, size_t capacity_bytes)
{
	struct encoder e = encoder_over(data, capacity_bytes);

	encode_u8(&e, RECORD_VERSION);
	return e;
}

/* Checks the version; a decoder that fails here gives zeros and is not ok. */
static struct decoder open_record(const void *data, size_t size_bytes)
{
	struct decoder d = decoder_over(data, size_bytes);

	if (decode_u8(&d) != RECORD_VERSION)
		d.underrun = true;
	return d;
}

static int close_record(const struct decoder *d)
{
	return decoder_ok(d) && decoder_left_bytes(d) == 0 ? 0 : -EBADMSG;
}

static void encode_time(struct encoder *e, const struct timespec *t)
{
	encode_u64(e, (uint64_t)t->tv_sec);
	encode_u32(e, (uint32_t)t->tv_nsec);
}

static void decode_time(struct decoder *d, struct timespec *ret)
{
	ret->tv_sec = (time_t)decode_u64(d);
	ret->tv_nsec = decode_u32(d);
	if (ret->tv_nsec >= 1000000000)
		d->underrun = true;
}

size_t record_encode_inode(const struct inode *inode, uint8_t data[RECORD_INODE_BYTES])
{
	struct encoder e = begin(data, RECORD_INODE_BYTES);

	encode_u32(&e, inode->mode);
	encode_u32(&e, inode->nlink);
	encode_u32(&e, inode->uid);
	encode_u32(&e, inode->gid);
	encode_u32(&e, inode->rdev);
	encode_u64(&e, inode->size_bytes);
	encode_time(&e, &inode->atime);
	encode_time(&e, &inode->mtime);
	encode_time(&e, &inode->ctime);
	encode_time(&e, &inode->btime);
	encode_u8(&e, inode->flags);
	encode_u8(&e, inode->file_class);
	encode_u8(&e, inode->deferral);
	encode_u8(&e, inode->block_shift);
	encode_u8(&e, inode->directory_kind);
	encode_u8(&e, inode->depth);
	encode_u64(&e, inode->blocks);
	encode_u64(&e, inode->parent);
	if (inode_is_directory(inode)) {
		encode_u64(&e, inode->entries);
		encode_u64(&e, inode->next_cookie);
	}
	return finish(&e);
}

int record_decode_inode(uint64_t ino, const void *data, size_t size_bytes, struct inode *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct inode inode = {.ino = ino};
	int r;

	inode.mode = decode_u32(&d);
	inode.nlink = decode_u32(&d);
	inode.uid = decode_u32(&d);
	inode.gid = decode_u32(&d);
	inode.rdev = decode_u32(&d);
	inode.size_bytes = decode_u64(&d);
	decode_time(&d, &inode.atime);
	decode_time(&d, &inode.mtime);
	decode_time(&d, &inode.ctime);
	decode_time(&d, &inode.btime);
	inode.flags = decode_u8(&d);
	inode.file_class = decode_u8(&d);
	inode.deferral = decode_u8(&d);
	inode.block_shift = decode_u8(&d);
	inode.directory_kind = decode_u8(&d);
	inode.depth = decode_u8(&d);
	inode.blocks = decode_u64(&d);
	inode.parent = decode_u64(&d);
	if (inode_is_directory(&inode)) {
		inode.entries = decode_u64(&d);
		inode.next_cookie = decode_u64(&d);
	}
	r = close_record(&d);
	if (inode.block_shift > 24 || (S_ISREG(inode.mode) && inode.block_shift < 9))
		r = -EBADMSG;
	if (r == 0)
		*ret = inode;
	return r;
}

size_t record_encode_entry(const struct entry *entry, uint8_t data[RECORD_ENTRY_BYTES])
{
	struct encoder e = begin(data, RECORD_ENTRY_BYTES);

	encode_u64(&e, entry->ino);
	encode_u32(&e, entry->mode & S_IFMT);
	encode_u64(&e, entry->cookie);
	encode_bytes(&e, entry->name, strlen(entry->name));
	return finish(&e);
}

int record_decode_entry(const void *data, size_t size_bytes, struct entry *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct entry entry = {0};
	size_t name_bytes;

	entry.ino = decode_u64(&d);
	entry.mode = decode_u32(&d);
	entry.cookie = decode_u64(&d);
	name_bytes = decoder_left_bytes(&d);
	if (!decoder_ok(&d) || name_bytes >= sizeof(entry.name))
		return -EBADMSG;
	decode_bytes(&d, entry.name, name_bytes);
	*ret = entry;
	return 0;
}

size_t record_encode_account(const struct account_record *a, uint8_t data[RECORD_ACCOUNT_BYTES])
{
	struct encoder e = begin(data, RECORD_ACCOUNT_BYTES);

	encode_u64(&e, a->next_local);
	encode_u32(&e, a->next_account);
	return finish(&e);
}

int record_decode_account(const void *data, size_t size_bytes, struct account_record *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct account_record a;
	int r;

	a.next_local = decode_u64(&d);
	a.next_account = decode_u32(&d);
	r = close_record(&d);
	if (r == 0)
		*ret = a;
	return r;
}

size_t record_encode_extent(const struct extent *x, uint8_t data[RECORD_EXTENT_BYTES])
{
	struct encoder e = begin(data, RECORD_EXTENT_BYTES);

	encode_u64(&e, x->size_bytes);
	encode_bytes(&e, x->object.bytes, UUID_BYTES);
	encode_u64(&e, x->object_offset_bytes);
	encode_u64(&e, x->object_size_bytes);
	encode_u8(&e, x->kind);
	if (x->kind == OBJECT_PACK) {
		encode_u8(&e, x->encoding);
		encode_u32(&e, x->stored_bytes);
		encode_u64(&e, x->stored_offset_bytes);
		encode_u64(&e, x->checksum);
	}
	return finish(&e);
}

/* What a pack can hold, and where. */
static bool is_in_pack(const struct extent *x)
{
	return x->encoding <= PACK_ZSTD && x->stored_bytes > 0 &&
	       x->object_size_bytes <= PACK_MAX_CONTENT_BYTES &&
	       x->stored_bytes <= x->object_size_bytes &&
	       (x->encoding != PACK_RAW || x->stored_bytes == x->object_size_bytes) &&
	       x->stored_offset_bytes >= PACK_HEADER_BYTES + PACK_ENTRY_BYTES &&
	       x->stored_offset_bytes <= PACK_MAX_BYTES - x->stored_bytes;
}

int record_decode_extent(
	uint64_t offset_bytes, const void *data, size_t size_bytes, struct extent *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct extent x = {.offset_bytes = offset_bytes};
	uint64_t end;
	int r;

	x.size_bytes = decode_u64(&d);
	decode_bytes(&d, x.object.bytes, UUID_BYTES);
	x.object_offset_bytes = decode_u64(&d);
	x.object_size_bytes = decode_u64(&d);
	x.kind = decode_u8(&d);
	if (x.kind == OBJECT_PACK) {
		x.encoding = decode_u8(&d);
		x.stored_bytes = decode_u32(&d);
		x.stored_offset_bytes = decode_u64(&d);
		x.checksum = decode_u64(&d);
	}
	r = close_record(&d);
	if (x.kind > OBJECT_PACK || (x.kind == OBJECT_PACK && !is_in_pack(&x)))
		r = -EBADMSG;
	if (r == 0 && (__builtin_add_overflow(x.object_offset_bytes, x.size_bytes, &end) ||
			      end > x.object_size_bytes ||
			      __builtin_add_overflow(x.offset_bytes, x.size_bytes, &end)))
		r = -EBADMSG;
	if (r == 0)
		*ret = x;
	return r;
}

bool record_same_content(const struct extent *a, const struct extent *b)
{
	return memcmp(&a->object, &b->object, sizeof(a->object)) == 0 &&
	       a->stored_offset_bytes == b->stored_offset_bytes;
}

static void encode_range(struct encoder *e, const struct block_range *range)
{
	encode_u64(e, range->first);
	encode_u64(e, range->end);
}

static void decode_range(struct decoder *d, struct block_range *ret)
{
	ret->first = decode_u64(d);
	ret->end = decode_u64(d);
	if (ret->first > ret->end)
		d->underrun = true;
}

size_t record_encode_upload(const struct upload *u, uint8_t data[RECORD_UPLOAD_BYTES])
{
	struct encoder e = begin(data, RECORD_UPLOAD_BYTES);

	encode_u64(&e, (uint64_t)u->since_ms);
	encode_u8(&e, (uint8_t)u->n_dirty);
	for (uint32_t i = 0; i < u->n_dirty; i++)
		encode_range(&e, &u->dirty[i]);
	encode_u8(&e, u->running);
	if (u->running) {
		encode_range(&e, &u->uploading);
		encode_bytes(&e, u->object.bytes, UUID_BYTES);
		encode_u8(&e, u->kind);
	}
	return finish(&e);
}

int record_decode_upload(const void *data, size_t size_bytes, struct upload *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct upload u = {0};
	int r;

	u.since_ms = (int64_t)decode_u64(&d);
	u.n_dirty = decode_u8(&d);
	if (u.n_dirty > RECORD_UPLOAD_MAX_RANGES)
		return -EBADMSG;
	for (uint32_t i = 0; i < u.n_dirty; i++)
		decode_range(&d, &u.dirty[i]);
	u.running = decode_u8(&d) != 0;
	if (u.running) {
		decode_range(&d, &u.uploading);
		decode_bytes(&d, u.object.bytes, UUID_BYTES);
		u.kind = decode_u8(&d);
	}
	r = u.kind > OBJECT_PACK ? -EBADMSG : close_record(&d);
	if (r == 0)
		*ret = u;
	return r;
}

size_t record_encode_object(const struct object_record *o, uint8_t data[RECORD_SMALL_BYTES])
{
	struct encoder e = begin(data, RECORD_SMALL_BYTES);

	encode_u32(&e, o->account);
	encode_u8(&e, o->kind);
	encode_u8(&e, o->state);
	encode_u64(&e, o->dead_ms);
	return finish(&e);
}

int record_decode_object(const void *data, size_t size_bytes, struct object_record *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct object_record o;
	int r;

	o.account = decode_u32(&d);
	o.kind = decode_u8(&d);
	o.state = decode_u8(&d);
	o.dead_ms = decode_u64(&d);
	r = close_record(&d);
	if (o.kind > OBJECT_PACK || o.state > OBJECT_UNUSED ||
		(o.state != OBJECT_DEAD && o.dead_ms != 0))
		r = -EBADMSG;
	if (r == 0)
		*ret = o;
	return r;
}

size_t record_encode_pack(const struct pack_record *p, uint8_t data[RECORD_PACK_BYTES])
{
	struct encoder e = begin(data, RECORD_PACK_BYTES);

	encode_u64(&e, p->total_bytes);
	encode_u64(&e, p->live_bytes);
	encode_u32(&e, p->live_bodies);
	return finish(&e);
}

int record_decode_pack(const void *data, size_t size_bytes, struct pack_record *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct pack_record p;
	int r;

	p.total_bytes = decode_u64(&d);
	p.live_bytes = decode_u64(&d);
	p.live_bodies = decode_u32(&d);
	r = close_record(&d);
	if (p.total_bytes > PACK_MAX_BYTES || p.live_bytes > p.total_bytes ||
		p.live_bodies > PACK_MAX_ENTRIES || (p.live_bytes == 0) != (p.live_bodies == 0))
		r = -EBADMSG;
	if (r == 0)
		*ret = p;
	return r;
}

size_t record_encode_torn_size(uint64_t size_bytes, uint8_t data[RECORD_SMALL_BYTES])
{
	struct encoder e = begin(data, RECORD_SMALL_BYTES);

	encode_u64(&e, size_bytes);
	return finish(&e);
}

int record_decode_torn_size(const void *data, size_t size_bytes, uint64_t *ret)
{
	struct decoder d = open_record(data, size_bytes);
	uint64_t size = decode_u64(&d);
	int r = close_record(&d);

	if (r == 0)
		*ret = size;
	return r;
}

size_t record_encode_local(const struct local_body *l, uint8_t data[RECORD_SMALL_BYTES])
{
	struct encoder e = begin(data, RECORD_SMALL_BYTES);

	encode_u64(&e, l->used_ms);
	encode_u64(&e, l->size_bytes);
	return finish(&e);
}

int record_decode_local(const void *data, size_t size_bytes, struct local_body *ret)
{
	struct decoder d = open_record(data, size_bytes);
	struct local_body l;
	int r;

	l.used_ms = decode_u64(&d);
	l.size_bytes = decode_u64(&d);
	r = close_record(&d);
	if (r == 0)
		*ret = l;
	return r;
}
