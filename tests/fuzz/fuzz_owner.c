/*
 * fuzz_owner.c: owner records. Any input is refused or decoded, also when its checksum was made
 * right; what was decoded is encoded to the same bytes.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "replication/owner.h"
#include "util/checksum.h"
#include "util/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz(const uint8_t *data, size_t size)
{
	struct owner peeked, owner;
	uint8_t again[OWNER_BYTES];
	const char *problem = NULL;
	uint16_t version;

	if (!owner_peek(data, size, &peeked, &version))
		peeked.epoch = 1;
	if (owner_decode(data, size, peeked.epoch, &owner, &problem) < 0) {
		if (problem == NULL)
			abort();
		return;
	}
	owner_encode(&owner, again);
	if (size != OWNER_BYTES || memcmp(again, data, size) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t copy[OWNER_BYTES];
	struct encoder e = encoder_over(copy + OWNER_BYTES - 8, 8);

	fuzz(data, size);
	if (size != OWNER_BYTES)
		return 0;
	memcpy(copy, data, size);
	encode_u64(&e, checksum_64(copy, OWNER_BYTES - 8));
	fuzz(copy, size);
	return 0;
}
