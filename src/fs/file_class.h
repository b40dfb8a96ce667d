/*
 * file_class.h: what a path is to Dovecot, decided from names and from nothing else.
 *
 * The one module that knows the names of Dovecot's files. It says where a file's data belongs, in
 * blocks of what size, which syncs may be left to the sync that follows (design rule: a commit
 * where a mail begins to exist and nowhere else), and which names make a mail exist.
 *
 * A directory has a kind, found from its parent's kind and its own name when it is made or renamed,
 * and stored in its inode record. A file's traits follow from its directory's kind and its name.
 * Nothing here looks at the disk, takes a lock or fails. Names are bytes: any but '/' and NUL.
 *
 * Stale kinds. A rename of a directory changes its own kind, never those stored below it. That is
 * safe: cur, new, tmp and storage are decided by their own names (only `tmp` asks whether it is
 * sieve's), and what is inherited (search, sieve, attachments) decides placement; the one deferral
 * that depends on it also asks for a name of Dovecot's own make.
 *
 * An account's root directory, and those above, are DIRECTORY_ORDINARY whatever they are called: a
 * user may be named `new`.
 */
#ifndef MAILFS_FS_FILE_CLASS_H
#define MAILFS_FS_FILE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

enum file_class {
	FILE_CLASS_ORDINARY,  /* none of Dovecot's: as control up to a size, as a body above it */
	FILE_CLASS_INDEX,     /* dovecot.index*, .list.index*, .map.index*, dovecot.mailbox.log */
	FILE_CLASS_CACHE,     /* dovecot.index.cache and search databases: can be built again */
	FILE_CLASS_CONTROL,   /* small files that Dovecot cannot build again, and lock files */
	FILE_CLASS_BODY,      /* mails and attachments */
	FILE_CLASS_TEMPORARY, /* a name that means: not there yet */
};

/* Stored in inode records: a number is for ever, and never used again for something else. */
enum directory_kind {
	DIRECTORY_ORDINARY = 0,
	DIRECTORY_MAILDIR_TMP = 1,
	DIRECTORY_MAILDIR_NEW = 2,
	DIRECTORY_MAILDIR_CUR = 3,
	DIRECTORY_MDBOX_STORAGE = 4, /* storage/, also below an alt root */
	DIRECTORY_ATTACHMENTS = 5,   /* attachments/ and its hash directories */
	DIRECTORY_SIEVE = 6,         /* sieve/ and all below, its tmp/ too */
	DIRECTORY_SEARCH = 7,        /* databases of full-text search, and all below */
};

/*
 * Why a sync may be left to the next one. A deferred sync stays OWED: the next sync that is not
 * deferred, of whatever file or directory, must cover it, even if its own file has nothing new.
 * (Without that, mdbox COPY is not safe: it syncs the refcounts in the map log AFTER the mailbox's
 * dovecot.index.log, and then only an unchanged directory.)
 */
struct file_class_deferral {
	uint8_t number;     /* stored in inode records: for ever, never 0, never used again */
	const char *id;     /* names the row in documents and crash tests */
	const char *beside; /* defer only while this name is in the same directory (the caller
				looks when the sync comes); NULL: always */
};

struct file_traits {
	enum file_class class;
	bool sync_deferred; /* a sync of it may be left to the next, if deferral->beside holds */
	const struct file_class_deferral *deferral; /* the row that says so, static; else NULL */
	bool publishes;      /* a rename or link to this name makes a mail exist: must commit */
	uint8_t block_shift; /* data blocks hold 1 << block_shift bytes */
};

/* Sizes of data blocks; a measurement may change them for files that are made from then on. */
enum {
	FILE_CLASS_BLOCK_SHIFT_ORDINARY = 12,
	FILE_CLASS_BLOCK_SHIFT_INDEX = 10,
	FILE_CLASS_BLOCK_SHIFT_CACHE = 11,
	FILE_CLASS_BLOCK_SHIFT_CONTROL = 11,
	FILE_CLASS_BLOCK_SHIFT_BODY = 13,
	FILE_CLASS_BLOCK_SHIFT_TEMPORARY = 13,
};

/* Whether it is the name of a mail that this process has delivered into a Maildir, as only Dovecot
 * names it (publisher.h). */
bool file_class_is_dovecots_mail(const char *name, uint32_t process);

/* Who has made it puts mails into its Maildir, and lists them (publisher.h). */
#define FILE_CLASS_UIDLIST_LOCK "dovecot-uidlist.lock"
bool file_class_is_uidlist_lock(const char *name);

#define FILE_CLASS_ORDINARY_LIMIT_BYTES (UINT64_C(1) << 20)

/*
 * The kind of a new or renamed directory. `parent` may be any number read from a record; an
 * unknown one counts as DIRECTORY_ORDINARY.
 *
 * Every `new`, `cur` and `tmp` counts as a Maildir's; whether its siblings exist is not asked,
 * since the order in which they are made is not fixed (Dovecot: cur, new, tmp; Postfix: tmp first)
 * and a kind is decided once. For `new` and `cur` a mistake costs a commit. For `tmp` it would cost
 * durability, so the directory alone is no evidence: file_class_file() also asks for the name that
 * the Maildir specification gives to mails and that other programs do not use.
 */
enum directory_kind file_class_directory(enum directory_kind parent, const char *name);

/*
 * The traits of the file `name` in a directory of kind `parent`. Ask again when it is renamed. The
 * block size of a file that has data is the one it was made with.
 *
 * A file with several names: its sync is deferred only if all its names say so. A link of a
 * published mail into tmp/ (Dovecot's COPY) therefore defers nothing that was not before.
 */
struct file_traits file_class_file(enum directory_kind parent, const char *name);

/* Folds the two over a path below an account: "Maildir/new/x". For tests, tools and documents. A
 * path without a file name, or with a name longer than 255 bytes, is ordinary. */
struct file_traits file_class_path(const char *path);

/* The row of this number, static; NULL for 0 and for numbers of rows that are no more. */
const struct file_class_deferral *file_class_deferral_row(uint8_t number);

/* Whether renaming a file from one name to the other must commit: a mail begins to exist, as
 * opposed to a flag change in cur/ and the move from new/ to cur/, where it existed before. (A link
 * must commit whenever `publishes` of the new name says so.) */
bool file_class_rename_publishes(const struct file_traits *from, const struct file_traits *to);

/* Whether a file of that size is kept as a body: bodies always, ordinary and temporary files above
 * FILE_CLASS_ORDINARY_LIMIT_BYTES, others never. */
bool file_class_is_body(enum file_class class, uint64_t size_bytes);

/* "index" …; "unknown" for a number that is no class. */
const char *file_class_name(enum file_class class);

#endif
