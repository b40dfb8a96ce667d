/*
 * s3_options.h: the options of s3:// URLs. doc/backends.md says what they do.
 */
#ifndef MAILFS_BACKENDS_S3_S3_OPTIONS_H
#define MAILFS_BACKENDS_S3_S3_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define S3_OPTIONS_DEFAULT_CONNECTIONS 96
#define S3_OPTIONS_MAX_CONNECTIONS 1024

/* Kinds of objects, by their keys: see doc/format-objects.md. */
enum s3_kind {
	S3_KIND_OTHER, /* volume.json, owner records, sessions: small, rewritten often */
	S3_KIND_JOURNAL,
	S3_KIND_CHECKPOINT,
	S3_KIND_PACK,
	S3_KIND_BODY,
	S3_N_KINDS,
};

/* Text fields are NULL when not given. */
struct s3_options {
	char *endpoint, *region, *profile, *credentials_file, *ca_file, *proxy;
	char *sse, *sse_kms_key_id;
	char *storage_class; /* of checkpoints, packs and bodies that have none of their own */
	char *storage_classes[S3_N_KINDS];
	bool path_style, virtual_host;
	uint32_t connections;
	uint32_t http_version; /* 1 or 2; 0: 2 over TLS where it is offered */
};

/* options: as backend_open_url(). -EINVAL, -ENOMEM. */
int s3_options_take(const char *const *options, struct s3_options *ret, char **ret_message);
void s3_options_done(struct s3_options *options);

/* Whether there is an option of this name ("name" or "name=value"). */
bool s3_options_has(const char *option);

enum s3_kind s3_options_kind(const char *key);

/* NULL: none is to be asked for. */
const char *s3_options_storage_class(const struct s3_options *options, const char *key);

#endif
