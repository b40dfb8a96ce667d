#include <config.h>
#include "backends/nfs/nfs_open.h"

#include <errno.h>
#include <netdb.h>
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "backends/nfs/nfs_record.h"
#include "backends/nfs/nfs_status.h"
#include "backends/nfs/nfs_temporary.h"
#include "util/clock.h"
#include "util/message.h"

#define MAX_LEFTOVERS 10000 /* at once; the next who opens goes on */

int nfs_open_resolve(struct nfs_backend *nb, char **ret_message)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(nb->settings.server, NULL, &hints, &list);

	for (const struct addrinfo *a = list; a != NULL && error == 0; a = a->ai_next) {
		if (nb->n_addresses == NFS_MAX_ADDRESSES)
			break;
		error = getnameinfo(a->ai_addr, a->ai_addrlen, nb->addresses[nb->n_addresses],
			NFS_ADDRESS_BYTES, NULL, 0, NI_NUMERICHOST);
		if (error == 0)
			nb->n_addresses++;
	}
	if (list != NULL)
		freeaddrinfo(list);
	if (error == 0)
		return 0;
	return message_set(ret_message, -EHOSTUNREACH,
		"the NFS server %s has no address: %s: check the name in the URL",
		nb->settings.server, gai_strerror(error));
}

/* ---- mounting */

static struct nfs_endpoint endpoint_of(
	const struct nfs_backend *nb, int program, int version, uint32_t port)
{
	struct nfs_endpoint e = {
		.port = port,
		.program = program,
		.version = version,
		.uid = nb->settings.uid,
		.gid = nb->settings.gid,
		.answer_timeout_ms = nb->settings.answer_timeout_ms,
	};

	memcpy(e.address, nb->addresses[nb->address], sizeof(e.address));
	return e;
}

static int say_unreachable(const struct nfs_backend *nb, const char *what, uint32_t port,
	const struct nfs_connection *c, int r, char **ret_message)
{
	const char *error = nfs_connection_error(c);

	if (port == 0)
		return message_set(ret_message, r,
			"%s of the NFS server %s cannot be reached, nor its portmapper (port 111): "
			"%s: check that it runs and no firewall is between, or give the ports "
			"(?nfsport=2049&mountport=PORT)",
			what, nb->settings.server, *error != '\0' ? error : strerror(-r));
	return message_set(ret_message, r,
		"%s of the NFS server %s cannot be reached at port %u: %s: check that it runs and "
		"no firewall is between",
		what, nb->settings.server, (unsigned int)port,
		*error != '\0' ? error : strerror(-r));
}

static int say_not_mounted(const struct nfs_backend *nb, int r, char **ret_message)
{
	const char *server = nb->settings.server, *path = nb->settings.path;

	switch (-r) {
	case ENOENT:
	case ENOTDIR:
		return message_set(ret_message, r,
			"the NFS server %s has no directory %s: create it there, or correct the "
			"URL",
			server, path);
	case EACCES:
		return message_set(ret_message, r,
			"the NFS server %s does not let this machine mount %s: see that the "
			"directory exists and is exported to this machine (showmount -e %s shows "
			"the exports)",
			server, path, server);
	default:
		return message_set(ret_message, r, "the NFS server %s refuses to mount %s: %s",
			server, path, strerror(-r));
	}
}

static bool is_about_reaching(int r)
{
	return r == -EHOSTUNREACH || r == -ETIMEDOUT;
}

/* MNT; the connection to the mount service lasts as long as that. */
static int ask_for_root(
	struct nfs_task *task, struct nfs_backend *nb, struct nfs_handle *ret, char **ret_message)
{
	struct nfs_endpoint e = endpoint_of(nb, MOUNT_PROGRAM, MOUNT_V3, nb->settings.mount_port);
	struct nfs_connection *mount;
	int r = nfs_loop_connect(task->loop, &e, &mount);

	if (r < 0)
		return message_set(ret_message, r, "cannot connect: %s", strerror(-r));
	r = nfs_rpc_mount(task, mount, nb->settings.path, ret);
	if (is_about_reaching(r))
		r = say_unreachable(nb, "the mount service", e.port, mount, r, ret_message);
	else if (r < 0)
		r = say_not_mounted(nb, r, ret_message);
	nfs_loop_disconnect(task->loop, mount);
	return r;
}

int nfs_mount_again(struct nfs_task *task, struct nfs_backend *nb)
{
	uint64_t now_ms = clock_monotonic_ms();
	struct nfs_handle root;
	int r;

	if (now_ms < nb->mounted_ms + NFS_MOUNT_PAUSE_MS)
		return -EAGAIN;
	nb->mounted_ms = now_ms;
	r = ask_for_root(task, nb, &root, NULL);
	if (r == 0) {
		nb->export.root = root;
		nfs_directories_forget(&nb->directories);
	}
	return r;
}

/* ---- the directory */

static int say_unusable(const struct nfs_backend *nb, int r, char **ret_message)
{
	const char *server = nb->settings.server, *path = nb->settings.path;

	switch (-r) {
	case EACCES:
		return message_set(ret_message, r,
			"%s on the NFS server %s cannot be written to: give the directory to the "
			"user (nfs_uid=, nfs_gid=; root is often mapped to nobody), mode 0700",
			path, server);
	case EROFS:
		return message_set(ret_message, r,
			"%s is exported read-only by the NFS server %s: export it read-write", path,
			server);
	case ENOSPC:
		return message_set(ret_message, r,
			"no space is left (or the quota is used up) in %s on the NFS server %s",
			path, server);
	case EPROTONOSUPPORT:
		return message_set(ret_message, r,
			"the NFS server %s does not speak NFS version 3 over TCP; for NFSv4 mount "
			"the export and give the directory as file:///...",
			server);
	default:
		return message_set(ret_message, r, "cannot use %s on the NFS server %s: %s", path,
			server, strerror(-nfs_status_outward(r)));
	}
}

/* What is old in TREE_TEMPORARY: the names, as no request can be made while it is read. */
struct leftovers {
	char (*names)[TREE_NAME_BYTES];
	bool *are_directories;
	size_t n;
	int64_t before_ms;
};

static bool note_leftover(const struct nfs_entry *entry, void *arg)
{
	struct leftovers *l = arg;
	size_t size = strlen(entry->name) + 1;

	if (!entry->has_attributes || nfs_modified_ms(&entry->node.attributes) > l->before_ms ||
		size > TREE_NAME_BYTES)
		return true;
	l->are_directories[l->n] = entry->node.attributes.type == NFS_DIRECTORY;
	memcpy(l->names[l->n++], entry->name, size);
	return l->n < MAX_LEFTOVERS;
}

static void remove_leftovers(struct nfs_task *task, struct nfs_backend *nb,
	const struct nfs_handle *temporary, int64_t now_ms)
{
	struct leftovers l = {.before_ms = now_ms - TREE_LEFTOVER_AGE_MS};

	l.names = calloc(MAX_LEFTOVERS, sizeof(*l.names));
	l.are_directories = calloc(MAX_LEFTOVERS, sizeof(*l.are_directories));
	if (l.names != NULL && l.are_directories != NULL)
		(void)nfs_rpc_read_directory(task, &nb->export, temporary, 0, note_leftover, &l);
	for (size_t i = 0; i < l.n; i++) {
		if (l.are_directories[i])
			nfs_record_discard(task, nb, temporary, l.names[i]);
		else
			(void)nfs_rpc_remove(task, &nb->export, temporary, l.names[i]);
	}
	free(l.names);
	free(l.are_directories);
}

/* Makes a file, which proves that we may, and tells what time the server has. */
static int try_directory(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *ret)
{
	struct iovec part = {(char[]){"mailfs"}, 6};
	int r = nfs_rpc_sizes(task, &nb->export);

	ret->name[0] = '\0';
	if (r == 0)
		r = nfs_temporary_make(task, nb, &part, 1, ret);
	nfs_temporary_done(task, nb, ret);
	return r;
}

/* With the address at hand. Without a connection on failure. */
static int open_at(struct nfs_task *task, struct nfs_backend *nb, struct nfs_temporary *ret,
	char **ret_message)
{
	struct nfs_endpoint e = endpoint_of(nb, NFS_PROGRAM, NFS_V3, nb->settings.nfs_port);
	struct nfs_connection *c;
	int r;

	nb->mounted_ms = clock_monotonic_ms();
	r = ask_for_root(task, nb, &nb->export.root, ret_message);
	if (r < 0)
		return r;
	r = nfs_loop_connect(task->loop, &e, &c);
	if (r < 0)
		return say_unusable(nb, r, ret_message);
	nb->export.connection = c;
	r = try_directory(task, nb, ret);
	if (r == 0)
		return 0;
	if (is_about_reaching(r))
		r = say_unreachable(nb, "the NFS service", e.port, c, r, ret_message);
	else
		r = say_unusable(nb, r, ret_message);
	nfs_loop_disconnect(task->loop, c);
	return r;
}

int nfs_open_run(struct nfs_task *task, struct nfs_call *call)
{
	struct nfs_backend *nb = call->nb;
	char **message = call->target;
	struct nfs_temporary t;
	int r = -EHOSTUNREACH;

	task->fails_fast = true;
	for (size_t i = 0; i < nb->n_addresses && r == -EHOSTUNREACH; i++) {
		free(*message);
		*message = NULL;
		nb->address = i;
		r = open_at(task, nb, &t, message);
	}
	if (r < 0)
		return r;
	nfs_call_complete(task, call, 0);
	remove_leftovers(task, nb, &t.directory, nfs_modified_ms(&t.node.attributes));
	return 0;
}
