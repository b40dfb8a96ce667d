/*
 * bare_volume.h: a volume's backend, opened by mailfs-admin itself.
 */
#ifndef MAILFS_ADMIN_BARE_VOLUME_H
#define MAILFS_ADMIN_BARE_VOLUME_H

#include <stdbool.h>
#include "admin/verb.h"
#include "backends/backend_chain.h"
#include "util/uuid.h"
#include "volume/volume.h"

struct bare_volume {
	char *url;
	bool is_mounted; /* a daemon was asked for the URL, and has flushed */
	struct backend_chain chain;
	struct volume volume;
	struct uuid uuid; /* the volume's */
};

/* `target` is a URL, or what find_daemon() understands: then the daemon flushes first, and tells
 * its URL. With is_read_only nothing can be written. A failure has been printed;
 * bare_volume_close() in any case. */
enum admin_status bare_volume_open(const struct admin_verb *verb, const char *target,
	char *const *options, bool is_read_only, struct bare_volume *ret);
void bare_volume_close(struct bare_volume *volume);

#endif
