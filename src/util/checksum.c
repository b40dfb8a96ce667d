#include <config.h>
#include "util/checksum.h"

/* The streaming state goes on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

uint64_t checksum_64(const void *data, size_t size_bytes)
{
	return XXH3_64bits(data, size_bytes);
}

uint64_t checksum_64_parts(const struct iovec *parts, int n_parts)
{
	XXH3_state_t state;

	if (n_parts == 1)
		return checksum_64(parts[0].iov_base, parts[0].iov_len);
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset(&state);
	for (int i = 0; i < n_parts; i++) {
		if (parts[i].iov_len > 0)
			(void)XXH3_64bits_update(&state, parts[i].iov_base, parts[i].iov_len);
	}
	return XXH3_64bits_digest(&state);
}
