#include <config.h>
#include "nfs_target.h"

#include <limits.h>
#include <nfsc/libnfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "backends/registry.h"
#include "backends/tree_layout.h"

static char url[PATH_MAX], directory[64];

const char *nfs_target_url(void)
{
	return url;
}

void nfs_target_require(void)
{
	if (getenv("MAILFS_TEST_NFS_URL") != NULL)
		return;
	printf("1..0 # SKIP MAILFS_TEST_NFS_URL is not set: it names an export to test on\n");
	exit(0);
}

/* libnfs by itself, to prepare and to clean up. */
static struct nfs_context *mount_export(void)
{
	struct nfs_context *nfs = nfs_init_context();
	struct nfs_url *parsed;

	ck_assert_ptr_nonnull(nfs);
	parsed = nfs_parse_url_dir(nfs, getenv("MAILFS_TEST_NFS_URL"));
	ck_assert_msg(parsed != NULL, "%s", nfs_get_error(nfs));
	ck_assert_msg(nfs_mount(nfs, parsed->server, parsed->path) == 0, "%s", nfs_get_error(nfs));
	nfs_destroy_url(parsed);
	return nfs;
}

static struct backend *open_existing(void)
{
	struct backend *b = NULL;
	char *message = NULL;
	int r = backend_open_url(url, NULL, &b, &message);

	ck_assert_msg(r == 0, "%s", message != NULL ? message : "?");
	return b;
}

static struct backend *open_new(void)
{
	const char *base = getenv("MAILFS_TEST_NFS_URL");
	struct nfs_context *nfs = mount_export();
	char token[TREE_TOKEN_BYTES];

	ck_assert_int_eq(tree_token_make(token), 0);
	snprintf(directory, sizeof(directory), "/test-%s", token);
	ck_assert_msg(nfs_mkdir(nfs, directory) == 0, "%s", nfs_get_error(nfs));
	nfs_destroy_context(nfs);
	snprintf(url, sizeof(url), "%.*s%s%s", (int)strcspn(base, "?"), base, directory,
		base + strcspn(base, "?"));
	return open_existing();
}

static void remove_tree(struct nfs_context *nfs, const char *path)
{
	struct nfsdir *dir;
	struct nfsdirent *entry;

	if (nfs_opendir(nfs, path, &dir) != 0)
		return;
	while ((entry = nfs_readdir(nfs, dir)) != NULL) {
		char child[PATH_MAX];

		if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%s/%s", path, entry->name);
		if (S_ISDIR(entry->mode))
			remove_tree(nfs, child);
		else
			(void)nfs_unlink(nfs, child);
	}
	nfs_closedir(nfs, dir);
	(void)nfs_rmdir(nfs, path);
}

static void clean(void)
{
	struct nfs_context *nfs = mount_export();

	remove_tree(nfs, directory);
	nfs_destroy_context(nfs);
}

const struct battery_target nfs_target = {
	.open = open_new,
	.open_again = open_existing,
	.clean = clean,
};
