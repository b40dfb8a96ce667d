/*
 * s3_backend.h: objects in a bucket of an S3 store.
 *
 * Conditional puts need a store that has them (AWS S3, Ceph's radosgw, MinIO …), and a bucket
 * without versioning at radosgw; backend_probe() shows it. Versions are ETags, which for most
 * stores are a digest of the content: an object that is changed by compare-and-swap must never get
 * a content it had before. Every put is one request, so a success is durable as far as the store's
 * answer is; those above 64 MiB without a condition go in parts. doc/backends.md has the options.
 */
#ifndef MAILFS_BACKENDS_S3_S3_BACKEND_H
#define MAILFS_BACKENDS_S3_S3_BACKEND_H

#include <stdbool.h>
#include "backends/backend.h"

/* rest: "BUCKET/PREFIX", what follows s3://. Fetches credentials and asks the store for the bucket,
 * so it may block for some seconds; starts one thread, or two when the credentials expire.
 * -EINVAL for a malformed URL or option, -ENOKEY without credentials, -EPERM when others may read
 * them, -ENOENT without the bucket, -EACCES, -EHOSTUNREACH, -ECONNREFUSED, …; always with a
 * message. */
int s3_backend_open(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message);

/* Whether there is an option of this name ("name" or "name=value"). */
bool s3_backend_has_option(const char *option);

#endif
