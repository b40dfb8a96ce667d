#include <config.h>
#include "proxy/proxy_buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAPACITY 4096

uint8_t *proxy_buffer_reserve(struct proxy_buffer *b, size_t size)
{
	if (b->capacity - b->size < size) {
		size_t capacity = b->capacity < MIN_CAPACITY ? MIN_CAPACITY : b->capacity;
		void *data;

		while (capacity - b->size < size)
			capacity *= 2;
		data = realloc(b->data, capacity);
		if (data == NULL) {
			fputs("proxy: out of memory\n", stderr);
			abort();
		}
		b->data = data;
		b->capacity = capacity;
	}
	return b->data + b->size;
}

void proxy_buffer_append(struct proxy_buffer *b, const void *data, size_t size)
{
	if (size == 0)
		return;
	memcpy(proxy_buffer_reserve(b, size), data, size);
	b->size += size;
}

void proxy_buffer_consume(struct proxy_buffer *b, size_t size)
{
	if (size == 0)
		return;
	memmove(b->data, b->data + size, b->size - size);
	b->size -= size;
}

void proxy_buffer_replace(
	struct proxy_buffer *b, size_t offset, size_t old_size, const void *data, size_t size)
{
	proxy_buffer_reserve(b, size);
	memmove(b->data + offset + size, b->data + offset + old_size, b->size - offset - old_size);
	memcpy(b->data + offset, data, size);
	b->size = b->size - old_size + size;
}

void proxy_buffer_clear(struct proxy_buffer *b)
{
	free(b->data);
	*b = (struct proxy_buffer){0};
}
