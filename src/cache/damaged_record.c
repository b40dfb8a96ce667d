#include <config.h>
#include "cache/damaged_record.h"

#include <stdio.h>
#include "util/log.h"

/* Of a longer value the log has only the beginning. */
#define MOST_BYTES 64
#define TEXT_BYTES (2 * MOST_BYTES + sizeof("..."))

static void to_hex(const uint8_t *data, size_t size_bytes, char text[TEXT_BYTES])
{
	size_t n = size_bytes < MOST_BYTES ? size_bytes : MOST_BYTES, at = 0;

	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%02x", data[i]);
	snprintf(text + at, TEXT_BYTES - at, "%s", n < size_bytes ? "..." : "");
}

void damaged_record_say(const struct store_iterator *it, const char *what)
{
	char key_text[TEXT_BYTES], value_text[TEXT_BYTES];
	size_t key_bytes, value_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);

	to_hex(key, key_bytes, key_text);
	to_hex(value, value_bytes, value_text);
	log_error("the local store has a damaged record: %s (key %s, value %s)", what, key_text,
		value_text);
}
