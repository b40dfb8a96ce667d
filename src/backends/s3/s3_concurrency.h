/*
 * s3_concurrency.h: how many requests may be in flight: additive increase, multiplicative decrease.
 *
 * A store that says "slow down" gets half as many requests; each success lets the number grow
 * again, by one for as many successes as it is. One thread at a time.
 */
#ifndef MAILFS_BACKENDS_S3_S3_CONCURRENCY_H
#define MAILFS_BACKENDS_S3_S3_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

/* The answers to what was sent before a decrease say nothing new. */
#define S3_CONCURRENCY_PAUSE_MS 200

struct s3_concurrency {
	unsigned int limit, max;
	unsigned int successes;   /* since the last change */
	uint64_t decreased_at_ms; /* 0: never */
};

void s3_concurrency_init(struct s3_concurrency *c, unsigned int max);

/* Notes an answer; true when the limit has changed. */
bool s3_concurrency_note(struct s3_concurrency *c, bool is_slow_down, uint64_t now_ms);

#endif
