/*
 * log_watch.h: a loss of power, as far as it can be had without one.
 *
 * fdatasync() of this program, also as RocksDB calls it, notes how much of each of the store's logs
 * is on the disk; after a kill the rest can be cut off at a random place.
 */
#ifndef MAILFS_TESTS_CRASH_LOG_WATCH_H
#define MAILFS_TESTS_CRASH_LOG_WATCH_H

/* Before the first fork. */
void log_watch_start(void);

/* Cuts the newest log of the store in <directory>/db, which nobody has open. */
void log_watch_lose_power(const char *directory, unsigned int *seed);

#endif
