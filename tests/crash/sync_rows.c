#include <config.h>
#include "sync_rows.h"

#define MAIL "1700000000.M123P45.host"
#define OTHER_MAIL "1700000001.M456P45.host"
#define OWN_MAIL "1700000000.M123P77.host,S=500,W=510" /* SYNC_ROWS_THREAD's */
#define DBOX_TEMP ".temp.1700000000.P45Q1M123.host"
#define ATTACHMENT_TEMP ".temp.host.45.0123456789abcdef"

#define BASE SYNC_STEP_BASE
#define DO SYNC_STEP
#define TO SYNC_STEP_TO

/* Every row: begin with what was there before; then the program's calls. */
const struct sync_row sync_rows[] = {
	/* ---- each class of file: a new one, and one that grows */
	{"index: a new log", {BASE, DO(MAKE, "dovecot.index.log"), DO(SYNC, "dovecot.index.log")}},
	{"index: an append", {DO(MAKE, "dovecot.index.log"), BASE, DO(APPEND, "dovecot.index.log"),
				     DO(SYNC, "dovecot.index.log")}},
	{"cache", {DO(MAKE, "dovecot.index.cache"), BASE, DO(APPEND, "dovecot.index.cache"),
			  DO(SYNC, "dovecot.index.cache")}},
	{"control", {DO(MAKE, "dovecot-uidlist"), BASE, DO(APPEND, "dovecot-uidlist"),
			    DO(SYNC, "dovecot-uidlist")}},
	{"body: small", {BASE, DO(MAKE, "u.1"), DO(SYNC, "u.1")}},
	{"body: large", {BASE, DO(MAKE, "u.1"), DO(LARGE, "u.1"), DO(SYNC, "u.1")}},
	{"ordinary", {DO(MAKE, "notes.txt"), BASE, DO(APPEND, "notes.txt"), DO(SYNC, "notes.txt")}},
	{"temporary: not by one of Dovecot's names",
		{BASE, DO(MAKE, ".temp.plain"), DO(SYNC, ".temp.plain")}},
	{"an index that is replaced",
		{DO(MAKE, "dovecot.index"), BASE, DO(MAKE, "dovecot.index.tmp"),
			DO(SYNC, "dovecot.index.tmp"),
			TO(RENAME, "dovecot.index.tmp", "dovecot.index"), DO(SYNC, "")}},

	/* ---- what a sync covers */
	{"other files before it",
		{BASE, DO(MKDIR, "box"), DO(MAKE, "box/a"), DO(MAKE, "b"), DO(SYNC, "b")}},
	{"and none after it", {BASE, DO(MAKE, "a"), DO(SYNC, "a"), DO(MAKE, "b")}},
	{"covered by the sync of another",
		{BASE, DO(MAKE, "a"), DO(MAKE, "b"), DO(SYNC, "b"), DO(SYNC_COVERED, "a")}},
	{"a file that has not changed",
		{DO(MAKE, "a"), BASE, DO(MAKE, "b"), DO(SYNC_COVERED, "a")}},
	{"writes without a sync",
		{DO(MAKE, "a"), BASE, DO(APPEND, "a"), DO(TRUNCATE, "a"), DO(XATTR, "a")}},

	/* ---- fsyncdir */
	{"fsyncdir: made, renamed, linked, removed",
		{DO(MKDIR, "box"), DO(MAKE, "box/old"), DO(MAKE, "box/gone"), BASE,
			DO(MAKE, "box/a"), TO(RENAME, "box/old", "box/new name"),
			TO(LINK, "box/a", "box/b"), DO(SYMLINK, "box/link"), DO(UNLINK, "box/gone"),
			DO(SYNC, "box")}},
	{"fsyncdir: of both sides of a rename",
		{DO(MKDIR, "from"), DO(MKDIR, "to"), DO(MAKE, "from/a"), BASE,
			TO(RENAME, "from/a", "to/a"), DO(SYNC, "to"), DO(SYNC_COVERED, "from")}},
	{"fsyncdir: a directory's own mode and attributes",
		{DO(MKDIR, "box"), BASE, DO(CHMOD, "box"), DO(XATTR, "box"), DO(SYNC, "box")}},

	/* ---- metadata and size */
	{"chmod", {DO(MAKE, "a"), BASE, DO(CHMOD, "a"), DO(SYNC, "a")}},
	{"utimens", {DO(MAKE, "a"), BASE, DO(TIMES, "a"), DO(SYNC, "a")}},
	{"setxattr", {DO(MAKE, "a"), BASE, DO(XATTR, "a"), DO(SYNC, "a")}},
	{"truncate", {DO(MAKE, "a"), BASE, DO(TRUNCATE, "a"), DO(SYNC, "a")}},
	{"truncate: of a large body",
		{DO(MAKE, "u.1"), DO(LARGE, "u.1"), BASE, DO(TRUNCATE, "u.1"), DO(SYNC, "u.1")}},
	{"fallocate", {DO(MAKE, "a"), BASE, DO(ALLOCATE, "a"), DO(SYNC, "a")}},
	{"fallocate: a hole", {DO(MAKE, "a"), BASE, DO(PUNCH, "a"), DO(SYNC, "a")}},

	/* ---- names that make a mail exist */
	{"rename into new/", {DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" MAIL),
				     TO(PUBLISH, "tmp/" MAIL, "new/" MAIL)}},
	{"rename into cur/", {DO(MKDIR, "tmp"), DO(MKDIR, "cur"), BASE, DO(MAKE, "tmp/" MAIL),
				     TO(PUBLISH, "tmp/" MAIL, "cur/" MAIL ":2,")}},
	{"rename of a large mail into new/",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" MAIL),
			DO(LARGE, "tmp/" MAIL), TO(PUBLISH, "tmp/" MAIL, "new/" MAIL)}},
	{"link into new/",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" MAIL),
			TO(PUBLISH_LINK, "tmp/" MAIL, "new/" MAIL), DO(UNLINK, "tmp/" MAIL)}},
	{"flags and seen mails: renames within and out of new/ and cur/",
		{DO(MKDIR, "new"), DO(MKDIR, "cur"), DO(MAKE, "new/" MAIL), BASE,
			TO(RENAME, "new/" MAIL, "cur/" MAIL ":2,"),
			TO(RENAME, "cur/" MAIL ":2,", "cur/" MAIL ":2,S")}},
	{"Dovecot's own rename, while it holds its lock",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), DO(MAKE, "dovecot-uidlist"), BASE,
			DO(MAKE, "tmp/" MAIL), DO(LOCK, "dovecot-uidlist.lock"),
			TO(PUBLISH_OWED, "tmp/" MAIL, "new/" MAIL)}},
	{"Dovecot's own rename, by its name",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" OWN_MAIL),
			TO(PUBLISH_OWED, "tmp/" OWN_MAIL, "new/" OWN_MAIL)}},
	{"and what pays for it: the directory",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" MAIL),
			DO(LOCK, "dovecot-uidlist.lock"),
			TO(PUBLISH_OWED, "tmp/" MAIL, "new/" MAIL), DO(SYNC, "new")}},
	{"or the list, also when it is unchanged",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), DO(MAKE, "dovecot-uidlist"), BASE,
			DO(MAKE, "tmp/" MAIL), DO(LOCK, "dovecot-uidlist.lock"),
			TO(PUBLISH_OWED, "tmp/" MAIL, "new/" MAIL), DO(SYNC, "dovecot-uidlist")}},

	/* ---- the deferral table: the sync that waits, and the one that covers it */
	{"maildir-tmp",
		{DO(MKDIR, "tmp"), BASE, DO(MAKE, "tmp/" MAIL), DO(SYNC_LATER, "tmp/" MAIL)}},
	{"maildir-tmp, published",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), BASE, DO(MAKE, "tmp/" MAIL),
			DO(SYNC_LATER, "tmp/" MAIL), TO(PUBLISH, "tmp/" MAIL, "new/" MAIL)}},
	{"dbox-temp", {BASE, DO(MAKE, DBOX_TEMP), DO(SYNC_LATER, DBOX_TEMP)}},
	{"dbox-temp, then the log",
		{DO(MAKE, "dovecot.index.log"), BASE, DO(MAKE, DBOX_TEMP),
			DO(SYNC_LATER, DBOX_TEMP), TO(RENAME, DBOX_TEMP, "u.1"),
			DO(APPEND, "dovecot.index.log"), DO(SYNC, "dovecot.index.log")}},
	{"attachment-temp",
		{DO(MKDIR, "attachments"), BASE, DO(MAKE, "attachments/" ATTACHMENT_TEMP),
			DO(SYNC_LATER, "attachments/" ATTACHMENT_TEMP)}},
	{"attachment-temp, then the log",
		{DO(MKDIR, "attachments"), DO(MAKE, "dovecot.index.log"), BASE,
			DO(MAKE, "attachments/" ATTACHMENT_TEMP),
			DO(SYNC_LATER, "attachments/" ATTACHMENT_TEMP),
			TO(LINK, "attachments/" ATTACHMENT_TEMP, "attachments/hash"),
			DO(APPEND, "dovecot.index.log"), DO(SYNC, "dovecot.index.log")}},
	{"mdbox-mails", {DO(MKDIR, "storage"), DO(MAKE, "storage/dovecot.map.index.log"), BASE,
				DO(MAKE, "storage/m.1"), DO(SYNC_LATER, "storage/m.1")}},
	{"mdbox-mails without a map beside them",
		{DO(MKDIR, "storage"), BASE, DO(MAKE, "storage/m.1"), DO(SYNC, "storage/m.1")}},
	{"mdbox-map-log", {DO(MKDIR, "storage"), DO(MAKE, "storage/dovecot.map.index.log"), BASE,
				  DO(APPEND, "storage/dovecot.map.index.log"),
				  DO(SYNC_LATER, "storage/dovecot.map.index.log")}},
	{"an mdbox delivery",
		{DO(MKDIR, "storage"), DO(MAKE, "storage/dovecot.map.index.log"),
			DO(MAKE, "storage/m.1"), DO(MAKE, "dovecot.index.log"), BASE,
			DO(APPEND, "storage/m.1"), DO(SYNC_LATER, "storage/m.1"),
			DO(APPEND, "storage/dovecot.map.index.log"),
			DO(SYNC_LATER, "storage/dovecot.map.index.log"),
			DO(APPEND, "dovecot.index.log"), DO(SYNC, "dovecot.index.log"),
			DO(APPEND, "storage/dovecot.map.index.log")}},
	{"an mdbox COPY: a directory that has not changed pays",
		{DO(MKDIR, "storage"), DO(MKDIR, "box"), DO(MAKE, "storage/dovecot.map.index.log"),
			BASE, DO(APPEND, "storage/dovecot.map.index.log"),
			DO(SYNC_LATER, "storage/dovecot.map.index.log"), DO(SYNC, "box")}},
	{"a Maildir delivery by Dovecot",
		{DO(MKDIR, "tmp"), DO(MKDIR, "new"), DO(MAKE, "dovecot-uidlist"),
			DO(MAKE, "dovecot.index.log"), DO(MAKE, "new/" OTHER_MAIL), BASE,
			DO(MAKE, "tmp/" MAIL), DO(SYNC_LATER, "tmp/" MAIL),
			DO(LOCK, "dovecot-uidlist.lock"),
			TO(PUBLISH_OWED, "tmp/" MAIL, "new/" MAIL), DO(SYNC, "new"),
			DO(APPEND, "dovecot-uidlist"), DO(SYNC, "dovecot-uidlist"),
			DO(APPEND, "dovecot.index.log"), DO(UNLINK, "dovecot-uidlist.lock")}},
};

const size_t n_sync_rows = sizeof(sync_rows) / sizeof(sync_rows[0]);

bool sync_step_is_durable(const struct sync_step *step, bool strict)
{
	switch (step->type) {
	case STEP_BASE:
	case STEP_SYNC:
	case STEP_PUBLISH:
	case STEP_PUBLISH_LINK:
		return true;
	case STEP_SYNC_LATER:
	case STEP_PUBLISH_OWED:
		return strict;
	default:
		return false;
	}
}
