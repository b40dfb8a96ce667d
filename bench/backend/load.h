/*
 * load.h: something that puts and gets 8 KiB objects in a store, for backend_bench.
 */
#ifndef MAILFS_BENCH_BACKEND_LOAD_H
#define MAILFS_BENCH_BACKEND_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_OBJECT_BYTES 8192
#define LOAD_MAX_CONCURRENCY 64

struct load;

struct load_ops {
	/* Puts (or gets) the objects 0 to n-1 of the series, `concurrency` of them at a time. Ends
	 * the program when one fails. */
	void (*run)(struct load *load, bool is_put, unsigned int series, unsigned int n,
		unsigned int concurrency);
	void (*close)(struct load *load);
};

/* First member of each load's own struct. */
struct load {
	const struct load_ops *ops;
};

/* Our driver of that URL. */
struct load *load_driver_open(const char *url, const char *const *options);

/* The least that does the same with libcurl's multi interface: signed requests, connections that
 * are kept. Credentials from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION. */
struct load *load_curl_open(const char *endpoint, const char *bucket);

/* The least that does the same with libnfs's asynchronous interface: create a temporary file,
 * write, commit, close, rename; open, read, close. */
struct load *load_nfs_open(const char *url);

/* The content of every object. */
const uint8_t *load_content(void);

/* Ends the program. */
void load_fail(const char *what, const char *why) __attribute__((noreturn));

#endif
