/* Rules that depend on owner, group, type and mode, asked for every combination. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum type { REGULAR, FIFO, BLOCK, CHARACTER, SOCKET, SYMLINK, DIRECTORY, TYPES, NONE };

static const mode_t type_modes[TYPES] = {
	S_IFREG, S_IFIFO, S_IFBLK, S_IFCHR, S_IFSOCK, S_IFLNK, S_IFDIR};

static int try_make(enum type type, const char *path, mode_t mode)
{
	if (type == DIRECTORY)
		return mkdir(path, mode);
	if (type == SYMLINK)
		return symlink("test", path);
	return mknod(path, type_modes[type] | mode, makedev(1, 2));
}

static void make(enum type type, const char *path, uid_t owner)
{
	OK(try_make(type, path, 0644));
	OK(lchown(path, owner, owner));
}

static void remove_one(enum type type, const char *path)
{
	OK(type == DIRECTORY ? rmdir(path) : unlink(path));
}

struct sticky_case {
	uid_t dir_owner, file_owner;
	enum type from, to;
};

static bool may_change(const struct sticky_case *c)
{
	return c->dir_owner == KIT_USER || c->file_owner == KIT_USER;
}

/* KIT_USER renames sticky/a to plain/b. */
static void rename_out_of_sticky(const struct sticky_case *c)
{
	OK(lchown("sticky", c->dir_owner, c->dir_owner));
	make(c->from, "sticky/a", c->file_owner);
	if (c->to != NONE)
		make(c->to, "plain/b", KIT_USER);
	uint64_t ino = kit_ino("sticky/a");
	kit_become(KIT_USER, KIT_USER);
	if (may_change(c)) {
		OK(rename("sticky/a", "plain/b"));
		EQ(kit_ino("plain/b"), ino);
		EQ(kit_lstat("plain/b").st_uid, c->file_owner);
		kit_expect_absent("sticky/a");
		kit_become_root();
		remove_one(c->from, "plain/b");
		return;
	}
	FAILS(EPERM, rename("sticky/a", "plain/b"));
	kit_become_root();
	EQ(kit_ino("sticky/a"), ino);
	remove_one(c->from, "sticky/a");
	if (c->to != NONE)
		remove_one(c->to, "plain/b");
}

static void sticky_and_plain(void)
{
	kit_need_root();
	kit_mkdir("sticky", 0777);
	OK(chmod("sticky", 01777));
	kit_mkdir("plain", 0777);
}

static const uid_t owners[] = {KIT_USER, 0, KIT_OTHER};

static void sticky_rename_source(void)
{
	sticky_and_plain();
	for (size_t d = 0; d < COUNT_OF(owners); d++) {
		for (size_t f = 0; f < COUNT_OF(owners); f++) {
			for (enum type from = REGULAR; from < DIRECTORY; from++) {
				for (enum type to = REGULAR; to < DIRECTORY; to++) {
					struct sticky_case c = {owners[d], owners[f], from, to};
					rename_out_of_sticky(&c);
				}
				struct sticky_case c = {owners[d], owners[f], from, NONE};
				rename_out_of_sticky(&c);
			}
		}
	}
}

/* KIT_USER renames plain/a over sticky/b. */
static void rename_into_sticky(const struct sticky_case *c)
{
	OK(lchown("sticky", c->dir_owner, c->dir_owner));
	make(c->from, "plain/a", KIT_USER);
	make(c->to, "sticky/b", c->file_owner);
	uint64_t from = kit_ino("plain/a"), to = kit_ino("sticky/b");
	kit_become(KIT_USER, KIT_USER);
	if (may_change(c)) {
		OK(rename("plain/a", "sticky/b"));
		kit_become_root();
		EQ(kit_ino("sticky/b"), from);
		remove_one(c->from, "sticky/b");
		return;
	}
	FAILS(EPERM, rename("plain/a", "sticky/b"));
	kit_become_root();
	EQ(kit_ino("sticky/b"), to);
	remove_one(c->from, "plain/a");
	remove_one(c->to, "sticky/b");
}

static void sticky_rename_target(void)
{
	sticky_and_plain();
	for (size_t d = 0; d < COUNT_OF(owners); d++) {
		for (size_t f = 0; f < COUNT_OF(owners); f++) {
			for (enum type from = REGULAR; from < DIRECTORY; from++) {
				for (enum type to = REGULAR; to < DIRECTORY; to++) {
					struct sticky_case c = {owners[d], owners[f], from, to};
					rename_into_sticky(&c);
				}
			}
			struct sticky_case c = {owners[d], owners[f], DIRECTORY, DIRECTORY};
			rename_into_sticky(&c);
		}
	}
}

static void remove_in_sticky(const struct sticky_case *c)
{
	OK(lchown("sticky", c->dir_owner, c->dir_owner));
	make(c->from, "sticky/a", c->file_owner);
	kit_become(KIT_USER, KIT_USER);
	if (may_change(c)) {
		remove_one(c->from, "sticky/a");
		kit_become_root();
		return;
	}
	FAILS(EPERM, c->from == DIRECTORY ? rmdir("sticky/a") : unlink("sticky/a"));
	kit_become_root();
	remove_one(c->from, "sticky/a");
}

static void sticky_remove(void)
{
	sticky_and_plain();
	for (size_t d = 0; d < COUNT_OF(owners); d++) {
		for (size_t f = 0; f < COUNT_OF(owners); f++) {
			for (enum type type = REGULAR; type < TYPES; type++) {
				struct sticky_case c = {owners[d], owners[f], type, NONE};
				remove_in_sticky(&c);
			}
		}
	}
}

/* bits: rwx of the class the caller belongs to; the other classes have the opposite. */
static void open_with(const char *path, int flags, mode_t need, mode_t bits)
{
	errno = 0;
	int fd = open(path, flags);
	if ((bits & need) == need) {
		if (fd < 0 && errno != ENXIO)
			FAIL("open of %s with flags %d and bits %o: %m", path, flags, bits);
	} else if (fd >= 0 || errno != EACCES) {
		FAIL("open of %s with flags %d and bits %o: %s, wanted EACCES", path, flags, bits,
			fd >= 0 ? "success" : strerrorname_np(errno));
	}
	if (fd >= 0)
		OK(close(fd));
}

static void open_as_class(const char *path, unsigned int shift, uid_t uid, gid_t gid)
{
	for (mode_t bits = 0; bits < 8; bits++) {
		mode_t others = 0777 & ~((mode_t)7 << shift);
		OK(chmod(path, bits << shift | (bits == 7 ? 0 : others)));
		kit_become(uid, gid);
		bool dir = S_ISDIR(kit_stat(path).st_mode);
		open_with(path, O_RDONLY | O_NONBLOCK, 4, bits);
		if (!dir) {
			open_with(path, O_WRONLY | O_NONBLOCK, 2, bits);
			open_with(path, O_RDWR | O_NONBLOCK, 6, bits);
		}
		EQ(access(path, F_OK), 0);
		kit_become_root();
	}
}

static void open_permissions(void)
{
	static const enum type types[] = {REGULAR, FIFO, DIRECTORY};
	kit_need_root();
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		make(types[i], "x", KIT_USER);
		OK(chown("x", KIT_USER, KIT_OTHER));
		open_as_class("x", 6, KIT_USER, KIT_USER);
		open_as_class("x", 3, KIT_OTHER, KIT_OTHER);
		open_as_class("x", 0, KIT_OTHER, KIT_USER);
		remove_one(types[i], "x");
	}
}

static void chown_each_type(void)
{
	kit_need_root();
	for (enum type type = REGULAR; type < TYPES; type++) {
		make(type, "x", 0);
		WATCH(OK(lchown("x", 123, 456)), SEES("x", MARK_CTIME), SEES(".", 0));
		EQ(kit_lstat("x").st_uid, 123);
		EQ(kit_lstat("x").st_gid, 456);
		kit_become(KIT_USER, KIT_USER);
		OK(lchown("x", (uid_t)-1, (gid_t)-1)); /* asks for nothing: anyone may */
		WATCH(FAILS(EPERM, lchown("x", KIT_USER, (gid_t)-1)), SEES("x", 0));
		FAILS(EPERM, lchown("x", (uid_t)-1, KIT_USER));
		kit_become_root();
		EQ(kit_lstat("x").st_uid, 123);
		remove_one(type, "x");
	}
}

static void chmod_each_type(void)
{
	kit_need_root();
	for (enum type type = REGULAR; type < TYPES; type++) {
		if (type == SYMLINK)
			continue;
		make(type, "x", 0);
		WATCH(OK(chmod("x", 0111)), SEES("x", MARK_CTIME), SEES(".", 0));
		EQ(kit_mode("x"), 0111);
		OK(symlink("x", "l"));
		OK(chmod("l", 0222));
		EQ(kit_mode("x"), 0222);
		OK(unlink("l"));
		kit_become(KIT_USER, KIT_USER);
		WATCH(FAILS(EPERM, chmod("x", 0333)), SEES("x", 0));
		kit_become_root();
		remove_one(type, "x");
	}
}

static void link_each_type(void)
{
	kit_need_root();
	kit_mkdir("closed", 0755);
	for (enum type type = REGULAR; type < DIRECTORY; type++) {
		make(type, "a", 0);
		WATCH(OK(link("a", "b")), SEES("a", MARK_CTIME), SEES(".", MARK_MC));
		OK(lchown("b", KIT_USER, KIT_OTHER));
		EQ(kit_lstat("a").st_uid, KIT_USER);
		EQ(kit_lstat("a").st_nlink, 2);
		kit_become(KIT_USER, KIT_USER);
		if (type == REGULAR)
			WATCH(FAILS(EACCES, link("a", "closed/c")), SEES("a", 0),
				SEES("closed", 0));
		kit_become_root();
		WATCH(OK(unlink("a")), SEES("b", MARK_CTIME), SEES(".", MARK_MC));
		EQ(kit_lstat("b").st_nlink, 1);
		EQ(kit_lstat("b").st_mode & S_IFMT, type_modes[type]);
		OK(unlink("b"));
	}
}

static void new_nodes_belong_to_the_caller(void)
{
	kit_need_root();
	for (enum type type = REGULAR; type < TYPES; type++) {
		if (type == BLOCK || type == CHARACTER)
			continue;
		kit_become(KIT_USER, KIT_OTHER);
		umask(022);
		WATCH(OK(try_make(type, "x", 0777)), SEES(".", MARK_MC));
		struct stat st = kit_lstat("x");
		EQ(st.st_uid, KIT_USER);
		EQ(st.st_gid, KIT_OTHER);
		EQ(st.st_mode & S_IFMT, type_modes[type]);
		EQ(st.st_mode & 07777, type == SYMLINK ? 0777 : 0755);
		remove_one(type, "x");
		kit_become_root();
	}
}

static void failed_creation_marks_nothing(void)
{
	kit_need_root();
	kit_mkdir("d", 0755);
	kit_become(KIT_USER, KIT_USER);
	for (enum type type = REGULAR; type < TYPES; type++) {
		if (type != BLOCK && type != CHARACTER)
			WATCH(FAILS(EACCES, try_make(type, "d/x", 0644)), SEES("d", 0));
	}
	WATCH(FAILS(EACCES, open("d/x", O_CREAT | O_RDWR, 0644)), SEES("d", 0));
	EQ(kit_count_names("d"), 0);
}

static void write_clears_each_bit(void)
{
	static const mode_t modes[] = {04777, 02777, 06777};
	kit_need_root();
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		kit_file("x", "text");
		OK(chmod("x", modes[i]));
		kit_become(KIT_OTHER, KIT_OTHER);
		int fd = OK(open("x", O_RDWR));
		kit_write(fd, "y", 1);
		EQ(kit_fstat(fd).st_mode & 07777, 0777);
		EQ(kit_mode("x"), 0777);
		OK(close(fd));
		kit_become_root();
		OK(unlink("x"));
	}
}

static void rename_directory_across_sticky(void)
{
	sticky_and_plain();
	OK(lchown("sticky", KIT_USER, KIT_USER));
	make(DIRECTORY, "sticky/a", KIT_OTHER); /* not his: .. of it may not change */
	kit_become(KIT_USER, KIT_USER);
	FAILS(EACCES, rename("sticky/a", "plain/a"));
	OK(rename("sticky/a", "sticky/b"));
	kit_mkdir("plain/b", 0755);
	FAILS(EACCES, rename("sticky/b", "plain/b"));
	EQ(kit_lstat("sticky/b").st_uid, KIT_OTHER);
}

static const struct test_case cases[] = {
	CASE_SLOW(sticky_rename_source, 300),
	CASE_SLOW(sticky_rename_target, 300),
	CASE(sticky_remove),
	CASE(open_permissions),
	CASE(chown_each_type),
	CASE(chmod_each_type),
	CASE(link_each_type),
	CASE(new_nodes_belong_to_the_caller),
	CASE(failed_creation_marks_nothing),
	CASE(write_clears_each_bit),
	CASE(rename_directory_across_sticky),
};
DEFINE_GROUP(matrix);
