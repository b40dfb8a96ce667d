#include <config.h>
#include "tree_text.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "node_fixture.h"
#include "util/checksum.h"

struct text {
	struct fs *fs;
	const char *path;
	char *bytes;
	size_t n, size;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(t->bytes + t->n, t->size - t->n, format, arguments);
	va_end(arguments);
	ck_assert_uint_lt(t->n + (size_t)n, t->size);
	t->n += (size_t)n;
}

static void add_content(struct text *t, const struct fs_attributes *a)
{
	uint8_t *bytes = malloc(a->size_bytes + 1);
	uint64_t done = 0;

	while (done < a->size_bytes) {
		size_t n = a->size_bytes - done < 65536 ? (size_t)(a->size_bytes - done) : 65536;
		ssize_t r = node_fixture_read(t->fs, a->ino, done, bytes + done, n);

		ck_assert_msg(r > 0, "read of %s: %zd", t->path, r);
		done += (uint64_t)r;
	}
	add(t, " content %016llx", (unsigned long long)checksum_64(bytes, (size_t)done));
	free(bytes);
}

static void add_node(struct text *t, const struct fs_attributes *a)
{
	char value[256];
	ssize_t n = fs_getxattr(t->fs, a->ino, "user.x", value, sizeof(value));

	add(t, "%s: %llx %o %u %u %u %llu %lld.%09ld", t->path, (unsigned long long)a->ino, a->mode,
		a->nlink, a->uid, a->gid, (unsigned long long)a->size_bytes,
		(long long)a->mtime.tv_sec, a->mtime.tv_nsec);
	if (n >= 0)
		add(t, " x=%.*s", (int)n, value);
	if (S_ISLNK(a->mode)) {
		ck_assert_int_eq(fs_readlink(t->fs, a->ino, value, sizeof(value)), 0);
		add(t, " to %s", value);
	}
	if (S_ISREG(a->mode))
		add_content(t, a);
	add(t, "\n");
}

static void add_tree(struct text *t, const struct fs_attributes *a);

static bool add_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct text *t = arg, below = *t;
	char path[600];
	struct fs_attributes a;

	(void)mode;
	(void)next;
	(void)attributes;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	snprintf(path, sizeof(path), "%s/%s", t->path, name);
	below.path = path;
	ck_assert_int_eq(fs_getattr(t->fs, ino, &a), 0);
	add_tree(&below, &a);
	t->n = below.n;
	return true;
}

static void add_tree(struct text *t, const struct fs_attributes *a)
{
	add_node(t, a);
	if (S_ISDIR(a->mode))
		ck_assert_int_eq(fs_readdir(t->fs, a->ino, 0, false, add_entry, t), 0);
}

void tree_text(struct fs *fs, const char *account, char *ret, size_t size)
{
	struct text t = {.fs = fs, .path = account, .bytes = ret, .size = size};
	struct fs_attributes a;
	int r = fs_lookup(fs, FS_ROOT_INO, account, &a);

	ret[0] = '\0';
	ck_assert_msg(r == 0 || r == -ENOENT, "%s: %d", account, r);
	if (r < 0)
		return;
	add_tree(&t, &a);
	fs_forget(fs, a.ino, 1);
}
