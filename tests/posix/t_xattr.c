/* Extended attributes of the user namespace. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void need_xattrs(void)
{
	kit_file("file", "x");
	if (setxattr("file", "user.probe", "1", 1, 0) < 0) {
		if (errno == ENOTSUP)
			SKIP("no user xattrs");
		FAIL("setxattr: %m");
	}
	OK(removexattr("file", "user.probe"));
}

static void expect_value(const char *path, const char *name, const void *value, size_t len)
{
	uint8_t *got = kit_alloc(len + 1);
	EQ(OKL(getxattr(path, name, NULL, 0)), len);
	EQ(OKL(getxattr(path, name, got, len + 1)), len);
	EQ_MEM(got, value, len);
	free(got);
}

static bool in_list(const char *list, ssize_t len, const char *name)
{
	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(list + at) + 1) {
		if (strcmp(list + at, name) == 0)
			return true;
	}
	return false;
}

static void set_get_replace_remove(void)
{
	need_xattrs();
	OK(setxattr("file", "user.a", "one", 3, 0));
	expect_value("file", "user.a", "one", 3);
	OK(setxattr("file", "user.a", "longer value", 12, 0));
	expect_value("file", "user.a", "longer value", 12);
	OK(setxattr("file", "user.a", "", 0, 0));
	EQ(OKL(getxattr("file", "user.a", NULL, 0)), 0);
	OK(removexattr("file", "user.a"));
	FAILS(ENODATA, getxattr("file", "user.a", NULL, 0));
	FAILS(ENODATA, removexattr("file", "user.a"));
}

static void create_and_replace_flags(void)
{
	need_xattrs();
	FAILS(ENODATA, setxattr("file", "user.a", "1", 1, XATTR_REPLACE));
	OK(setxattr("file", "user.a", "1", 1, XATTR_CREATE));
	FAILS(EEXIST, setxattr("file", "user.a", "2", 1, XATTR_CREATE));
	expect_value("file", "user.a", "1", 1);
	OK(setxattr("file", "user.a", "3", 1, XATTR_REPLACE));
	expect_value("file", "user.a", "3", 1);
}

static void buffer_too_small(void)
{
	char data[8];
	need_xattrs();
	OK(setxattr("file", "user.a", "12345678", 8, 0));
	FAILS(ERANGE, getxattr("file", "user.a", data, 7));
	EQ(OKL(getxattr("file", "user.a", data, 8)), 8);
	FAILS(ERANGE, listxattr("file", data, 3));
}

static void binary_values(void)
{
	uint8_t value[256];
	need_xattrs();
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)i;
	OK(setxattr("file", "user.binary", value, sizeof(value), 0));
	expect_value("file", "user.binary", value, sizeof(value));
}

static void listing(void)
{
	char list[256];
	need_xattrs();
	OK(setxattr("file", "user.one", "1", 1, 0));
	OK(setxattr("file", "user.two", "2", 1, 0));
	ssize_t len = OKL(listxattr("file", NULL, 0));
	EQ(OKL(listxattr("file", list, sizeof(list))), len);
	CHECK(in_list(list, len, "user.one"));
	CHECK(in_list(list, len, "user.two"));
	OK(removexattr("file", "user.one"));
	len = OKL(listxattr("file", list, sizeof(list)));
	CHECK(!in_list(list, len, "user.one"));
	CHECK(in_list(list, len, "user.two"));
}

static void large_values(void)
{
	static const size_t sizes[] = {100, 1000, 2000, 4000, 5000, 16384, 40000, 65000};
	uint8_t *value = kit_alloc(XATTR_SIZE_MAX + 1);
	need_xattrs();
	FAILS(E2BIG, setxattr("file", "user.big", value, XATTR_SIZE_MAX + 1, 0));
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		kit_pattern(value, sizes[i], i, 0);
		if (setxattr("file", "user.big", value, sizes[i], 0) < 0) {
			if (sizes[i] > 2000 && (errno == ENOSPC || errno == E2BIG))
				SKIP("values of %zu bytes are refused here: %m", sizes[i]);
			FAIL("setxattr of %zu bytes: %m", sizes[i]);
		}
		expect_value("file", "user.big", value, sizes[i]);
	}
}

static void many_attributes(void)
{
	char name[32], *list = kit_alloc(65536);
	need_xattrs();
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user.name%d", i);
		OK(setxattr("file", name, name, strlen(name), 0));
	}
	ssize_t len = OKL(listxattr("file", list, 65536));
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user.name%d", i);
		CHECK(in_list(list, len, name));
		expect_value("file", name, name, strlen(name));
	}
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user.name%d", i);
		OK(removexattr("file", name));
	}
	EQ(OKL(listxattr("file", list, 65536)), 0);
}

static void longest_name(void)
{
	char name[XATTR_NAME_MAX + 2];
	need_xattrs();
	memset(name, 'n', sizeof(name));
	memcpy(name, "user.", 5);
	name[XATTR_NAME_MAX + 1] = '\0';
	FAILS(ERANGE, setxattr("file", name, "v", 1, 0));
	name[XATTR_NAME_MAX] = '\0';
	OK(setxattr("file", name, "v", 1, 0));
	expect_value("file", name, "v", 1);
	FAILS(ERANGE, setxattr("file", "", "v", 1, 0));
}

static void bad_namespace_and_flags(void)
{
	need_xattrs();
	FAILS_ANY(EOPNOTSUPP, EPERM, setxattr("file", "nonsense.a", "1", 1, 0));
	FAILS_ANY(EINVAL, EOPNOTSUPP, setxattr("file", "user.", "1", 1, 0));
	FAILS(EINVAL, setxattr("file", "user.a", "1", 1, 0x100));
}

static void which_types_take_them(void)
{
	need_xattrs();
	kit_mkdir("dir", 0755);
	OK(mkfifo("fifo", 0644));
	OK(symlink("file", "link"));
	OK(setxattr("dir", "user.a", "d", 1, 0));
	expect_value("dir", "user.a", "d", 1);
	FAILS(EPERM, setxattr("fifo", "user.a", "1", 1, 0));
	FAILS(EPERM, lsetxattr("link", "user.a", "1", 1, 0));
	OK(setxattr("link", "user.a", "f", 1, 0));
	expect_value("file", "user.a", "f", 1);
}

static void follow_the_inode(void)
{
	need_xattrs();
	OK(setxattr("file", "user.a", "v", 1, 0));
	OK(link("file", "other"));
	OK(rename("file", "moved"));
	expect_value("other", "user.a", "v", 1);
	int fd = OK(open("moved", O_RDWR));
	OK(unlink("moved"));
	OK(unlink("other"));
	OK(fsetxattr(fd, "user.b", "w", 1, 0));
	char c;
	EQ(OKL(fgetxattr(fd, "user.b", &c, 1)), 1);
	kit_file("moved", "new");
	FAILS(ENODATA, getxattr("moved", "user.a", NULL, 0));
}

static void permissions(void)
{
	need_xattrs();
	kit_need_root();
	OK(setxattr("file", "user.a", "v", 1, 0));
	kit_become(KIT_USER, KIT_USER);
	expect_value("file", "user.a", "v", 1);
	FAILS(EACCES, setxattr("file", "user.a", "w", 1, 0));
	FAILS(EACCES, removexattr("file", "user.a"));
	kit_become_root();
	OK(chmod("file", 0));
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, getxattr("file", "user.a", NULL, 0));
}

static void trusted_is_for_root(void)
{
	need_xattrs();
	kit_need_root();
	if (setxattr("file", "trusted.t", "v", 1, 0) < 0)
		SKIP("no trusted xattrs: %m");
	expect_value("file", "trusted.t", "v", 1);
	kit_become(KIT_USER, KIT_USER);
	FAILS(EPERM, setxattr("file", "trusted.t", "w", 1, 0));
	FAILS_ANY(ENODATA, EPERM, getxattr("file", "trusted.t", NULL, 0));
}

static const struct test_case cases[] = {
	CASE(set_get_replace_remove),
	CASE(create_and_replace_flags),
	CASE(buffer_too_small),
	CASE(binary_values),
	CASE(listing),
	CASE(large_values),
	CASE(many_attributes),
	CASE(longest_name),
	CASE(bad_namespace_and_flags),
	CASE(which_types_take_them),
	CASE(follow_the_inode),
	CASE(permissions),
	CASE(trusted_is_for_root),
};
DEFINE_GROUP(xattr);
