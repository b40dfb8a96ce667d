/*
 * fuzz_object_key.c: a key that is understood is the one that would have been made.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "cache/pack.h"
#include "replication/position.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const char *key, const char *again)
{
	if (strcmp(key, again) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *key = malloc(size + 1), again[POSITION_SEGMENT_KEY_BYTES];
	struct position position;
	struct uuid id;
	uint64_t account, number;
	uint32_t small_account;
	uint16_t part;

	if (key == NULL)
		return 0;
	memcpy(key, data, size);
	key[size] = '\0';
	if (position_parse_segment_key(key, &position, &part)) {
		position_segment_key(&position, part, again);
		check_same(key, again);
	}
	if (position_parse_checkpoint_part_key(key, &small_account, &number, &part)) {
		position_checkpoint_part_key(small_account, number, part, again);
		check_same(key, again);
	}
	if (body_object_parse_key(key, &account, &id)) {
		body_object_key(account, &id, again);
		check_same(key, again);
	}
	if (pack_parse_key(key, &account, &id)) {
		pack_key(account, &id, again);
		check_same(key, again);
	}
	free(key);
	return 0;
}
