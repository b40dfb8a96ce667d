/*
 * proxy_buffer.h: bytes that grow. Out of memory ends the program: it is a test.
 */
#ifndef MAILFS_TESTS_SUPPORT_PROXY_PROXY_BUFFER_H
#define MAILFS_TESTS_SUPPORT_PROXY_PROXY_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* All zero is an empty one. */
struct proxy_buffer {
	uint8_t *data;
	size_t size, capacity;
};

void proxy_buffer_append(struct proxy_buffer *b, const void *data, size_t size);

/* Room for `size` more bytes behind the content. */
uint8_t *proxy_buffer_reserve(struct proxy_buffer *b, size_t size);

/* Removes bytes at the front. */
void proxy_buffer_consume(struct proxy_buffer *b, size_t size);

/* Replaces `old_size` bytes at `offset`. */
void proxy_buffer_replace(
	struct proxy_buffer *b, size_t offset, size_t old_size, const void *data, size_t size);

/* Frees the content and leaves an empty one. */
void proxy_buffer_clear(struct proxy_buffer *b);

#endif
