/*
 * checksum.h: XXH3 for integrity (against accidents, not attackers).
 */
#ifndef MAILFS_UTIL_CHECKSUM_H
#define MAILFS_UTIL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

uint64_t checksum_64(const void *data, size_t size_bytes);

/* Of the parts one behind the other, as if they were one; no memory is allocated. */
uint64_t checksum_64_parts(const struct iovec *parts, int n_parts);

#endif
