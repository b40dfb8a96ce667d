/*
 * parse_number.h: sizes and durations as people write them.
 */
#ifndef MAILFS_UTIL_PARSE_NUMBER_H
#define MAILFS_UTIL_PARSE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Decimal digits only. -EINVAL, or -ERANGE above `max`. */
int parse_number_u64(const char *text, uint64_t max, uint64_t *ret);

/* Exactly n_digits (1 to 16) lower-case hex digits at the beginning of a text; what follows them is
 * not looked at. -EINVAL. */
int parse_number_hex(const char *text, size_t n_digits, uint64_t *ret);

/* "512", "64K", "10M", "2G", "1T" (powers of 1024; "MiB" and "MB" are understood as M). */
int parse_number_size_bytes(const char *text, uint64_t *ret);

/* "250ms", "1s", "1.5s", "2m", "1h", "1d"; a bare number is seconds. */
int parse_number_duration_ms(const char *text, uint64_t *ret);

#endif
