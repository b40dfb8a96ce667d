#include <config.h>
#include "replication/checkpoint.h"

#include <errno.h>

static const struct frame_kind kind = {
	"MFSCHKP", CHECKPOINT_FORMAT_VERSION, CHECKPOINT_HEADER_BYTES};

void checkpoint_done(struct checkpoint *checkpoint)
{
	directory_done(&checkpoint->directory);
}

/* All sections are of this account, and here. */
static bool sections_are_own(const struct directory *directory, uint32_t account)
{
	for (uint32_t i = 0; i < directory->n_entries; i++) {
		const struct directory_entry *entry = &directory->entries[i];

		if (entry->account != account || entry->part != 0 || entry->has_previous)
			return false;
	}
	return true;
}

int checkpoint_encode(struct checkpoint *checkpoint, struct frame *ret)
{
	struct encoder e;
	struct frame frame;
	int r;

	if (checkpoint->account > POSITION_MAX_ACCOUNT ||
		!sections_are_own(&checkpoint->directory, checkpoint->account))
		return -EINVAL;
	r = frame_begin(&kind, 0, &checkpoint->directory, 0, &frame, &e);
	if (r < 0)
		return r;
	encode_bytes(&e, checkpoint->volume.bytes, UUID_BYTES);
	encode_u64(&e, checkpoint->number);
	encode_u64(&e, (uint64_t)checkpoint->created_ms);
	position_encode(&e, &checkpoint->position);
	encode_u32(&e, checkpoint->account);
	frame_finish(&kind, &e, &frame);
	*ret = frame;
	return 0;
}

static void take_fields(struct frame_reader *reader, struct checkpoint *ret)
{
	struct decoder *d = &reader->fields;

	*ret = (struct checkpoint){.number = 0};
	decode_bytes(d, ret->volume.bytes, UUID_BYTES);
	ret->number = decode_u64(d);
	ret->created_ms = (int64_t)decode_u64(d);
	position_decode(d, &ret->position);
	ret->account = decode_u32(d);
}

static int check_fields(struct frame_reader *reader, const struct checkpoint *checkpoint,
	uint32_t expected_account, uint64_t expected_number)
{
	if (checkpoint->account != expected_account || checkpoint->number != expected_number)
		return frame_reader_fail(reader, "account or number are not those of the key");
	if (reader->type != 0)
		return frame_reader_fail(reader, "the header is not as this version has it");
	return 0;
}

static int read_directory(struct frame_reader *reader, struct checkpoint *checkpoint)
{
	struct directory_frame limits = {.part = 0};
	int r = frame_reader_directory(reader, &limits, &checkpoint->directory);

	if (r < 0)
		return r;
	if (!sections_are_own(&checkpoint->directory, checkpoint->account)) {
		directory_done(&checkpoint->directory);
		return frame_reader_fail(reader, "a section is of another account");
	}
	checkpoint->facts = reader->facts;
	return 0;
}

int checkpoint_decode(const void *data, size_t size_bytes, uint32_t expected_account,
	uint64_t expected_number, struct checkpoint *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	struct frame_reader reader;
	struct checkpoint checkpoint;
	int r = frame_reader_begin(&reader, &kind, data, size_bytes);

	if (r == 0) {
		take_fields(&reader, &checkpoint);
		r = check_fields(&reader, &checkpoint, expected_account, expected_number);
	}
	if (r == 0)
		r = read_directory(&reader, &checkpoint);
	if (r == 0)
		*ret = checkpoint;
	return frame_reader_report(&reader, r, ret_needed_bytes, ret_problem);
}

void checkpoint_peek(
	const void *data, size_t size_bytes, struct checkpoint *ret, uint16_t *ret_version)
{
	struct frame_reader reader;

	(void)frame_reader_begin(&reader, &kind, data, size_bytes);
	take_fields(&reader, ret);
	*ret_version = reader.version;
}
