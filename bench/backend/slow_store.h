/*
 * slow_store.h: an S3 in this process that answers each request a fixed time after it came, however
 * many there are, and knows one object: the last that was put. What it costs a client to have many
 * requests in flight is measured against it, since a real store cannot take that many here.
 */
#ifndef MAILFS_BENCH_BACKEND_SLOW_STORE_H
#define MAILFS_BENCH_BACKEND_SLOW_STORE_H

#include <stdint.h>

struct slow_store;

/* Starts a thread that listens on a free port of 127.0.0.1. Ends the program on failure. */
struct slow_store *slow_store_new(uint32_t delay_ms);
uint16_t slow_store_port(const struct slow_store *store);
void slow_store_free(struct slow_store *store);

#endif
