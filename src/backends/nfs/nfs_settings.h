/*
 * nfs_settings.h: what an nfs:// URL and the options beside it say.
 *
 *     nfs://SERVER[:PORT]/PATH[?ARGUMENT=VALUE[&...]]
 *
 * as libnfs writes it; SERVER is a name, an IPv4 address, or an IPv6 address in brackets; %XX in
 * PATH is a byte. An option of the backend is the argument with "nfs_" before it, and wins.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_SETTINGS_H
#define MAILFS_BACKENDS_NFS_NFS_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define NFS_SERVER_BYTES 256
#define NFS_PATH_BYTES 1024
#define NFS_DEFAULT_ANSWER_TIMEOUT_MS 15000

struct nfs_settings {
	char server[NFS_SERVER_BYTES];
	char path[NFS_PATH_BYTES];     /* begins with '/', does not end with one unless it is "/" */
	uint32_t nfs_port, mount_port; /* 0: the server's portmapper is asked */
	uint32_t uid, gid;             /* UINT32_MAX: the process's, with its groups */
	uint32_t answer_timeout_ms;    /* after that the connection is taken for dead */
	uint32_t version;              /* 3 */
	uint32_t traverses_mounts;     /* known to users of libnfs; exports are never crossed */
};

/* `rest` is the URL behind "nfs://". options: as in open_options.h. -EINVAL, -EOPNOTSUPP (version
 * 4), -ENOMEM, with a sentence for the user. */
int nfs_settings_read(
	const char *rest, const char *const *options, struct nfs_settings *ret, char **ret_message);

/* Whether the driver knows the option "name" or "name=value". */
bool nfs_settings_has_option(const char *option);

#endif
