#include <config.h>
#include "daemon/state_identity.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "util/clock.h"

#define FORMAT_NAME "mailfs-state"

void state_identity_done(struct state_identity *identity)
{
	free(identity->url);
	identity->url = NULL;
}

int state_identity_new(const char *volume_uuid, const char *url, struct state_identity *ret)
{
	struct state_identity identity = {.format_version = STATE_FORMAT_VERSION, .incarnation = 1};
	time_t now = (time_t)(clock_realtime_ms() / 1000);
	struct uuid uuid;
	struct tm parts;
	int r = uuid_generate(&uuid);

	if (r < 0)
		return r;
	uuid_format(&uuid, identity.node_uuid);
	(void)snprintf(identity.volume_uuid, sizeof(identity.volume_uuid), "%s", volume_uuid);
	gmtime_r(&now, &parts);
	(void)strftime(identity.created, sizeof(identity.created), "%Y-%m-%dT%H:%M:%SZ", &parts);
	identity.url = strdup(url);
	if (identity.url == NULL)
		return -ENOMEM;
	*ret = identity;
	return 0;
}

int state_identity_format(const struct state_identity *identity, char **ret)
{
	json_t *root = json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:s, s:s}", "format", FORMAT_NAME,
		"format_version", (int)identity->format_version, "volume_uuid",
		identity->volume_uuid, "node_uuid", identity->node_uuid, "incarnation",
		(json_int_t)identity->incarnation, "epoch", (json_int_t)identity->epoch, "url",
		identity->url, "created", identity->created);
	char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;

	json_decref(root);
	if (text == NULL)
		return -ENOMEM;
	*ret = text;
	return 0;
}

/* Copies a string of the object into a field of size_bytes. */
static int take_text(const json_t *root, const char *name, char *field, size_t size_bytes)
{
	const char *text = json_string_value(json_object_get(root, name));

	if (text == NULL || strlen(text) >= size_bytes)
		return -EBADMSG;
	memcpy(field, text, strlen(text) + 1);
	return 0;
}

static int take_uuid(const json_t *root, const char *name, char field[UUID_TEXT_BYTES])
{
	struct uuid uuid;
	int r = take_text(root, name, field, UUID_TEXT_BYTES);

	return r == 0 && !uuid_parse(field, &uuid) ? -EBADMSG : r;
}

static int take_version(const json_t *root, uint32_t *ret)
{
	const char *format = json_string_value(json_object_get(root, "format"));
	json_int_t version = json_integer_value(json_object_get(root, "format_version"));

	if (format == NULL || strcmp(format, FORMAT_NAME) != 0 || version < STATE_FORMAT_VERSION ||
		version > INT32_MAX)
		return -EBADMSG;
	*ret = (uint32_t)version;
	return version > STATE_FORMAT_VERSION ? -EPROTONOSUPPORT : 0;
}

static int take_number(const json_t *root, const char *name, json_int_t min, uint64_t *ret)
{
	const json_t *value = json_object_get(root, name);

	if (!json_is_integer(value) || json_integer_value(value) < min)
		return -EBADMSG;
	*ret = (uint64_t)json_integer_value(value);
	return 0;
}

static int take_fields(const json_t *root, struct state_identity *ret)
{
	const char *url = json_string_value(json_object_get(root, "url"));
	int r = take_version(root, &ret->format_version);

	if (r == 0)
		r = take_uuid(root, "volume_uuid", ret->volume_uuid);
	if (r == 0)
		r = take_uuid(root, "node_uuid", ret->node_uuid);
	if (r == 0)
		r = take_number(root, "incarnation", 1, &ret->incarnation);
	if (r == 0)
		r = take_number(root, "epoch", 0, &ret->epoch);
	if (r == 0)
		r = take_text(root, "created", ret->created, sizeof(ret->created));
	if (r == 0 && url == NULL)
		r = -EBADMSG;
	if (r < 0)
		return r;
	ret->url = strdup(url);
	return ret->url != NULL ? 0 : -ENOMEM;
}

int state_identity_parse(const char *text, size_t size_bytes, struct state_identity *ret)
{
	struct state_identity identity = {0};
	json_t *root = json_loadb(text, size_bytes, 0, NULL);
	int r = root != NULL ? take_fields(root, &identity) : -EBADMSG;

	json_decref(root);
	if (r == 0 || r == -EPROTONOSUPPORT)
		*ret = identity;
	return r;
}
