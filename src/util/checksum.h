/*
 * checksum.h: XXH3 for integrity (against accidents, not attackers).
 */
#ifndef MAILFS_UTIL_CHECKSUM_H
#define MAILFS_UTIL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t checksum_64(const void *data, size_t size_bytes);

#endif
