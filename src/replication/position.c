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

bool position_parse_segment_key(const char *key, struct position *ret_position, uint16_t *ret_part)
{
	struct position position;
	uint64_t part = 0;

	if (!take_text(&key, JOURNAL) || !take_uuid(&key, &position.node) ||
		!take_text(&key, "/") || !take_number(&key, NUMBER_DIGITS, &position.incarnation) ||
		!take_text(&key, "/") || !take_number(&key, NUMBER_DIGITS, &position.sequence))
		return false;
	if (*key != '\0' &&
		(!take_text(&key, ".") || !take_number(&key, PART_DIGITS, &part) || part == 0))
		return false;
	if (*key != '\0')
		return false;
	*ret_position = position;
	*ret_part = (uint16_t)part;
	return true;
}

void position_checkpoint_key(
	uint32_t account, uint64_t number, char key[POSITION_CHECKPOINT_KEY_BYTES])
{
	char path[ACCOUNT_PATH_BYTES];

	account_path_format(account, path);
	snprintf(key, POSITION_CHECKPOINT_KEY_BYTES, "%s/" CHECKPOINT "%016" PRIx64, path, number);
}

bool position_parse_checkpoint_key(const char *key, uint32_t *ret_account, uint64_t *ret_number)
{
	uint64_t account, number;
	const char *rest = account_path_parse(key, &account);

	if (rest == NULL || account > POSITION_MAX_ACCOUNT || !take_text(&rest, CHECKPOINT) ||
		!take_number(&rest, NUMBER_DIGITS, &number) || *rest != '\0')
		return false;
	*ret_account = (uint32_t)account;
	*ret_number = number;
	return true;
}
