#include <config.h>
#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include "fs/file_class.h"

#define ORDINARY FILE_CLASS_ORDINARY
#define INDEX FILE_CLASS_INDEX
#define CACHE FILE_CLASS_CACHE
#define CONTROL FILE_CLASS_CONTROL
#define BODY FILE_CLASS_BODY
#define TEMPORARY FILE_CLASS_TEMPORARY

#define HEX32 "4f1c2e3a00112233445566778899aabb"
#define SHA1 "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define RANDOM ".mx1.4242.0123456789abcdef"
#define UNIQUE "1700000000.M123456P789Q1.mx1"

struct expectation {
	const char *path;
	enum file_class class;
	const char *deferral; /* NULL: a sync of it commits */
	bool publishes;
};

static void check_path(const struct expectation *e)
{
	struct file_traits traits = file_class_path(e->path);

	ck_assert_msg(traits.class == e->class, "%s is %s, not %s", e->path,
		file_class_name(traits.class), file_class_name(e->class));
	ck_assert_msg(traits.sync_deferred == (e->deferral != NULL) &&
			      (traits.deferral != NULL) == traits.sync_deferred,
		"%s: sync deferred: %d", e->path, traits.sync_deferred);
	if (traits.deferral != NULL)
		ck_assert_str_eq(traits.deferral->id, e->deferral);
	ck_assert_msg(
		traits.publishes == e->publishes, "%s: publishes: %d", e->path, traits.publishes);
}

#define CHECK_PATHS(table)                                                      \
	do {                                                                    \
		for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) \
			check_path(&(table)[i]);                                \
	} while (0)

START_TEST(test_maildir)
{
	static const struct expectation table[] = {
		{"Maildir/tmp/" UNIQUE, TEMPORARY, "maildir-tmp", false},
		{"Maildir/new/" UNIQUE, BODY, NULL, true},
		{"Maildir/cur/" UNIQUE ",S=5120,W=5200:2,FS", BODY, NULL, true},
		{"Maildir/.Sent.2024/tmp/" UNIQUE, TEMPORARY, "maildir-tmp", false},
		{"Maildir/.Sent.2024/cur/" UNIQUE ":2,a", BODY, NULL, true},
		{"Maildir/Work/Reports/new/" UNIQUE, BODY, NULL, true}, /* LAYOUT=fs */
		{"Maildir/Work/Reports/tmp/" UNIQUE, TEMPORARY, "maildir-tmp", false},
		{"Maildir/sieve/new/" UNIQUE, BODY, NULL, true}, /* a folder called so */
		{"Maildir/storage/cur/" UNIQUE ":2,", BODY, NULL, true},
		{"Maildir/attachments/tmp/" UNIQUE, TEMPORARY, "maildir-tmp", false},
		{"tmp/" UNIQUE, TEMPORARY, "maildir-tmp", false}, /* the account is the Maildir */
		{"Maildir/..DOVECOT-TRASHED/cur/" UNIQUE ":2,S", BODY, NULL, true},
		{"Maildir/..DOVECOT-TrasH/cur/" UNIQUE ":2,S", BODY, NULL, true},
		{"Maildir/.EXPUNGED/cur/" UNIQUE ":2,ST", BODY, NULL, true}, /* lazy_expunge */
		/* whatever a mail's host is called */
		{"Maildir/new/1700000000.M1P2.mx.lock", BODY, NULL, true},
		{"Maildir/new/1700000000.M1P2.mx.sieve", BODY, NULL, true},
		{"Maildir/tmp/1700000000.M1P2.mx.lock", TEMPORARY, "maildir-tmp", false},
		{"Maildir/new/not-unique-at-all", BODY, NULL, true},
		{"Maildir/maildirfolder", CONTROL, NULL, false},
		{"Maildir/maildirsize", CONTROL, NULL, false},
		{"Maildir/dovecot-uidlist", CONTROL, NULL, false},
		{"Maildir/dovecot-uidlist.lock", CONTROL, NULL, false},
		{"Maildir/dovecot-uidlist.tmp", CONTROL, NULL, false},
		{"Maildir/dovecot-keywords", CONTROL, NULL, false},
		{"Maildir/dovecot-keywords.lock", CONTROL, NULL, false},
		{"Maildir/dovecot-uidvalidity", CONTROL, NULL, false},
		{"Maildir/dovecot-uidvalidity.4f1c2e3a", CONTROL, NULL, false},
		{"Maildir/subscriptions", CONTROL, NULL, false},
		{"Maildir/subscriptions.lock", CONTROL, NULL, false},
		{"Maildir/.subscriptions", CONTROL, NULL, false},
		{"Maildir/dovecot-shared", CONTROL, NULL, false},
		{"Maildir/courierimapuiddb", CONTROL, NULL, false},
		{"Maildir/courierimapsubscribed", CONTROL, NULL, false},
		{"Maildir/courierimapacl", CONTROL, NULL, false},
		{"Maildir/courierpop3dsizelist", CONTROL, NULL, false},
		{"Maildir/.Sent/dovecot-acl", CONTROL, NULL, false},
		{"Maildir/dovecot-acl-list", CONTROL, NULL, false},
		{"Maildir/.temp" RANDOM, TEMPORARY, NULL, false}, /* a dotlock in the making */
		{"Maildir/temp" RANDOM, TEMPORARY, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_maildir_names_of_mtas)
{
	static const struct expectation table[] = {
		{"M/tmp/1700000000.P4242.mx1.example.org", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.V801I2c00M91234.mx1", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.H946877P12345.mx1", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.4242.mx1", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.4242_0.mx1", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.R17295013.mx1", TEMPORARY, "maildir-tmp", false},
		{"M/tmp/1700000000.M1P2V0000000000000801I0000000001_3.mx1,S=12", TEMPORARY,
			"maildir-tmp", false},
	};

	CHECK_PATHS(table);
}
END_TEST

/* A directory called tmp may be anyone's: its files lose no fsync. */
START_TEST(test_tmp_of_others_is_not_deferred)
{
	static const struct expectation table[] = {
		{"tmp/upload", TEMPORARY, NULL, false},
		{"tmp/1700000000", TEMPORARY, NULL, false},
		{"tmp/1700000000.tar", TEMPORARY, NULL, false},
		{"tmp/1700000000.backup.tar", TEMPORARY, NULL, false},
		{"tmp/1700000000.v2.tar", TEMPORARY, NULL, false},
		{"tmp/1700000000.add.tar", TEMPORARY, NULL, false},
		{"tmp/1700000000..x", TEMPORARY, NULL, false},
		{"tmp/1700000000.P1.", TEMPORARY, NULL, false},
		{"tmp/1700000000.P.mx1", TEMPORARY, NULL, false},
		{"tmp/20240101.12.log", TEMPORARY, NULL, false},
		{"tmp/x" UNIQUE, TEMPORARY, NULL, false},
		{"tmp/sub/" UNIQUE, ORDINARY, NULL, false},
		{"temp/" UNIQUE, ORDINARY, NULL, false},
		{"Tmp/" UNIQUE, ORDINARY, NULL, false},
		{"sieve/tmp/" UNIQUE, CONTROL, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_index_and_cache)
{
	static const char *const index[] = {
		"dovecot.index",
		"dovecot.index.tmp",
		"dovecot.index.backup",
		"dovecot.index.backup.tmp",
		"dovecot.index.log",
		"dovecot.index.log.2",
		"dovecot.index.log.newlock",
		("dovecot.index" RANDOM),
		"dovecot.index.pvt",
		"dovecot.index.pvt.log",
		"dovecot.index.thread",
		("dovecot.index.thread" RANDOM),
		"dovecot.index.threadmx1.4242.0123456789abcdef",
		"dovecot.index.caches",
		"dovecot.list.index",
		"dovecot.list.index.log",
		"dovecot.list.index.log.2",
		"dovecot.list.index.tmp",
		"dovecot.map.index",
		"dovecot.map.index.log.2",
		"dovecot.map.index.log.newlock",
		"dovecot.map.index.tmp",
		"dovecot.map.index.backup",
		"dovecot.mailbox.log",
		"dovecot.mailbox.log.2",
	};
	static const char *const cache[] = {
		"dovecot.index.cache",
		"dovecot.index.cache.tmp",
		("dovecot.index.cache" RANDOM),
		"dovecot.index.pvt.cache",
		"dovecot.map.index.cache",
		"dovecot.list.index.cache",
		"dovecot.index.search",
		"dovecot.index.search.tmp",
		"dovecot.index.search.uids",
		"dovecot.index.search.uids.tmp",
	};
	static const char *const directories[] = {"", "Maildir/.Sent/", "mailboxes/a/dbox-Mails/",
		"storage/", "mailboxes/new/", "mailboxes/cur/", "mailboxes/tmp/", "virtual/All/",
		"indexes/sieve/", ".imap/INBOX/"};
	char path[256];
	struct file_traits traits;

	for (size_t d = 0; d < sizeof(directories) / sizeof(directories[0]); d++) {
		for (size_t i = 0; i < sizeof(index) / sizeof(index[0]); i++) {
			snprintf(path, sizeof(path), "%s%s", directories[d], index[i]);
			traits = file_class_path(path);
			ck_assert_msg(traits.class == INDEX, "%s", path);
			ck_assert_msg(!traits.sync_deferred, "%s", path);
		}
		for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++) {
			snprintf(path, sizeof(path), "%s%s", directories[d], cache[i]);
			traits = file_class_path(path);
			ck_assert_msg(traits.class == CACHE, "%s", path);
			ck_assert_msg(!traits.sync_deferred, "%s", path);
		}
	}
}
END_TEST

START_TEST(test_locks_are_control)
{
	static const struct expectation table[] = {
		{"Maildir/dovecot.index.log.lock", CONTROL, NULL, false},
		{"Maildir/dovecot.index.cache.lock", CONTROL, NULL, false},
		{"Maildir/dovecot.index.lock", CONTROL, NULL, false},
		{"Maildir/dovecot.index.search.lock", CONTROL, NULL, false},
		{"storage/dovecot.map.index.log.lock", CONTROL, NULL, false},
		{"storage/m.1.lock", CONTROL, NULL, false},
		{"dovecot.mailbox.log.lock", CONTROL, NULL, false},
		{"Maildir/dovecot.autoexpunge.lock", CONTROL, NULL, false},
		{"Maildir/dovecot-vsize.lock", CONTROL, NULL, false},
		{"mailboxes.lock", CONTROL, NULL, false},
		{"mailboxes.lock0123456789abcdef", CONTROL, NULL, false},
		{"duplicate.lock." HEX32, CONTROL, NULL, false},
		{"mailbox.locked", ORDINARY, NULL, false},
		{"mailbox.locks", ORDINARY, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_sdbox)
{
	static const struct expectation table[] = {
		{"sdbox/mailboxes/INBOX/dbox-Mails/u.1", BODY, NULL, false},
		{"sdbox/mailboxes/INBOX/dbox-Mails/u.4294967295", BODY, NULL, false},
		{"sdbox/mailboxes/INBOX/dbox-Mails/u.7.broken", BODY, NULL, false},
		{"sdbox/mailboxes/INBOX/dbox-Mails/.temp.1700000000.P12Q3M456.mx1", TEMPORARY,
			"dbox-temp", false},
		{"sdbox/mailboxes/INBOX/mAils/.temp.1700000000.P12Q3M456.mx1", TEMPORARY,
			"dbox-temp", false}, /* DIRNAME= */
		{"sdbox/mailboxes/INBOX/mAils/u.12", BODY, NULL, false},
		{"sdbox/mailboxes/new/dbox-Mails/u.12", BODY, NULL, false},
		{"alt/mailboxes/INBOX/dbox-Mails/u.12", BODY, NULL, false},
		{"sdbox/mailboxes/..DOVECOT-TRASHED/dbox-Mails/u.12", BODY, NULL, false},
		{"sdbox/subscriptions", CONTROL, NULL, false},
		{"sdbox/subscriptions" RANDOM, CONTROL, NULL, false},
		{"sdbox/dbox-alt-root", CONTROL, NULL, false},
		{"sdbox/dovecot-uidvalidity", CONTROL, NULL, false},
		{"sdbox/dovecot-uidvalidity.00000001", CONTROL, NULL, false},
		/* look-alikes */
		{"dbox-Mails/u.", ORDINARY, NULL, false},
		{"dbox-Mails/u.0", ORDINARY, NULL, false},
		{"dbox-Mails/u.01", ORDINARY, NULL, false},
		{"dbox-Mails/u.1x", ORDINARY, NULL, false},
		{"dbox-Mails/u.12345678901", ORDINARY, NULL, false},
		{"dbox-Mails/u1", ORDINARY, NULL, false},
		{"dbox-Mails/U.1", ORDINARY, NULL, false},
		{"dbox-Mails/u", ORDINARY, NULL, false},
		{"dbox-Mails/.temp.1700000000.P12Q3M456.", TEMPORARY, NULL, false},
		{"dbox-Mails/.temp.1700000000.P12Q3.mx1", TEMPORARY, NULL, false},
		{"dbox-Mails/.temp.x", TEMPORARY, NULL, false},
		{"project/.temp.x", TEMPORARY, NULL, false},
		{"project/.tempx", ORDINARY, NULL, false},
		{"project/temp.x", ORDINARY, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_mdbox)
{
	static const struct expectation table[] = {
		{"mdbox/storage/m.1", BODY, "mdbox-mails", false},
		{"mdbox/storage/m.4294967295", BODY, "mdbox-mails", false},
		{"alt/storage/m.17", BODY, "mdbox-mails", false},
		{"mdbox/storage/m.1.broken", BODY, NULL, false},
		{"mdbox/storage/.temp.1700000000.P12Q3M456.mx1", TEMPORARY, "dbox-temp", false},
		{"mdbox/storage/dovecot.map.index.log", INDEX, "mdbox-map-log", false},
		{"mdbox/storage/dovecot.map.index.log.2", INDEX, NULL, false},
		{"mdbox/storage/dovecot.index.log", INDEX, NULL, false},
		{"mdbox/mailboxes/INBOX/dbox-Mails/dovecot.index.log", INDEX, NULL, false},
		{"mdbox/dovecot.map.index.log", INDEX, NULL, false},
		{"mdbox/mailboxes/storage/dbox-Mails/dovecot.index.log", INDEX, NULL, false},
		/* look-alikes */
		{"mdbox/m.1", ORDINARY, NULL, false},
		{"mdbox/storage/m.x", ORDINARY, NULL, false},
		{"mdbox/storage/m.", ORDINARY, NULL, false},
		{"mdbox/storage/m.1x", ORDINARY, NULL, false},
		{"mdbox/storage/m.1\n", ORDINARY, NULL, false},
		{"mdbox/storage/sub/m.1", ORDINARY, NULL, false},
	};
	struct file_traits traits = file_class_path("storage/m.1");

	CHECK_PATHS(table);
	ck_assert_str_eq(traits.deferral->beside, "dovecot.map.index.log");
	traits = file_class_path("storage/dovecot.map.index.log");
	ck_assert_ptr_null(traits.deferral->beside);
}
END_TEST

START_TEST(test_attachments)
{
	static const struct expectation table[] = {
		{"attachments/da/39/" SHA1 "-" HEX32, BODY, NULL, false},
		{"attachments/da/39/" SHA1 "-" HEX32 "-" HEX32 "-17", BODY, NULL, false},
		{"attachments/da/39/hashes/" SHA1, BODY, NULL, false},
		{"attachments/zz/zz/zzzz1234-" HEX32, BODY, NULL, false}, /* other hash format */
		{"elsewhere/da/39/" SHA1 "-" HEX32, BODY, NULL, false},
		{"attachments/da/39/.temp" RANDOM, TEMPORARY, "attachment-temp", false},
		{"attachments/da/39/.temp.mx1.4242" RANDOM, TEMPORARY, "attachment-temp", false},
		{"attachments/da/39/temp.dovecot" RANDOM, TEMPORARY, NULL, false},
		{"elsewhere/.temp" RANDOM, TEMPORARY, NULL, false},
		{"attachments/report.pdf", ORDINARY, NULL, false},
		{"attachments/letters/.temp" RANDOM, TEMPORARY, NULL, false},
		{"elsewhere/" SHA1, ORDINARY, NULL, false},
		{"elsewhere/abc-" HEX32, ORDINARY, NULL, false},
		{"elsewhere/" SHA1 "-" HEX32 "-x", ORDINARY, NULL, false},
		{"elsewhere/" SHA1 "-" HEX32 "-" HEX32 "-", ORDINARY, NULL, false},
		{"elsewhere/" SHA1 "-" HEX32 "-" HEX32, ORDINARY, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_dovecots_mails)
{
	static const char *const others[] = {"1700000000.M12P77.mx", "1700000000.M12P77.mx,S=5",
		"1700000000.M12P77.mx,S=5,W=", "1700000000.M12P77.mx,S=5,W=6x",
		"1700000000.M12P770.mx,S=5,W=6", "1700000000.M12P7.mx,S=5,W=6",
		"1700000000.H12P77.mx,S=5,W=6", "1700000000.V1I2M3.mx,S=5,W=6",
		".M12P77.mx,S=5,W=6", "1700000000.M12P.mx,S=5,W=6", "x1700000000.M12P77.mx,S=5,W=6",
		""};

	ck_assert(file_class_is_dovecots_mail("1700000000.M12P77.mx,S=5,W=6", 77));
	ck_assert(file_class_is_dovecots_mail("1700000000.M12P77.mx,S=5,W=6:2,S", 77));
	ck_assert(file_class_is_dovecots_mail("1700000000.M12P77Q3.mx,S=5,W=6", 77));
	ck_assert(!file_class_is_dovecots_mail("1700000000.M12P0.mx,S=5,W=6", 0));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ck_assert_msg(!file_class_is_dovecots_mail(others[i], 77), "%s", others[i]);
}
END_TEST

START_TEST(test_delivery_search_and_plugins)
{
	static const struct expectation table[] = {
		{".dovecot.sieve", CONTROL, NULL, false},
		{".dovecot.svbin", CONTROL, NULL, false},
		{".dovecot.sieve.log", CONTROL, NULL, false},
		{".dovecot.lda-dupes", CONTROL, NULL, false},
		{".dovecot.lda-dupes.lock", CONTROL, NULL, false},
		{".dovecot.lda-dupes" RANDOM, CONTROL, NULL, false},
		{"sieve/holiday.sieve", CONTROL, NULL, false},
		{"sieve/holiday.svbin", CONTROL, NULL, false},
		{"sieve/holiday.svbin" RANDOM, CONTROL, NULL, false},
		{"sieve/tmp/holiday-1700000000.M1P2.mx1.sieve", CONTROL, NULL, false},
		{"sieve/before.d/list", CONTROL, NULL, false},
		{"scripts/a.sieve", CONTROL, NULL, false},
		{".dovecot.attributes", CONTROL, NULL, false},
		{".dovecot.attributes.lock", CONTROL, NULL, false},
		{"Maildir/dovecot-attributes", CONTROL, NULL, false},
		{"Maildir/dovecot-pop3-uidl", CONTROL, NULL, false},
		{"virtual/All/dovecot-virtual", CONTROL, NULL, false},
		{"Maildir/fts-flatcurve/index.1/postlist.glass", CACHE, NULL, false},
		{"Maildir/fts-flatcurve/current.2/flintlock", CACHE, NULL, false},
		{"Maildir/fts-flatcurve/flatcurve-lock", CACHE, NULL, false},
		{"Maildir/xapian-indexes/db_1/iamglass", CACHE, NULL, false},
		{"Maildir/lucene-indexes/segments.gen", CACHE, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_ordinary)
{
	static const struct expectation table[] = {
		{"", ORDINARY, NULL, false},
		{"/", ORDINARY, NULL, false},
		{"Maildir/", ORDINARY, NULL, false},
		{"README", ORDINARY, NULL, false},
		{"dovecot", ORDINARY, NULL, false},
		{"dovecot.indexes", ORDINARY, NULL, false},
		{"dovecot.inde", ORDINARY, NULL, false},
		{"Dovecot.index", ORDINARY, NULL, false},
		{"xdovecot.index", ORDINARY, NULL, false},
		{"dovecot-uidlists", ORDINARY, NULL, false},
		{"dovecot-uidlist.tar.gz", ORDINARY, NULL, false},
		{"dovecot-uidvalidity.4f1c", ORDINARY, NULL, false},
		{"subscriptions.txt", ORDINARY, NULL, false},
		{"maildirfolders", ORDINARY, NULL, false},
		{"mailboxes", ORDINARY, NULL, false},
		{"cur", ORDINARY, NULL, false},
		{"new", ORDINARY, NULL, false},
		{"tmp", ORDINARY, NULL, false},
		{"storage", ORDINARY, NULL, false},
		{"sieve", ORDINARY, NULL, false},
		{"newer/a", ORDINARY, NULL, false},
		{"cur\n/a", ORDINARY, NULL, false},
		{"\xff\xfe/\x80\n\x01", ORDINARY, NULL, false},
		{"dovecot.index\n", ORDINARY, NULL, false},
		{"dovecot.index\xff", ORDINARY, NULL, false},
		{"dovecot.index.\xff", INDEX, NULL, false},
		{"new/\xff\n", BODY, NULL, true},
		{"Maildir/new/sub/x", ORDINARY, NULL, false},
		{"expire.db", ORDINARY, NULL, false},
		{"...", ORDINARY, NULL, false},
		{"-", ORDINARY, NULL, false},
		{".", ORDINARY, NULL, false},
		{"." RANDOM, ORDINARY, NULL, false},
	};

	CHECK_PATHS(table);
}
END_TEST

START_TEST(test_path_is_folded)
{
	static const struct expectation table[] = {
		{"//Maildir///new//" UNIQUE, BODY, NULL, true},
		{"./Maildir/./new/./" UNIQUE, BODY, NULL, true},
	};
	char path[600];

	CHECK_PATHS(table);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(file_class_path(path).class, ORDINARY);
	memcpy(path, "new/", 4);
	path[4 + 256] = '\0';
	ck_assert_int_eq(file_class_path(path).class, ORDINARY);
	path[4 + 255] = '\0';
	ck_assert_int_eq(file_class_path(path).class, BODY);
}
END_TEST

START_TEST(test_directories)
{
	static const struct {
		enum directory_kind parent;
		const char *name;
		enum directory_kind kind;
	} table[] = {
		{DIRECTORY_ORDINARY, "tmp", DIRECTORY_MAILDIR_TMP},
		{DIRECTORY_ORDINARY, "new", DIRECTORY_MAILDIR_NEW},
		{DIRECTORY_ORDINARY, "cur", DIRECTORY_MAILDIR_CUR},
		{DIRECTORY_ORDINARY, "storage", DIRECTORY_MDBOX_STORAGE},
		{DIRECTORY_ORDINARY, "dbox-Mails", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, "attachments", DIRECTORY_ATTACHMENTS},
		{DIRECTORY_ATTACHMENTS, "da", DIRECTORY_ATTACHMENTS},
		{DIRECTORY_ATTACHMENTS, "hashes", DIRECTORY_ATTACHMENTS},
		{DIRECTORY_ATTACHMENTS, "dada", DIRECTORY_ORDINARY},
		{DIRECTORY_ATTACHMENTS, "new", DIRECTORY_MAILDIR_NEW},
		{DIRECTORY_ORDINARY, "sieve", DIRECTORY_SIEVE},
		{DIRECTORY_SIEVE, "tmp", DIRECTORY_SIEVE},
		{DIRECTORY_SIEVE, "x", DIRECTORY_SIEVE},
		{DIRECTORY_SIEVE, "new", DIRECTORY_MAILDIR_NEW},
		{DIRECTORY_MAILDIR_NEW, "x", DIRECTORY_ORDINARY},
		{DIRECTORY_MAILDIR_TMP, "x", DIRECTORY_ORDINARY},
		{DIRECTORY_MDBOX_STORAGE, "x", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, "mailboxes", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, ".Sent", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, "..DOVECOT-TRASHED", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, "NEW", DIRECTORY_ORDINARY},
		{DIRECTORY_ORDINARY, "", DIRECTORY_ORDINARY},
		{(enum directory_kind)9999, "x", DIRECTORY_ORDINARY},
		{(enum directory_kind)9999, "cur", DIRECTORY_MAILDIR_CUR},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_msg(file_class_directory(table[i].parent, table[i].name) == table[i].kind,
			"%d/%s", table[i].parent, table[i].name);
}
END_TEST

/* These numbers are in inode records. */
START_TEST(test_kinds_keep_their_numbers)
{
	ck_assert_int_eq(DIRECTORY_ORDINARY, 0);
	ck_assert_int_eq(DIRECTORY_MAILDIR_TMP, 1);
	ck_assert_int_eq(DIRECTORY_MAILDIR_NEW, 2);
	ck_assert_int_eq(DIRECTORY_MAILDIR_CUR, 3);
	ck_assert_int_eq(DIRECTORY_MDBOX_STORAGE, 4);
	ck_assert_int_eq(DIRECTORY_ATTACHMENTS, 5);
	ck_assert_int_eq(DIRECTORY_SIEVE, 6);
	ck_assert_int_eq(DIRECTORY_SEARCH, 7);
}
END_TEST

static bool publishes(const char *from, const char *to)
{
	struct file_traits a = file_class_path(from), b = file_class_path(to);

	return file_class_rename_publishes(&a, &b);
}

START_TEST(test_renames_that_publish)
{
	ck_assert(publishes("Maildir/tmp/" UNIQUE, "Maildir/new/" UNIQUE));
	ck_assert(publishes("Maildir/tmp/" UNIQUE, "Maildir/cur/" UNIQUE ":2,S"));
	ck_assert(publishes("upload", "Maildir/new/" UNIQUE));
	ck_assert(!publishes("Maildir/new/" UNIQUE, "Maildir/cur/" UNIQUE ":2,S"));
	ck_assert(!publishes("Maildir/cur/" UNIQUE ":2,", "Maildir/cur/" UNIQUE ":2,S"));
	ck_assert(!publishes("Maildir/new/" UNIQUE, "Maildir/tmp/" UNIQUE));
	ck_assert(!publishes("dbox-Mails/.temp.1.P1Q1M1.a", "dbox-Mails/u.1"));
}
END_TEST

START_TEST(test_bodies_by_size)
{
	const uint64_t limit = FILE_CLASS_ORDINARY_LIMIT_BYTES;

	ck_assert_uint_eq(limit, 1024 * 1024);
	ck_assert(file_class_is_body(BODY, 0));
	ck_assert(!file_class_is_body(ORDINARY, limit));
	ck_assert(file_class_is_body(ORDINARY, limit + 1));
	ck_assert(!file_class_is_body(TEMPORARY, limit));
	ck_assert(file_class_is_body(TEMPORARY, UINT64_MAX));
	ck_assert(!file_class_is_body(INDEX, UINT64_MAX));
	ck_assert(!file_class_is_body(CACHE, UINT64_MAX));
	ck_assert(!file_class_is_body(CONTROL, UINT64_MAX));
}
END_TEST

START_TEST(test_blocks_and_names)
{
	ck_assert_uint_eq(file_class_path("dovecot.index.log").block_shift, 10);
	ck_assert_uint_eq(file_class_path("dovecot.index.cache").block_shift, 11);
	ck_assert_uint_eq(file_class_path("dovecot-uidlist").block_shift, 11);
	ck_assert_uint_eq(file_class_path("u.1").block_shift, 13);
	ck_assert_uint_eq(file_class_path(".temp.x").block_shift, 13);
	ck_assert_uint_eq(file_class_path("x").block_shift, 12);
	ck_assert_str_eq(file_class_name(ORDINARY), "ordinary");
	ck_assert_str_eq(file_class_name(INDEX), "index");
	ck_assert_str_eq(file_class_name(CACHE), "cache");
	ck_assert_str_eq(file_class_name(CONTROL), "control");
	ck_assert_str_eq(file_class_name(BODY), "body");
	ck_assert_str_eq(file_class_name(TEMPORARY), "temporary");
	ck_assert_str_eq(file_class_name((enum file_class)99), "unknown");
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("file_class");
	TCase *tc = tcase_create("names");

	tcase_add_test(tc, test_maildir);
	tcase_add_test(tc, test_maildir_names_of_mtas);
	tcase_add_test(tc, test_tmp_of_others_is_not_deferred);
	tcase_add_test(tc, test_index_and_cache);
	tcase_add_test(tc, test_locks_are_control);
	tcase_add_test(tc, test_sdbox);
	tcase_add_test(tc, test_mdbox);
	tcase_add_test(tc, test_attachments);
	tcase_add_test(tc, test_dovecots_mails);
	tcase_add_test(tc, test_delivery_search_and_plugins);
	tcase_add_test(tc, test_ordinary);
	tcase_add_test(tc, test_path_is_folded);
	suite_add_tcase(suite, tc);
	tc = tcase_create("rules");
	tcase_add_test(tc, test_directories);
	tcase_add_test(tc, test_kinds_keep_their_numbers);
	tcase_add_test(tc, test_renames_that_publish);
	tcase_add_test(tc, test_bodies_by_size);
	tcase_add_test(tc, test_blocks_and_names);
	suite_add_tcase(suite, tc);
	return suite;
}
