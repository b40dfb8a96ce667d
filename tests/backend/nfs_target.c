#include <config.h>
#include "nfs_target.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

struct nfs_context *nfs_target_client(void)
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
	struct nfs_context *nfs = nfs_target_client();
	char token[TREE_TOKEN_BYTES];

	ck_assert_int_eq(tree_token_make(token), 0);
	snprintf(directory, sizeof(directory), "/test-%s", token);
	ck_assert_msg(nfs_mkdir(nfs, directory) == 0, "%s", nfs_get_error(nfs));
	nfs_destroy_context(nfs);
	snprintf(url, sizeof(url), "%.*s%s%s", (int)strcspn(base, "?"), base, directory,
		base + strcspn(base, "?"));
	return open_existing();
}

const char *nfs_target_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void remove_entry(struct nfs_context *client, const char *path, const char *name)
{
	char child[PATH_MAX];

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	ck_assert_int_lt(snprintf(child, sizeof(child), "%s/%s", path, name), PATH_MAX);
	nfs_target_remove(client, child);
}

void nfs_target_remove(struct nfs_context *client, const char *path)
{
	struct nfsdir *dir;
	struct nfsdirent *entry;

	if (nfs_unlink(client, path) == 0 || nfs_opendir(client, path, &dir) != 0)
		return;
	while ((entry = nfs_readdir(client, dir)) != NULL)
		remove_entry(client, path, entry->name);
	nfs_closedir(client, dir);
	(void)nfs_rmdir(client, path);
}

static void clean(void)
{
	struct nfs_context *nfs = nfs_target_client();

	nfs_target_remove(nfs, directory);
	nfs_destroy_context(nfs);
}

const struct battery_target nfs_target = {
	.open = open_new,
	.open_again = open_existing,
	.clean = clean,
};
