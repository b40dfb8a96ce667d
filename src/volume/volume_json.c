#include <config.h>
#include "volume/volume_json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "util/message.h"
#include "util/uuid.h"

#define KIND "volume"
#define TIME_FORMAT "%Y-%m-%dT%H:%M:%SZ"
#define TIME_TEXT_BYTES 32

static void format_time(int64_t ms, char text[TIME_TEXT_BYTES])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL ||
		strftime(text, TIME_TEXT_BYTES, TIME_FORMAT, &parts) == 0)
		text[0] = '\0';
}

static int parse_time(const char *text, int64_t *ret_ms)
{
	struct tm parts = {.tm_year = 0};
	char again[TIME_TEXT_BYTES];
	const char *end = strptime(text, TIME_FORMAT, &parts);

	if (end == NULL || *end != '\0')
		return -EBADMSG;
	*ret_ms = (int64_t)timegm(&parts) * 1000;
	format_time(*ret_ms, again); /* refuses February 30 and odd spellings */
	return strcmp(again, text) == 0 ? 0 : -EBADMSG;
}

char *volume_json_encode(const struct volume *volume)
{
	char created[TIME_TEXT_BYTES], *text = NULL, *line = NULL;
	json_t *root;

	format_time(volume->created_ms, created);
	root = json_pack("{s:s, s:I, s:s, s:I, s:s}", "mailfs", KIND, "format_version",
		(json_int_t)volume->format_version, "uuid", volume->uuid, "account_depth",
		(json_int_t)volume->account_depth, "created", created);
	if (root != NULL)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (text != NULL && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

static int wrong(char **ret_message, const char *field, const char *expected)
{
	return message_set(
		ret_message, -EBADMSG, "volume.json: \"%s\" must be %s", field, expected);
}

static int read_text(const json_t *root, const char *field, const char *expected, const char **ret,
	char **ret_message)
{
	const json_t *value = json_object_get(root, field);

	if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
		return wrong(ret_message, field, expected);
	*ret = json_string_value(value);
	return 0;
}

static int read_number(const json_t *root, const char *field, const char *expected, uint32_t min,
	uint32_t max, uint32_t *ret, char **ret_message)
{
	const json_t *value = json_object_get(root, field);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
		json_integer_value(value) > max)
		return wrong(ret_message, field, expected);
	*ret = (uint32_t)json_integer_value(value);
	return 0;
}

/* First of all, as a newer format may change everything else. */
static int check_format(const json_t *root, struct volume *volume, char **ret_message)
{
	const char *kind;
	int r = read_text(root, "mailfs", "\"" KIND "\"", &kind, ret_message);

	if (r < 0)
		return r;
	if (strcmp(kind, KIND) != 0)
		return wrong(ret_message, "mailfs", "\"" KIND "\"");
	r = read_number(root, "format_version", "a positive integer", 1, UINT32_MAX,
		&volume->format_version, ret_message);
	if (r < 0)
		return r;
	if (volume->format_version > VOLUME_FORMAT_VERSION)
		return message_set(ret_message, -EPROTONOSUPPORT,
			"the volume has format version %" PRIu32
			", this program knows only %d: use a newer mailfs",
			volume->format_version, VOLUME_FORMAT_VERSION);
	return 0;
}

static int read_fields(const json_t *root, struct volume *volume, char **ret_message)
{
	const char *uuid = NULL, *created = NULL;
	struct uuid parsed;
	int r = read_text(root, "uuid", "a UUID", &uuid, ret_message);

	if (r == 0 && !uuid_parse(uuid, &parsed))
		r = wrong(ret_message, "uuid", "a UUID in canonical form");
	if (r == 0)
		r = read_number(root, "account_depth", "0, 1 or 2", 0, VOLUME_MAX_ACCOUNT_DEPTH,
			&volume->account_depth, ret_message);
	if (r == 0)
		r = read_text(root, "created", "a time", &created, ret_message);
	if (r == 0 && parse_time(created, &volume->created_ms) < 0)
		r = wrong(ret_message, "created", "a time like 2026-01-31T12:00:00Z");
	if (r == 0)
		uuid_format(&parsed, volume->uuid);
	return r;
}

int volume_json_decode(const void *text, size_t size_bytes, struct volume *ret, char **ret_message)
{
	struct volume volume = {.format_version = 0};
	json_error_t error;
	json_t *root;
	int r;

	if (size_bytes > VOLUME_JSON_MAX_BYTES)
		return message_set(ret_message, -EBADMSG, "volume.json: larger than %d bytes",
			VOLUME_JSON_MAX_BYTES);
	root = json_loadb(text == NULL ? "" : text, size_bytes, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return message_set(ret_message, -EBADMSG, "volume.json is not JSON: line %d: %s",
			error.line, error.text);
	if (!json_is_object(root))
		r = message_set(ret_message, -EBADMSG, "volume.json is not a JSON object");
	else
		r = check_format(root, &volume, ret_message);
	if (r == 0)
		r = read_fields(root, &volume, ret_message);
	json_decref(root);
	if (r == 0)
		*ret = volume;
	return r;
}
