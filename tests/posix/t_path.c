/* Errors of path resolution, the same question asked of every operation that takes a path. */
#include <config.h>

#include "groups.h"
#include "kit.h"
#include "path_ops.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void expect(const struct path_op *op, const char *path, int want)
{
	errno = 0;
	int r = op->call(path);
	int got = errno;
	if (r != -1)
		FAIL("%s of %.60s succeeded, wanted %s", op->name, path, strerrorname_np(want));
	if (got != want)
		FAIL("%s of %.60s gave %s, wanted %s", op->name, path, strerrorname_np(got),
			strerrorname_np(want));
}

static void expect_all(const char *path, int want)
{
	for (size_t i = 0; i < path_op_count; i++)
		expect(&path_ops[i], path, want);
}

static void enoent_component(void)
{
	kit_file("plain", "x");
	expect_all("missing/name", ENOENT);
	EQ(kit_count_names("."), 1);
}

static void enoent_last(void)
{
	kit_file("plain", "x");
	for (size_t i = 0; i < path_op_count; i++) {
		if (!path_ops[i].makes)
			expect(&path_ops[i], "missing", ENOENT);
	}
	EQ(kit_count_names("."), 1);
}

static void enoent_empty_path(void)
{
	kit_file("plain", "x");
	expect_all("", ENOENT);
}

static void enoent_dangling_symlink(void)
{
	kit_file("plain", "x");
	OK(symlink("nowhere", "dangling"));
	for (size_t i = 0; i < path_op_count; i++) {
		if (path_ops[i].follows && !path_ops[i].makes)
			expect(&path_ops[i], "dangling", ENOENT);
	}
	expect_all("dangling/name", ENOENT);
}

static void enotdir_component(void)
{
	kit_file("plain", "x");
	kit_file("file", "x");
	OK(mkfifo("fifo", 0644));
	OK(symlink("file", "link"));
	expect_all("file/name", ENOTDIR);
	expect_all("fifo/name", ENOTDIR);
	expect_all("link/name", ENOTDIR);
	kit_expect_text("file", "x");
}

static void enotdir_trailing_slash_on_file(void)
{
	kit_file("file", "x");
	static const char *const names[] = {"stat", "lstat", "access", "open_read", "truncate",
		"chmod", "chown", "utimensat", "unlink", "rmdir", "rename_from", "link_from",
		"setxattr"};
	for (size_t i = 0; i < path_op_count; i++) {
		for (size_t k = 0; k < COUNT_OF(names); k++) {
			if (strcmp(path_ops[i].name, names[k]) == 0)
				expect(&path_ops[i], "file/", ENOTDIR);
		}
	}
}

static void enametoolong_last(void)
{
	char name[NAME_MAX + 2];
	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	kit_file("plain", "x");
	expect_all(name, ENAMETOOLONG);
}

static void enametoolong_component(void)
{
	char path[NAME_MAX + 8];
	memset(path, 'n', sizeof(path));
	memcpy(path + NAME_MAX + 1, "/last", 6);
	kit_file("plain", "x");
	expect_all(path, ENAMETOOLONG);
}

static void enametoolong_path(void)
{
	char path[PATH_MAX + 1];
	for (size_t i = 0; i < PATH_MAX; i += 2)
		memcpy(path + i, "./", 2);
	path[PATH_MAX - 1] = 'x';
	path[PATH_MAX] = '\0';
	kit_file("plain", "x");
	expect_all(path, ENAMETOOLONG);
}

static void longest_path_and_name_work(void)
{
	char path[PATH_MAX];
	size_t at = 0;
	while (at + NAME_MAX + 2 < PATH_MAX - 1) {
		memset(path + at, 'd', NAME_MAX);
		path[at + NAME_MAX] = '\0';
		OK(mkdir(path, 0755));
		path[at + NAME_MAX] = '/';
		at += NAME_MAX + 1;
	}
	while (at + 2 < PATH_MAX - 1) {
		memcpy(path + at, "./", 2);
		at += 2;
	}
	memset(path + at, 'f', PATH_MAX - 1 - at);
	path[PATH_MAX - 1] = '\0';
	EQ(strlen(path), PATH_MAX - 1);
	kit_file(path, "deep");
	kit_expect_text(path, "deep");
	OK(unlink(path));
}

static void eloop_component(void)
{
	kit_file("plain", "x");
	OK(symlink("b", "a"));
	OK(symlink("a", "b"));
	OK(symlink("self", "self"));
	expect_all("a/name", ELOOP);
	expect_all("self/name", ELOOP);
}

static void eloop_last(void)
{
	kit_file("plain", "x");
	OK(symlink("self", "self"));
	for (size_t i = 0; i < path_op_count; i++) {
		if (path_ops[i].follows && strcmp(path_ops[i].name, "open_directory") != 0)
			expect(&path_ops[i], "self", ELOOP);
	}
}

static void eloop_limit_is_forty(void)
{
	char from[16], to[16];
	kit_file("l0", "end");
	for (int i = 1; i <= 41; i++) {
		snprintf(to, sizeof(to), "l%d", i - 1);
		snprintf(from, sizeof(from), "l%d", i);
		OK(symlink(to, from));
	}
	kit_expect_text("l40", "end");
	FAILS(ELOOP, open("l41", O_RDONLY));
}

static void eexist_makers(void)
{
	static const char *const kinds[] = {"file", "dir", "fifo", "link", "dangling"};
	kit_file("plain", "x");
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0644));
	OK(symlink("file", "link"));
	OK(symlink("nowhere", "dangling"));
	for (size_t i = 0; i < path_op_count; i++) {
		const struct path_op *op = &path_ops[i];
		for (size_t k = 0; k < COUNT_OF(kinds) && op->makes && !op->any_type; k++)
			expect(op, kinds[k], EEXIST);
	}
	kit_expect_absent("nowhere");
	EQ(kit_count_names("."), 6);
}

static void eacces_search(void)
{
	kit_need_root();
	OK(chown(".", KIT_USER, KIT_USER));
	kit_become(KIT_USER, KIT_USER);
	kit_file("plain", "x");
	kit_mkdir("closed", 0700);
	kit_file("closed/file", "x");
	OK(chmod("closed", 0600));
	expect_all("closed/file", EACCES);
	expect_all("closed/missing", EACCES);
	OK(chmod("closed", 0100));
	kit_expect_text("closed/file", "x");
}

static void eacces_parent_write(void)
{
	kit_need_root();
	kit_mkdir("dir", 0755);
	kit_mkdir("dir/sub", 0755);
	kit_file("dir/file", "x");
	kit_become(KIT_USER, KIT_USER);
	kit_file("plain", "x");
	for (size_t i = 0; i < path_op_count; i++) {
		if (path_ops[i].makes)
			expect(&path_ops[i], "dir/new", EACCES);
	}
	FAILS(EACCES, unlink("dir/file"));
	FAILS(EACCES, rmdir("dir/sub"));
	FAILS(EACCES, rename("dir/file", "stolen"));
	FAILS(EACCES, rename("dir/file", "dir/other"));
	FAILS(EACCES, rename("plain", "dir/file"));
}

static void eacces_by_class_of_user(void)
{
	kit_need_root();
	kit_file("owner", "x");
	OK(chown("owner", KIT_USER, KIT_USER));
	OK(chmod("owner", 0077)); /* the owner's class alone counts for the owner */
	kit_file("group", "x");
	OK(chown("group", 0, KIT_USER));
	OK(chmod("group", 0707)); /* and the group's for its members */
	kit_file("other", "x");
	OK(chmod("other", 0770));
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, open("owner", O_RDONLY));
	FAILS(EACCES, open("owner", O_WRONLY));
	FAILS(EACCES, open("group", O_RDONLY));
	FAILS(EACCES, open("other", O_RDONLY));
	FAILS(EACCES, truncate("other", 0));
	FAILS(EACCES, open("other", O_RDONLY | O_TRUNC));
	OK(chmod("owner", 0400));
	OK(close(OK(open("owner", O_RDONLY))));
	FAILS(EACCES, open("owner", O_RDWR));
}

static void supplementary_group_counts(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chown("file", 0, KIT_OTHER));
	OK(chmod("file", 0660));
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, open("file", O_RDWR));
	kit_become_root();
	kit_become_with_group(KIT_USER, KIT_USER, KIT_OTHER);
	OK(close(OK(open("file", O_RDWR))));
}

static void access_answers_by_real_ids_root(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chmod("file", 0));
	OK(access("file", R_OK | W_OK));
	FAILS(EACCES, access("file", X_OK));
	OK(chmod("file", 0001));
	OK(access("file", X_OK));
}

static void directory_read_permission(void)
{
	kit_need_root();
	kit_mkdir("dir", 0711);
	kit_file("dir/file", "x");
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, open("dir", O_RDONLY | O_DIRECTORY));
	kit_expect_text("dir/file", "x");
}

static const struct test_case cases[] = {
	CASE(enoent_component),
	CASE(enoent_last),
	CASE(enoent_empty_path),
	CASE(enoent_dangling_symlink),
	CASE(enotdir_component),
	CASE(enotdir_trailing_slash_on_file),
	CASE(enametoolong_last),
	CASE(enametoolong_component),
	CASE(enametoolong_path),
	CASE(longest_path_and_name_work),
	CASE(eloop_component),
	CASE(eloop_last),
	CASE(eloop_limit_is_forty),
	CASE(eexist_makers),
	CASE(eacces_search),
	CASE(eacces_parent_write),
	CASE(eacces_by_class_of_user),
	CASE(supplementary_group_counts),
	CASE(access_answers_by_real_ids_root),
	CASE(directory_read_permission),
};
DEFINE_GROUP(path);
