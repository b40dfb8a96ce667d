#include <config.h>
#include "backends/s3/s3_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/open_options.h"
#include "util/message.h"

#define TEXT_SETTER(name, field)                                      \
	static int set_##name(void *target, const char *value)        \
	{                                                             \
		struct s3_options *options = target;                  \
                                                                      \
		return open_options_set_text(&options->field, value); \
	}

TEXT_SETTER(endpoint, endpoint)
TEXT_SETTER(region, region)
TEXT_SETTER(profile, profile)
TEXT_SETTER(credentials_file, credentials_file)
TEXT_SETTER(ca_file, ca_file)
TEXT_SETTER(proxy, proxy)
TEXT_SETTER(sse_kms_key_id, sse_kms_key_id)

/* Names like STANDARD_IA. */
static int set_class(char **field, const char *value)
{
	if (value[strspn(value,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")] != '\0')
		return -EINVAL;
	return open_options_set_text(field, value);
}

#define CLASS_SETTER(name, field)                              \
	static int set_##name(void *target, const char *value) \
	{                                                      \
		struct s3_options *options = target;           \
                                                               \
		return set_class(&options->field, value);      \
	}

CLASS_SETTER(storage_class, storage_class)
CLASS_SETTER(storage_class_body, storage_classes[S3_KIND_BODY])
CLASS_SETTER(storage_class_pack, storage_classes[S3_KIND_PACK])
CLASS_SETTER(storage_class_checkpoint, storage_classes[S3_KIND_CHECKPOINT])
CLASS_SETTER(storage_class_journal, storage_classes[S3_KIND_JOURNAL])

static int set_sse(void *target, const char *value)
{
	struct s3_options *options = target;

	if (strcmp(value, "AES256") != 0 && strcmp(value, "aws:kms") != 0)
		return -EINVAL;
	return open_options_set_text(&options->sse, value);
}

static int set_path_style(void *target, const char *value)
{
	struct s3_options *options = target;

	(void)value;
	options->path_style = true;
	return 0;
}

static int set_virtual_host(void *target, const char *value)
{
	struct s3_options *options = target;

	(void)value;
	options->virtual_host = true;
	return 0;
}

static int set_connections(void *target, const char *value)
{
	struct s3_options *options = target;

	return open_options_set_number(&options->connections, value, 1, S3_OPTIONS_MAX_CONNECTIONS);
}

static int set_http_version(void *target, const char *value)
{
	struct s3_options *options = target;

	if (strcmp(value, "1.1") != 0 && strcmp(value, "2") != 0)
		return -EINVAL;
	options->http_version = value[0] == '2' ? 2 : 1;
	return 0;
}

static const struct open_option table[] = {
	{"endpoint", "URL", set_endpoint},
	{"region", "NAME", set_region},
	{"path_style", NULL, set_path_style},
	{"virtual_host", NULL, set_virtual_host},
	{"profile", "NAME", set_profile},
	{"credentials_file", "FILE", set_credentials_file},
	{"ca_file", "FILE", set_ca_file},
	{"proxy", "URL", set_proxy},
	{"storage_class", "NAME", set_storage_class},
	{"storage_class_body", "NAME", set_storage_class_body},
	{"storage_class_pack", "NAME", set_storage_class_pack},
	{"storage_class_checkpoint", "NAME", set_storage_class_checkpoint},
	{"storage_class_journal", "NAME", set_storage_class_journal},
	{"sse", "AES256|aws:kms", set_sse},
	{"sse_kms_key_id", "ID", set_sse_kms_key_id},
	{"connections", "1..1024", set_connections},
	{"http_version", "1.1|2", set_http_version},
};
#define N_TABLE (sizeof(table) / sizeof(table[0]))

bool s3_options_has(const char *option)
{
	return open_options_has(table, N_TABLE, option);
}

/* An object of these can be read only after hours. */
static bool is_archive(const char *storage_class)
{
	return storage_class != NULL && (strcmp(storage_class, "GLACIER") == 0 ||
						strcmp(storage_class, "DEEP_ARCHIVE") == 0);
}

static int check(const struct s3_options *o, char **ret_message)
{
	const char *archive = is_archive(o->storage_class) ? o->storage_class : NULL;

	for (int kind = 0; kind < S3_N_KINDS; kind++) {
		if (is_archive(o->storage_classes[kind]))
			archive = o->storage_classes[kind];
	}
	if (archive != NULL)
		return message_set(ret_message, -EINVAL,
			"storage class %s cannot be read at once: take one that can, e.g. "
			"GLACIER_IR or STANDARD_IA",
			archive);
	if (o->path_style && o->virtual_host)
		return message_set(ret_message, -EINVAL,
			"options path_style and virtual_host exclude each other");
	if (o->sse_kms_key_id != NULL && (o->sse == NULL || strcmp(o->sse, "aws:kms") != 0))
		return message_set(
			ret_message, -EINVAL, "option sse_kms_key_id needs option sse=aws:kms");
	return 0;
}

int s3_options_take(const char *const *options, struct s3_options *ret, char **ret_message)
{
	struct s3_options taken = {.connections = S3_OPTIONS_DEFAULT_CONNECTIONS};
	int r = open_options_take(table, N_TABLE, "s3", options, &taken, ret_message);

	if (r == 0)
		r = check(&taken, ret_message);
	if (r < 0) {
		s3_options_done(&taken);
		return r;
	}
	*ret = taken;
	return 0;
}

void s3_options_done(struct s3_options *options)
{
	char **const texts[] = {&options->endpoint, &options->region, &options->profile,
		&options->credentials_file, &options->ca_file, &options->proxy, &options->sse,
		&options->sse_kms_key_id, &options->storage_class};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
	for (int kind = 0; kind < S3_N_KINDS; kind++) {
		free(options->storage_classes[kind]);
		options->storage_classes[kind] = NULL;
	}
}

enum s3_kind s3_options_kind(const char *key)
{
	static const char *const names[S3_N_KINDS] = {[S3_KIND_CHECKPOINT] = "checkpoint",
		[S3_KIND_PACK] = "pack",
		[S3_KIND_BODY] = "body"};
	const char *kind = key;

	if (strncmp(key, "journal/", 8) == 0)
		return S3_KIND_JOURNAL;
	if (strncmp(key, "accounts/", 9) != 0)
		return S3_KIND_OTHER;
	/* accounts/HASH/ACCOUNT/KIND/… */
	for (int i = 0; i < 3; i++) {
		kind = strchr(kind, '/');
		if (kind == NULL)
			return S3_KIND_OTHER;
		kind++;
	}
	for (int i = 0; i < S3_N_KINDS; i++) {
		size_t size = names[i] == NULL ? 0 : strlen(names[i]);

		if (size > 0 && strncmp(kind, names[i], size) == 0 && kind[size] == '/')
			return (enum s3_kind)i;
	}
	return S3_KIND_OTHER;
}

const char *s3_options_storage_class(const struct s3_options *options, const char *key)
{
	enum s3_kind kind = s3_options_kind(key);

	if (options->storage_classes[kind] != NULL)
		return options->storage_classes[kind];
	return kind >= S3_KIND_CHECKPOINT ? options->storage_class : NULL;
}
