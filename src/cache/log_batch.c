#include <config.h>
#include "cache/log_batch.h"

#include <errno.h>
#include <string.h>
#include "util/codec.h"

#define VARINT32_MAX_BYTES 5

/* Of ValueType in db/dbformat.h, what a store of ours can write. */
enum tag {
	TAG_DELETION = 0x0,
	TAG_VALUE = 0x1,
	TAG_LOG_DATA = 0x3,
	TAG_FAMILY_DELETION = 0x4,
	TAG_FAMILY_VALUE = 0x5,
	TAG_NOOP = 0xd,
	TAG_FAMILY_RANGE_DELETION = 0xe,
	TAG_RANGE_DELETION = 0xf,
};

static uint64_t little_endian(struct decoder *d, unsigned int n_bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < n_bytes; i++)
		value |= (uint64_t)decode_u8(d) << 8 * i;
	return value;
}

/* Sets the decoder's underrun for what is no number of 32 bits. */
static uint32_t varint(struct decoder *d)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < VARINT32_MAX_BYTES; i++) {
		uint8_t byte = decode_u8(d);

		value |= (uint64_t)(byte & 0x7f) << 7 * i;
		if (!(byte & 0x80) && value <= UINT32_MAX)
			return (uint32_t)value;
	}
	d->underrun = true;
	return 0;
}

static const uint8_t *slice(struct decoder *d, size_t *ret_bytes)
{
	*ret_bytes = varint(d);
	return decode_view(d, *ret_bytes);
}

struct parse {
	struct decoder d;
	bool is_marked; /* the next change is a copy */
	uint32_t n_changes;
	log_batch_take_fn *take;
	void *arg;
};

static int give(struct parse *p, uint8_t tag, uint32_t family)
{
	struct log_batch_record record = {
		.family = family, .is_copy = p->is_marked, .is_removal = tag != TAG_VALUE};
	size_t value_bytes;

	p->is_marked = false;
	p->n_changes++;
	record.key = slice(&p->d, &record.key_bytes);
	if (tag == TAG_VALUE)
		(void)slice(&p->d, &value_bytes);
	if (tag == TAG_RANGE_DELETION)
		record.to = slice(&p->d, &record.to_bytes);
	return decoder_ok(&p->d) ? p->take(p->arg, &record) : -EBADMSG;
}

static void take_note(struct parse *p)
{
	size_t size_bytes;
	const uint8_t *note = slice(&p->d, &size_bytes);

	p->is_marked = note != NULL && size_bytes == sizeof(LOG_BATCH_COPY_MARK) - 1 &&
		       memcmp(note, LOG_BATCH_COPY_MARK, size_bytes) == 0;
}

static int parse_one(struct parse *p)
{
	uint8_t tag = decode_u8(&p->d);

	switch (tag) {
	case TAG_DELETION:
	case TAG_VALUE:
	case TAG_RANGE_DELETION:
		return give(p, tag, 0);
	case TAG_FAMILY_DELETION:
		return give(p, TAG_DELETION, varint(&p->d));
	case TAG_FAMILY_VALUE:
		return give(p, TAG_VALUE, varint(&p->d));
	case TAG_FAMILY_RANGE_DELETION:
		return give(p, TAG_RANGE_DELETION, varint(&p->d));
	case TAG_LOG_DATA:
		take_note(p);
		return 0;
	case TAG_NOOP:
		return 0;
	default:
		return -EBADMSG;
	}
}

int log_batch_parse(const void *data, size_t size_bytes, log_batch_take_fn *take, void *arg,
	struct log_batch_head *ret_head)
{
	struct parse p = {.d = decoder_over(data, size_bytes), .take = take, .arg = arg};
	struct log_batch_head head;
	int r = 0;

	head.sequence = little_endian(&p.d, 8);
	head.n_changes = (uint32_t)little_endian(&p.d, 4);
	if (!decoder_ok(&p.d))
		return -EBADMSG;
	*ret_head = head;
	while (r == 0 && decoder_ok(&p.d) && decoder_left_bytes(&p.d) > 0)
		r = parse_one(&p);
	if (r == 0 && (!decoder_ok(&p.d) || p.n_changes != head.n_changes))
		r = -EBADMSG;
	return r;
}
