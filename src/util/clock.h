/*
 * clock.h: time, from one place.
 */
#ifndef MAILFS_UTIL_CLOCK_H
#define MAILFS_UTIL_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);

/* Since 1970, for time stamps of files and messages; may jump. */
int64_t clock_realtime_ns(void);
int64_t clock_realtime_ms(void);

/* Blocks; a signal may end it early. */
void clock_sleep_ms(uint32_t ms);

#endif
