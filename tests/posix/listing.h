/* For the cases that read the directory "d" with numbered files in it. */
#ifndef TESTS_POSIX_LISTING_H
#define TESTS_POSIX_LISTING_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>

DIR *listing_open(const char *path); /* never NULL */
/* Make the empty files d/f000000 and so on, numbers from `from` to `to` - 1. */
void listing_make_files(unsigned int from, unsigned int to);
/* The number in such a name, -1 for any other name. */
long listing_number(const char *name);
/* Read the directory by getdents64 with a buffer of this size and count each number below count in
 * seen. */
void listing_scan_raw(const char *path, size_t buffer_size, uint8_t *seen, unsigned int count);
void listing_expect_each_once(const uint8_t *seen, unsigned int from, unsigned int to);

#endif
