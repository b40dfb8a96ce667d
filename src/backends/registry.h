/*
 * registry.h: from a volume URL to a backend.
 *
 * Understands file:///absolute/dir (and memory://NAME in tests, shared within the process).
 * On failure *ret_message is a malloc()ed sentence for the user that says what, where and what to
 * do; the caller frees it.
 */
#ifndef MAILFS_BACKENDS_REGISTRY_H
#define MAILFS_BACKENDS_REGISTRY_H

#include "backends/backend.h"

/* -EINVAL: malformed or unknown URL; else what the driver says. Starts the backend's threads, so
 * never call it before a fork(). */
int backend_open_url(const char *url, struct backend **ret, char **ret_message);

#endif
