#include <config.h>
#include "replication/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "util/account_path.h"
#include "util/parse_number.h"

#define JOURNAL "journal/"
#define CHECKPOINT "checkpoint/"
#define NUMBER_DIGITS 16
#define PART_DIGITS 4

bool position_equal(const struct position *a, const struct position *b)
{
	return position_same_journal(a, b) && a->sequence == b->sequence;
}

bool position_same_journal(const struct position *a, const struct position *b)
{
	return memcmp(a->node.bytes, b->node.bytes, UUID_BYTES) == 0 &&
	       a->incarnation == b->incarnation;
}

void position_encode(struct encoder *e, const struct position *position)
{
	encode_bytes(e, position->node.bytes, UUID_BYTES);
	encode_u64(e, position->incarnation);
	encode_u64(e, position->sequence);
}

void position_decode(struct decoder *d, struct position *ret)
{
	decode_bytes(d, ret->node.bytes, UUID_BYTES);
	ret->incarnation = decode_u64(d);
	ret->sequence = decode_u64(d);
}

void position_journal_prefix(
	const struct position *position, char prefix[POSITION_SEGMENT_KEY_BYTES])
{
	char node[UUID_TEXT_BYTES];

	uuid_format(&position->node, node);
	snprintf(prefix, POSITION_SEGMENT_KEY_BYTES, JOURNAL "%s/%016" PRIx64 "/", node,
		position->incarnation);
}

void position_segment_key(
	const struct position *position, uint16_t part, char key[POSITION_SEGMENT_KEY_BYTES])
{
	size_t size;

	position_journal_prefix(position, key);
	size = strlen(key);
	size += (size_t)snprintf(
		key + size, POSITION_SEGMENT_KEY_BYTES - size, "%016" PRIx64, position->sequence);
	if (part > 0)
		snprintf(
			key + size, POSITION_SEGMENT_KEY_BYTES - size, ".%04x", (unsigned int)part);
}

/* Reads `text` and moves *position behind it. */
static bool take_text(const char **position, const char *text)
{
	if (strncmp(*position, text, strlen(text)) != 0)
		return false;
	*position += strlen(text);
	return true;
}

static bool take_number(const char **position, size_t digits, uint64_t *ret)
{
	if (strnlen(*position, digits) < digits || parse_number_hex(*position, digits, ret) < 0)
		return false;
	*position += digits;
	return true;
}

static bool take_uuid(const char **position, struct uuid *ret)
{
	char text[UUID_TEXT_BYTES];

	if (strnlen(*position, UUID_TEXT_BYTES - 1) < UUID_TEXT_BYTES - 1)
		return false;
	memcpy(text, *position, UUID_TEXT_BYTES - 1);
	text[UUID_TEXT_BYTES - 1] = '\0';
	*position += UUID_TEXT_BYTES - 1;
	return uuid_parse(text, ret);
}

/* The end of a key, perhaps with a part in front of it. */
static bool take_part(const char **position, uint64_t *ret)
{
	if (**position == '\0')
		return true;
	return take_text(position, ".") && take_number(position, PART_DIGITS, ret) && *ret > 0 &&
	       **position == '\0';
}

bool position_parse_segment_key(const char *key, struct position *ret_position, uint16_t *ret_part)
{
	struct position position;
	uint64_t part = 0;

	if (!take_text(&key, JOURNAL) || !take_uuid(&key, &position.node) ||
		!take_text(&key, "/") || !take_number(&key, NUMBER_DIGITS, &position.incarnation) ||
		!take_text(&key, "/") || !take_number(&key, NUMBER_DIGITS, &position.sequence))
		return false;
	if (!take_part(&key, &part))
		return false;
	*ret_position = position;
	*ret_part = (uint16_t)part;
	return true;
}

void position_checkpoint_part_key(
	uint32_t account, uint64_t number, uint16_t part, char key[POSITION_CHECKPOINT_KEY_BYTES])
{
	char path[ACCOUNT_PATH_BYTES];
	size_t size;

	account_path_format(account, path);
	size = (size_t)snprintf(
		key, POSITION_CHECKPOINT_KEY_BYTES, "%s/" CHECKPOINT "%016" PRIx64, path, number);
	if (part > 0)
		snprintf(key + size, POSITION_CHECKPOINT_KEY_BYTES - size, ".%04x",
			(unsigned int)part);
}

void position_checkpoint_key(
	uint32_t account, uint64_t number, char key[POSITION_CHECKPOINT_KEY_BYTES])
{
	position_checkpoint_part_key(account, number, 0, key);
}

bool position_parse_checkpoint_part_key(
	const char *key, uint32_t *ret_account, uint64_t *ret_number, uint16_t *ret_part)
{
	uint64_t account, number, part = 0;
	const char *rest = account_path_parse(key, &account);

	if (rest == NULL || account > POSITION_MAX_ACCOUNT || !take_text(&rest, CHECKPOINT) ||
		!take_number(&rest, NUMBER_DIGITS, &number) || !take_part(&rest, &part))
		return false;
	*ret_account = (uint32_t)account;
	*ret_number = number;
	*ret_part = (uint16_t)part;
	return true;
}

bool position_parse_checkpoint_key(const char *key, uint32_t *ret_account, uint64_t *ret_number)
{
	uint32_t account;
	uint64_t number;
	uint16_t part;

	if (!position_parse_checkpoint_part_key(key, &account, &number, &part) || part > 0)
		return false;
	*ret_account = account;
	*ret_number = number;
	return true;
}
