#include <config.h>
#include "backends/nfs/nfs_directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nfs/nfs_internal.h"
#include "backends/nfs/nfs_status.h"
#include "util/checksum.h"

struct nfs_known_directory {
	struct nfs_handle handle;
	char path[];
};

void nfs_directories_forget(struct nfs_directories *ds)
{
	for (size_t i = 0; i < NFS_DIRECTORY_SLOTS; i++) {
		free(ds->slots[i]);
		ds->slots[i] = NULL;
	}
}

void nfs_directories_renew(struct nfs_task *task, struct nfs_backend *nb)
{
	struct nfs_attributes attributes;

	nfs_directories_forget(&nb->directories);
	if (nfs_rpc_getattr(task, &nb->export, &nb->export.root, &attributes) == -NFS_STALE_HANDLE)
		(void)nfs_mount_again(task, nb);
}

static struct nfs_known_directory **slot_of(struct nfs_directories *ds, const char *path)
{
	return &ds->slots[checksum_64(path, strlen(path)) % NFS_DIRECTORY_SLOTS];
}

static bool find_known(struct nfs_directories *ds, const char *path, struct nfs_handle *ret)
{
	const struct nfs_known_directory *known = *slot_of(ds, path);

	if (known == NULL || strcmp(known->path, path) != 0)
		return false;
	*ret = known->handle;
	return true;
}

/* Without memory it is not kept, which is no error. */
static void keep(struct nfs_directories *ds, const char *path, const struct nfs_handle *handle)
{
	struct nfs_known_directory **slot = slot_of(ds, path);
	size_t size = strlen(path) + 1;
	struct nfs_known_directory *known = malloc(sizeof(*known) + size);

	free(*slot);
	*slot = known;
	if (known == NULL)
		return;
	known->handle = *handle;
	memcpy(known->path, path, size);
}

/* One step down. Somebody else may make the same directory at the same time. */
static int step_down(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *parent, const char *name, bool make, struct nfs_handle *ret)
{
	struct nfs_node node;
	int r = nfs_rpc_lookup(task, e, parent, name, &node);

	if (r == -ENOENT && make) {
		r = nfs_rpc_mkdir(task, e, parent, name, ret);
		if (r != -EEXIST)
			return r;
		r = nfs_rpc_lookup(task, e, parent, name, &node);
	}
	if (r < 0)
		return r;
	if (node.attributes.type != NFS_DIRECTORY)
		return -ENOTDIR;
	*ret = node.handle;
	return 0;
}

/* The longest part of the path that is known: its length. Cuts the path there. */
static size_t find_longest(struct nfs_backend *nb, char *path, struct nfs_handle *ret)
{
	char *end = path + strlen(path);

	for (;;) {
		*end = '\0';
		if (end == path) {
			*ret = nb->export.root;
			return 0;
		}
		if (find_known(&nb->directories, path, ret))
			return (size_t)(end - path);
		do {
			end--;
		} while (end > path && *end != '/');
	}
}

static int walk(struct nfs_task *task, struct nfs_backend *nb, const char *path, bool make,
	struct nfs_handle *ret)
{
	char known[BACKEND_KEY_MAX_BYTES + 1], name[BACKEND_KEY_MAX_BYTES + 1];
	struct nfs_handle handle;
	size_t done;
	int r = 0;

	memcpy(known, path, strlen(path) + 1);
	done = find_longest(nb, known, &handle);
	while (r == 0 && path[done] != '\0') {
		size_t begin = path[done] == '/' ? done + 1 : done;
		size_t size = strcspn(path + begin, "/");

		memcpy(name, path + begin, size);
		name[size] = '\0';
		r = step_down(task, &nb->export, &handle, name, make, &handle);
		done = begin + size;
		memcpy(known, path, done);
		known[done] = '\0';
		if (r == 0)
			keep(&nb->directories, known, &handle);
	}
	if (r == 0)
		*ret = handle;
	return r;
}

int nfs_directory_find(struct nfs_task *task, struct nfs_backend *nb, const char *path, bool make,
	struct nfs_handle *ret)
{
	int r = -NFS_STALE_HANDLE;

	for (int i = 0; i < 3 && r == -NFS_STALE_HANDLE; i++) {
		r = walk(task, nb, path, make, ret);
		if (r == -NFS_STALE_HANDLE)
			nfs_directories_renew(task, nb);
	}
	return r;
}

int nfs_directory_of_key(struct nfs_task *task, struct nfs_backend *nb, const char *key, bool make,
	struct nfs_handle *ret)
{
	char path[BACKEND_KEY_MAX_BYTES + 1];
	const char *slash = strrchr(key, '/');
	size_t size = slash == NULL ? 0 : (size_t)(slash - key);

	memcpy(path, key, size);
	path[size] = '\0';
	return nfs_directory_find(task, nb, path, make, ret);
}

bool nfs_directory_is_gone(
	struct nfs_task *task, struct nfs_backend *nb, const struct nfs_handle *directory)
{
	struct nfs_attributes attributes;
	int r = nfs_rpc_getattr(task, &nb->export, directory, &attributes);

	return r == -NFS_STALE_HANDLE || (r == 0 && attributes.n_links == 0);
}
