#include <config.h>
#include "file_target.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "backends/file/file_backend.h"

static char directory[PATH_MAX];

const char *file_target_path(void)
{
	return directory;
}

static struct backend *open_existing(void)
{
	struct backend *b = NULL;
	char *message = NULL;
	int r = file_backend_open(directory, &b, &message);

	ck_assert_msg(r == 0, "%s", message != NULL ? message : "?");
	return b;
}

static struct backend *open_new(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/mailfs-test-XXXXXX",
		parent != NULL ? parent : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	return open_existing();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_directory(void)
{
	(void)nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const struct battery_target file_target = {
	.open = open_new,
	.open_again = open_existing,
	.clean = remove_directory,
};
