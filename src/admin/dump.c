/*
 * dump.c: what all dumps have in common, and volume.json.
 */
#include <config.h>
#include "admin/dump.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "admin/verb.h"
#include "util/cleanup.h"
#include "volume/volume_json.h"

#define NUMBER_TEXT_BYTES 24
#define NAME_MAX_BYTES 64

void dump_problem(struct dump *dump, const char *format, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	(void)verb_fail("%s: %s", dump->key, text == NULL ? "out of memory" : text);
	(void)json_array_append_new(dump->problems, json_string(text == NULL ? format : text));
}

/* ---- fields */

void dump_set_text(json_t *object, const char *name, const char *text)
{
	(void)json_object_set_new(object, name, json_string(text));
}

void dump_set_number(json_t *object, const char *name, uint64_t value)
{
	char text[NUMBER_TEXT_BYTES];

	if (value <= INT64_MAX) {
		(void)json_object_set_new(object, name, json_integer((json_int_t)value));
		return;
	}
	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	dump_set_text(object, name, text);
}

void dump_set_hex_number(json_t *object, const char *name, uint64_t value)
{
	char text[NUMBER_TEXT_BYTES];

	(void)snprintf(text, sizeof(text), "%016" PRIx64, value);
	dump_set_text(object, name, text);
}

void dump_set_time(json_t *object, const char *name, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	char text[64];

	if (ms < 0 || gmtime_r(&seconds, &parts) == NULL ||
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts) == 0)
		return;
	(void)snprintf(
		text + strlen(text), sizeof(text) - strlen(text), ".%03dZ", (int)(ms % 1000));
	dump_set_text(object, name, text);
}

void dump_set_uuid(json_t *object, const char *name, const struct uuid *uuid)
{
	char text[UUID_TEXT_BYTES];

	uuid_format(uuid, text);
	dump_set_text(object, name, text);
}

void dump_set_hex(json_t *object, const char *name, const uint8_t *data, size_t size_bytes)
{
	static const char digits[] = "0123456789abcdef";
	CLEANUP_FREE char *text = malloc(2 * size_bytes + 1);

	if (text == NULL)
		return;
	for (size_t i = 0; i < size_bytes; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	text[2 * size_bytes] = '\0';
	dump_set_text(object, name, text);
}

static bool is_printable(const uint8_t *data, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++) {
		if (data[i] < ' ' || data[i] == 0x7f)
			return false;
	}
	return true;
}

void dump_set_bytes(json_t *object, const char *name, const uint8_t *data, size_t size_bytes)
{
	char hex_name[NAME_MAX_BYTES];
	json_t *text = NULL;

	if (is_printable(data, size_bytes))
		text = json_stringn((const char *)data, size_bytes);
	if (text != NULL) {
		(void)json_object_set_new(object, name, text);
		return;
	}
	(void)snprintf(hex_name, sizeof(hex_name), "%s_hex", name);
	dump_set_hex(object, hex_name, data, size_bytes);
}

/* ---- volume.json */

int dump_volume(struct dump *dump)
{
	CLEANUP_FREE char *message = NULL;
	struct backend_result result;
	struct volume volume;
	int r = backend_get_wait(dump->backend, dump->key, 0, VOLUME_JSON_MAX_BYTES + 1, &result);

	if (r < 0)
		return r;
	if (result.data_size_bytes > 0)
		(void)fwrite(result.data, 1, result.data_size_bytes, stdout);
	if (volume_json_decode(result.data, result.data_size_bytes, &volume, &message) < 0)
		dump_problem(dump, "%s", message == NULL ? "out of memory" : message);
	backend_result_done(&result);
	return 0;
}
