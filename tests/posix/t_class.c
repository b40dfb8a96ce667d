/*
 * The same questions under the names Dovecot uses: a filesystem may store them in different ways,
 * and a rename may move a file from one way to another. To the caller they are all ordinary files.
 */
#include <config.h>

#include "fsx.h"
#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void maildir(void)
{
	kit_mkdir("cur", 0755);
	kit_mkdir("new", 0755);
	kit_mkdir("tmp", 0755);
}

static void random_on(const char *path, uint64_t seed)
{
	struct fsx_options options = {.path = path,
		.seed = seed,
		.operations = 700,
		.max_size = 150000,
		.max_chunk = 20000};
	fsx_run(&options);
}

static void random_index_log(void)
{
	random_on("dovecot.index.log", 21);
}

static void random_index(void)
{
	random_on("dovecot.index", 22);
}

static void random_cache(void)
{
	random_on("dovecot.index.cache", 23);
}

static void random_uidlist(void)
{
	random_on("dovecot-uidlist", 24);
}

static void random_sdbox_body(void)
{
	random_on("u.1", 25);
}

static void random_mdbox_body(void)
{
	kit_mkdir("storage", 0755);
	random_on("storage/m.1", 26);
}

static void random_maildir_body(void)
{
	maildir();
	random_on("cur/1.M1P1.host,S=1:2,S", 27);
}

static void random_temporary(void)
{
	maildir();
	random_on("tmp/1.M1P1.host", 28);
	random_on(".temp.1.2.host", 29);
}

static void random_while_renamed(void)
{
	static const char *const pairs[][2] = {{"u.1", "dovecot.index"},
		{"dovecot.index.log", "plain"}, {".temp.1", "u.2"}, {"tmp/a", "cur/a:2,"},
		{"dovecot.index.cache", "new/b"}, {"subscriptions", "m.3"}};
	maildir();
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct fsx_options options = {.path = pairs[i][0],
			.seed = 40 + i,
			.operations = 400,
			.max_size = 150000,
			.max_chunk = 20000,
			.rename_to = pairs[i][1]};
		fsx_run(&options);
	}
}

static void maildir_delivery(void)
{
	maildir();
	kit_pattern_file("tmp/1", 23456, 5);
	int fd = OK(open("tmp/1", O_RDWR));
	OK(fsync(fd));
	struct stat before = kit_fstat(fd);
	WATCH(OK(rename("tmp/1", "new/1")), SEES("tmp", MARK_MC), SEES("new", MARK_MC));
	int dir = OK(open("new", O_RDONLY | O_DIRECTORY));
	OK(fdatasync(dir));
	kit_expect_pattern_file("new/1", 23456, 5);
	OK(rename("new/1", "cur/1:2,"));
	OK(rename("cur/1:2,", "cur/1:2,S"));
	kit_expect_pattern_file("cur/1:2,S", 23456, 5);
	struct stat after = kit_stat("cur/1:2,S");
	EQ(after.st_ino, before.st_ino);
	EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	OK(link("cur/1:2,S", "tmp/copy"));
	OK(rename("tmp/copy", "cur/2:2,"));
	EQ(kit_nlink("cur/2:2,"), 2);
}

static void dbox_delivery(void)
{
	int fd = OK(open(".temp.1.2.host", O_RDWR | O_CREAT | O_EXCL, 0600));
	uint8_t data[20000];
	kit_pattern(data, sizeof(data), 6, 0);
	kit_write(fd, data, 8000);
	kit_write(fd, data + 8000, 12000);
	kit_pwrite(fd, data + 16, 4, 16);
	OK(fdatasync(fd));
	OK(rename(".temp.1.2.host", "u.7"));
	kit_pwrite(fd, data, 16, 0); /* the descriptor goes on under the new name */
	OK(close(fd));
	kit_expect_pattern_file("u.7", sizeof(data), 6);
}

static void log_rotation(void)
{
	char got[3];
	kit_file("dovecot.index.log", "old");
	int fd = OK(open("dovecot.index.log", O_RDWR | O_APPEND));
	kit_file("dovecot.index.log.newlock", "new");
	OK(link("dovecot.index.log", "dovecot.index.log.2"));
	OK(rename("dovecot.index.log.newlock", "dovecot.index.log"));
	kit_expect_text("dovecot.index.log", "new");
	kit_expect_text("dovecot.index.log.2", "old");
	kit_write(fd, "er", 2); /* still the old file */
	kit_expect_text("dovecot.index.log.2", "older");
	kit_pread(fd, got, 3, 2);
	EQ_MEM(got, "der", 3);
	EQ(kit_fstat(fd).st_nlink, 1);
}

static void index_rewrite(void)
{
	for (unsigned int i = 0; i < 30; i++) {
		kit_pattern_file("dovecot.index.tmp", 1000 + i * 777, i);
		int fd = OK(open("dovecot.index.tmp", O_RDWR));
		OK(fdatasync(fd));
		OK(close(fd));
		OK(rename("dovecot.index.tmp", "dovecot.index"));
		kit_expect_pattern_file("dovecot.index", 1000 + i * 777, i);
	}
	EQ(kit_count_names("."), 1);
}

static void mailbox_list_lock(void)
{
	kit_file("mailboxes.lock0a1b", "lock");
	OK(link("mailboxes.lock0a1b", "mailboxes.lock"));
	EQ(kit_nlink("mailboxes.lock"), 2);
	FAILS(EEXIST, link("mailboxes.lock0a1b", "mailboxes.lock"));
	OK(unlink("mailboxes.lock0a1b"));
	OK(unlink("mailboxes.lock"));
	FAILS(EINVAL, readlink((kit_file("x", ""), "x"), (char[8]){0}, 8));
	FAILS(ENOENT, readlink("dbox-alt-root", (char[8]){0}, 8));
}

static void mailbox_is_deleted(void)
{
	kit_mkdir("mailboxes", 0755);
	kit_mkdir("mailboxes/Box", 0755);
	kit_mkdir("mailboxes/Box/dbox-Mails", 0755);
	kit_file("mailboxes/Box/dbox-Mails/u.1", "m");
	kit_file("mailboxes/Box/dbox-Mails/dovecot.index.log", "l");
	OK(rename("mailboxes/Box", "..DOVECOT-TRASHED"));
	kit_remove_tree(AT_FDCWD, "..DOVECOT-TRASHED");
	OK(rmdir("mailboxes"));
	EQ(kit_count_names("."), 0);
}

static const struct test_case cases[] = {
	CASE(random_index_log),
	CASE(random_index),
	CASE(random_cache),
	CASE(random_uidlist),
	CASE(random_sdbox_body),
	CASE(random_mdbox_body),
	CASE(random_maildir_body),
	CASE(random_temporary),
	CASE_SLOW(random_while_renamed, 120),
	CASE(maildir_delivery),
	CASE(dbox_delivery),
	CASE(log_rotation),
	CASE(index_rewrite),
	CASE(mailbox_list_lock),
	CASE(mailbox_is_deleted),
};
DEFINE_GROUP(class);
