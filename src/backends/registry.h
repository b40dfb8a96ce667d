/*
 * registry.h: from a volume URL to a backend.
 *
 * Understands file:///absolute/dir, nfs://server/exported/dir and s3://BUCKET/PREFIX (and
 * memory://NAME in tests, shared within the process).
 * On failure *ret_message is a malloc()ed sentence for the user that says what, where and what to
 * do; the caller frees it.
 */
#ifndef MAILFS_BACKENDS_REGISTRY_H
#define MAILFS_BACKENDS_REGISTRY_H

#include "backends/backend.h"

/* options: of the driver, "name" or "name=value", ends with NULL; NULL: none. -EINVAL: malformed or
 * unknown URL or option; else what the driver says. Starts the backend's threads, so never call it
 * before a fork(). */
int backend_open_url(
	const char *url, const char *const *options, struct backend **ret, char **ret_message);

/* Whether the driver of this URL has an option of this name ("name" or "name=value"). */
bool backend_url_has_option(const char *url, const char *option);

#endif
