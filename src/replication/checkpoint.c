#include <config.h>
#include "replication/checkpoint.h"

#include <errno.h>

static const struct frame_kind kind = {
	"MFSCHKP", CHECKPOINT_FORMAT_VERSION, CHECKPOINT_HEADER_BYTES};
static const struct frame_kind part_kind = {
	"MFSCHPT", CHECKPOINT_FORMAT_VERSION, CHECKPOINT_PART_HEADER_BYTES};

void checkpoint_done(struct checkpoint *checkpoint)
{
	directory_done(&checkpoint->directory);
}

void checkpoint_part_done(struct checkpoint_part *part)
{
	directory_done(&part->directory);
}

/* All sections are of this account. */
static bool sections_are_own(const struct directory *directory, uint32_t account)
{
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];

		if (entry->account != account || entry->has_previous)
			return false;
	}
	return true;
}

static bool is_encodable(const struct checkpoint *checkpoint)
{
	return checkpoint->account <= POSITION_MAX_ACCOUNT &&
	       sections_are_own(&checkpoint->directory, checkpoint->account);
}

int checkpoint_encode(struct checkpoint *checkpoint, struct frame *ret)
{
	struct encoder e;
	struct frame frame;
	int r;

	checkpoint->n_parts = directory_last_part(&checkpoint->directory);
	if (!is_encodable(checkpoint))
		return -EINVAL;
	for (uint32_t part = 1; part <= checkpoint->n_parts; part++) {
		if (directory_count_part(&checkpoint->directory, (uint16_t)part) == 0)
			return -EINVAL;
	}
	r = frame_begin(&kind, 0, &checkpoint->directory, 0, &frame, &e);
	if (r < 0)
		return r;
	encode_bytes(&e, checkpoint->volume.bytes, UUID_BYTES);
	encode_u64(&e, checkpoint->number);
	encode_u64(&e, (uint64_t)checkpoint->created_ms);
	position_encode(&e, &checkpoint->position);
	encode_u32(&e, checkpoint->account);
	encode_u32(&e, checkpoint->n_parts);
	encode_u32(&e, 0);
	frame_finish(&kind, &e, &frame);
	*ret = frame;
	return 0;
}

int checkpoint_encode_part(struct checkpoint *checkpoint, uint16_t part, struct frame *ret)
{
	struct encoder e;
	struct frame frame;
	int r;

	if (part == 0 || directory_count_part(&checkpoint->directory, part) == 0 ||
		!is_encodable(checkpoint))
		return -EINVAL;
	r = frame_begin(&part_kind, 0, &checkpoint->directory, part, &frame, &e);
	if (r < 0)
		return r;
	encode_bytes(&e, checkpoint->volume.bytes, UUID_BYTES);
	encode_u64(&e, checkpoint->number);
	encode_u32(&e, checkpoint->account);
	encode_u32(&e, part);
	encode_u32(&e, 0);
	frame_finish(&part_kind, &e, &frame);
	*ret = frame;
	return 0;
}

/* ---- decoding */

/* What follows the fields is zero. */
static uint32_t take_fields(struct frame_reader *reader, struct checkpoint *ret)
{
	struct decoder *d = &reader->fields;

	*ret = (struct checkpoint){.number = 0};
	decode_bytes(d, ret->volume.bytes, UUID_BYTES);
	ret->number = decode_u64(d);
	ret->created_ms = (int64_t)decode_u64(d);
	position_decode(d, &ret->position);
	ret->account = decode_u32(d);
	ret->n_parts = decode_u32(d);
	return decode_u32(d);
}

static int check_fields(struct frame_reader *reader, const struct checkpoint *checkpoint,
	uint32_t expected_account, uint64_t expected_number, uint32_t reserved)
{
	if (checkpoint->account != expected_account || checkpoint->number != expected_number)
		return frame_reader_fail(reader, "account or number are not those of the key");
	if (reader->type != 0 || reserved != 0 || checkpoint->account > POSITION_MAX_ACCOUNT)
		return frame_reader_fail(reader, "the header is not as this version has it");
	if (checkpoint->n_parts > DIRECTORY_MAX_PARTS)
		return frame_reader_fail(reader, "there are more parts than may be");
	return 0;
}

/* And that its sections are of the account. */
static int read_directory(struct frame_reader *reader, struct directory_frame *limits,
	uint32_t account, struct directory *ret)
{
	int r = frame_reader_directory(reader, limits, ret);

	if (r < 0)
		return r;
	if (!sections_are_own(ret, account)) {
		directory_done(ret);
		return frame_reader_fail(reader, "a section is of another account");
	}
	return 0;
}

static int read_header(struct frame_reader *reader, const void *data, size_t size_bytes,
	uint32_t expected_account, uint64_t expected_number, struct checkpoint *ret)
{
	uint32_t reserved;
	int r = frame_reader_begin(reader, &kind, data, size_bytes);

	if (r < 0)
		return r;
	reserved = take_fields(reader, ret);
	return check_fields(reader, ret, expected_account, expected_number, reserved);
}

int checkpoint_decode_header(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, struct checkpoint *ret)
{
	struct frame_reader reader;
	struct checkpoint checkpoint;

	if (read_header(&reader, data, size_bytes, expected_account, expected_number, &checkpoint) <
		0)
		return -EBADMSG;
	*ret = checkpoint;
	return 0;
}

int checkpoint_decode(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, struct checkpoint *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	struct directory_frame limits = {.part_header_bytes = CHECKPOINT_PART_HEADER_BYTES};
	struct frame_reader reader;
	struct checkpoint checkpoint;
	int r = read_header(
		&reader, data, size_bytes, expected_account, expected_number, &checkpoint);

	if (r == 0) {
		limits.last_part = (uint16_t)checkpoint.n_parts;
		r = read_directory(&reader, &limits, checkpoint.account, &checkpoint.directory);
	}
	if (r == 0) {
		checkpoint.facts = reader.facts;
		*ret = checkpoint;
	}
	return frame_reader_report(&reader, r, ret_needed_bytes, ret_problem);
}

static uint32_t take_part_fields(struct frame_reader *reader, struct checkpoint_part *ret)
{
	struct decoder *d = &reader->fields;

	*ret = (struct checkpoint_part){.part = 0};
	decode_bytes(d, ret->volume.bytes, UUID_BYTES);
	ret->number = decode_u64(d);
	ret->account = decode_u32(d);
	ret->part = decode_u32(d);
	return decode_u32(d);
}

int checkpoint_decode_part(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, uint16_t expected_part, struct checkpoint_part *ret,
	size_t *ret_needed_bytes, const char **ret_problem)
{
	struct directory_frame limits = {.part = expected_part, .last_part = expected_part};
	struct frame_reader reader;
	struct checkpoint_part part;
	int r = frame_reader_begin(&reader, &part_kind, data, size_bytes);

	if (r == 0) {
		uint32_t reserved = take_part_fields(&reader, &part);

		if (part.account != expected_account || part.number != expected_number ||
			part.part != expected_part)
			r = frame_reader_fail(
				&reader, "account, number or part are not those of the key");
		else if (reader.type != 0 || reserved != 0 || reader.n_sections == 0 ||
			 part.account > POSITION_MAX_ACCOUNT)
			r = frame_reader_fail(&reader, "the header is not as this version has it");
	}
	if (r == 0)
		r = read_directory(&reader, &limits, part.account, &part.directory);
	if (r == 0) {
		part.facts = reader.facts;
		*ret = part;
	}
	return frame_reader_report(&reader, r, ret_needed_bytes, ret_problem);
}

void checkpoint_peek(
	const void *data, size_t size_bytes, struct checkpoint *ret, uint16_t *ret_version)
{
	struct frame_reader reader;

	(void)frame_reader_begin(&reader, &kind, data, size_bytes);
	(void)take_fields(&reader, ret);
	*ret_version = reader.version;
}

void checkpoint_peek_part(
	const void *data, size_t size_bytes, struct checkpoint_part *ret, uint16_t *ret_version)
{
	struct frame_reader reader;

	(void)frame_reader_begin(&reader, &part_kind, data, size_bytes);
	(void)take_part_fields(&reader, ret);
	*ret_version = reader.version;
}
