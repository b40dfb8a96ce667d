/* chmod and chown, and which bits Linux clears when. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <unistd.h>

static void chmod_all_bits(void)
{
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	for (mode_t mode = 0; mode <= 07777; mode += 0111) {
		OK(chmod("file", mode));
		EQ(kit_mode("file"), mode);
		OK(chmod("dir", mode));
		EQ(kit_mode("dir"), mode);
	}
	CHECK(S_ISREG(kit_lstat("file").st_mode));
	CHECK(S_ISDIR(kit_lstat("dir").st_mode));
}

static void chmod_other_types_and_fchmod(void)
{
	OK(mkfifo("fifo", 0644));
	OK(chmod("fifo", 0600));
	EQ(kit_mode("fifo"), 0600);
	kit_file("file", "x");
	int fd = OK(open("file", O_RDONLY));
	OK(fchmod(fd, 0444));
	EQ(kit_mode("file"), 0444);
	OK(unlink("file"));
	OK(fchmod(fd, 0600));
	EQ(kit_fstat(fd).st_mode & 07777, 0600);
}

static void chmod_times(void)
{
	kit_mkdir("d", 0755);
	kit_file("d/file", "x");
	WATCH(OK(chmod("d/file", 0600)), SEES("d/file", MARK_CTIME), SEES("d", 0));
	WATCH(OK(chmod("d", 0700)), SEES("d/file", 0), SEES("d", MARK_CTIME));
}

static void chmod_follows_symlink(void)
{
	kit_file("file", "x");
	OK(symlink("file", "link"));
	OK(chmod("link", 0600));
	EQ(kit_mode("file"), 0600);
	EQ(kit_mode("link"), 0777);
}

static void chmod_only_owner(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chmod("file", 0666));
	kit_become(KIT_USER, KIT_USER);
	WATCH(FAILS(EPERM, chmod("file", 0600)), SEES("file", 0));
	EQ(kit_mode("file"), 0666);
	kit_file("own", "x");
	OK(chmod("own", 0));
	OK(chmod("own", 0640));
	EQ(kit_mode("own"), 0640);
}

/* The owner may not set S_ISGID for a group he is not in: the bit is dropped without an error. */
static void chmod_setgid_of_foreign_group(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chown("file", KIT_USER, KIT_OTHER));
	kit_become(KIT_USER, KIT_USER);
	OK(chmod("file", 02755));
	EQ(kit_mode("file"), 0755);
	OK(chmod("file", 04755));
	EQ(kit_mode("file"), 04755);
	kit_become_root();
	OK(chmod("file", 02755));
	EQ(kit_mode("file"), 02755);
}

static void chmod_sticky_on_file_by_user(void)
{
	kit_need_root();
	kit_become(KIT_USER, KIT_USER);
	kit_file("file", "x");
	kit_mkdir("dir", 0755);
	OK(chmod("file", 01644)); /* Linux allows it */
	EQ(kit_mode("file"), 01644);
	OK(chmod("dir", 01777));
	EQ(kit_mode("dir"), 01777);
}

static void chown_by_root(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chown("file", KIT_USER, KIT_OTHER));
	EQ(kit_stat("file").st_uid, KIT_USER);
	EQ(kit_stat("file").st_gid, KIT_OTHER);
	OK(chown("file", (uid_t)-1, KIT_USER));
	EQ(kit_stat("file").st_uid, KIT_USER);
	EQ(kit_stat("file").st_gid, KIT_USER);
	OK(chown("file", 0, (gid_t)-1));
	EQ(kit_stat("file").st_uid, 0);
	OK(chown("file", 0x7ffffff0, 0x7ffffff1));
	EQ(kit_stat("file").st_uid, 0x7ffffff0);
	EQ(kit_stat("file").st_gid, 0x7ffffff1);
	int fd = OK(open("file", O_RDONLY));
	OK(fchown(fd, 1, 2));
	EQ(kit_stat("file").st_uid, 1);
	EQ(kit_stat("file").st_gid, 2);
}

static void chown_by_user(void)
{
	kit_need_root();
	kit_file("mine", "x");
	OK(chown("mine", KIT_USER, KIT_USER));
	kit_file("roots", "x");
	kit_become_with_group(KIT_USER, KIT_USER, KIT_OTHER);
	OK(chown("mine", KIT_USER, KIT_OTHER)); /* to another group of his own */
	EQ(kit_stat("mine").st_gid, KIT_OTHER);
	OK(chown("mine", (uid_t)-1, KIT_USER));
	OK(chown("mine", KIT_USER, (gid_t)-1));
	FAILS(EPERM, chown("mine", KIT_OTHER, (gid_t)-1));
	FAILS(EPERM, chown("mine", (uid_t)-1, 0));
	FAILS(EPERM, chown("roots", KIT_USER, KIT_USER));
	FAILS(EPERM, chown("roots", (uid_t)-1, KIT_USER));
	EQ(kit_stat("mine").st_uid, KIT_USER);
	EQ(kit_stat("mine").st_gid, KIT_USER);
}

static void chown_times(void)
{
	kit_need_root();
	kit_mkdir("d", 0755);
	kit_file("d/file", "x");
	WATCH(OK(chown("d/file", KIT_USER, KIT_USER)), SEES("d/file", MARK_CTIME), SEES("d", 0));
	kit_become(KIT_OTHER, KIT_OTHER);
	WATCH(FAILS(EPERM, chown("d/file", KIT_OTHER, KIT_OTHER)), SEES("d/file", 0));
}

static void chown_clears_suid_sgid(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chmod("file", 06777));
	OK(chown("file", KIT_USER, KIT_USER)); /* Linux clears them even for root */
	EQ(kit_mode("file"), 0777);
	kit_become(KIT_USER, KIT_USER);
	OK(chmod("file", 06777));
	OK(chown("file", KIT_USER, KIT_USER));
	EQ(kit_mode("file"), 0777);
}

static void chown_keeps_sgid_without_group_execute(void)
{
	kit_need_root();
	kit_file("file", "x");
	OK(chown("file", KIT_USER, KIT_USER));
	OK(chmod("file", 06767)); /* without group x the bit meant mandatory locking */
	OK(chown("file", KIT_USER, KIT_USER));
	EQ(kit_mode("file"), 02767);
}

static void chown_of_directory_keeps_bits(void)
{
	kit_need_root();
	kit_mkdir("dir", 0755);
	OK(chmod("dir", 07777));
	OK(chown("dir", KIT_USER, KIT_OTHER));
	EQ(kit_mode("dir"), 07777);
}

static void write_clears_suid_sgid(void)
{
	kit_need_root();
	kit_file("file", "text");
	OK(chown("file", KIT_USER, KIT_USER));
	OK(chmod("file", 06777));
	kit_become(KIT_OTHER, KIT_OTHER);
	int fd = OK(open("file", O_WRONLY));
	EQ(kit_mode("file"), 06777);
	kit_write(fd, "z", 1);
	EQ(kit_mode("file"), 0777);
	EQ(kit_fstat(fd).st_mode & 07777, 0777);
}

static void write_by_root_keeps_suid(void)
{
	kit_need_root();
	kit_file("file", "text");
	OK(chmod("file", 06777));
	int fd = OK(open("file", O_WRONLY));
	kit_write(fd, "z", 1);
	EQ(kit_mode("file"), 06777);
}

static void truncate_clears_suid_sgid(void)
{
	kit_need_root();
	kit_file("a", "text");
	kit_file("b", "text");
	OK(chmod("a", 06777));
	OK(chmod("b", 06777));
	kit_become(KIT_OTHER, KIT_OTHER);
	OK(truncate("a", 2));
	EQ(kit_mode("a"), 0777);
	OK(close(OK(open("b", O_WRONLY | O_TRUNC))));
	EQ(kit_mode("b"), 0777);
}

static const struct test_case cases[] = {
	CASE(chmod_all_bits),
	CASE(chmod_other_types_and_fchmod),
	CASE(chmod_times),
	CASE(chmod_follows_symlink),
	CASE(chmod_only_owner),
	CASE(chmod_setgid_of_foreign_group),
	CASE(chmod_sticky_on_file_by_user),
	CASE(chown_by_root),
	CASE(chown_by_user),
	CASE(chown_times),
	CASE(chown_clears_suid_sgid),
	CASE(chown_keeps_sgid_without_group_execute),
	CASE(chown_of_directory_keeps_bits),
	CASE(write_clears_suid_sgid),
	CASE(write_by_root_keeps_suid),
	CASE(truncate_clears_suid_sgid),
};
DEFINE_GROUP(owner);
