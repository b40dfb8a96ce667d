#include <config.h>
#include "fs/file_class.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 255
#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* ---- words: plain ASCII, whatever the locale */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool equals(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static const char *skip_digits(const char *text)
{
	while (is_digit(*text))
		text++;
	return text;
}

static const char *skip_hex(const char *text)
{
	while (is_hex(*text))
		text++;
	return text;
}

/* What follows the prefix, or NULL. */
static const char *after_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool ends_with(const char *text, const char *suffix)
{
	size_t length = strlen(text), suffix_length = strlen(suffix);

	return length > suffix_length && equals(text + length - suffix_length, suffix);
}

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (equals(name, list[i]))
			return true;
	}
	return false;
}

/* ---- shapes of names that Dovecot makes */

/* The rest after "<letter>digits", or NULL. */
static const char *after_number(const char *text, char letter)
{
	const char *rest;

	if (*text != letter)
		return NULL;
	rest = skip_digits(text + 1);
	return rest > text + 1 ? rest : NULL;
}

/* "<anything>.<pid>.<16 hex digits>": what safe_mkstemp_hostpid() appends to a prefix. */
static bool has_mkstemp_tail(const char *name)
{
	size_t length = strlen(name);
	const char *random, *pid;

	if (length < 20)
		return false;
	random = name + length - 16;
	if (random[-1] != '.' || *skip_hex(random) != '\0')
		return false;
	for (pid = random - 1; pid > name && is_digit(pid[-1]);)
		pid--;
	return pid < random - 1 && pid > name && pid[-1] == '.';
}

/* ".temp.<seconds>.P<pid>Q<count>M<microseconds>.<host>": dbox_generate_tmp_filename(). */
static bool is_dbox_temp(const char *name)
{
	const char *rest = after_prefix(name, ".temp.");
	const char *after = rest == NULL ? NULL : skip_digits(rest);

	if (after == NULL || after == rest || *after != '.')
		return false;
	rest = after_number(after + 1, 'P');
	rest = rest == NULL ? NULL : after_number(rest, 'Q');
	rest = rest == NULL ? NULL : after_number(rest, 'M');
	return rest != NULL && rest[0] == '.' && rest[1] != '\0';
}

/* ".temp." or "temp.", host, pid, random: lib-fs and dotlocks. */
static bool is_mkstemp_temp(const char *name)
{
	const char *rest = after_prefix(name, *name == '.' ? ".temp." : "temp.");

	return rest != NULL && has_mkstemp_tail(rest);
}

/* The middle part of a Maildir name: "M123P45Q6", "P45", "V801I2cM99", "45_0", "#1M2": numbers,
 * with a capital before them to say which. NULL if it is none, else behind it. */
static const char *after_delivery_id(const char *text)
{
	const char *start = text, *rest;

	for (; *text != '.' && *text != '\0'; text = rest) {
		bool marked = (*text >= 'A' && *text <= 'Z') || *text == '#';

		text += marked;
		rest = marked ? skip_hex(text) : skip_digits(text);
		if (rest == text)
			return NULL;
		if (*rest == '_')
			rest++;
	}
	return text > start ? text : NULL;
}

/* "<seconds>.<delivery id>.<host>", as the Maildir specification has it and as Dovecot, Postfix,
 * Exim, qmail, maildrop, procmail and Courier make it. Nine digits: a time since 1973. */
static bool is_maildir_unique(const char *name)
{
	const char *rest = skip_digits(name);

	if (rest - name < 9 || *rest != '.')
		return false;
	rest = after_delivery_id(rest + 1);
	return rest != NULL && rest[0] == '.' && rest[1] != '\0';
}

/* "u.17" or "m.3" as printf makes it, and the ".broken" copies of a repair. */
static bool is_dbox_mails(const char *name, char letter)
{
	const char *digits, *rest;

	if (name[0] != letter || name[1] != '.' || name[2] == '0')
		return false;
	digits = name + 2;
	rest = skip_digits(digits);
	if (rest == digits || rest - digits > 10)
		return false;
	return *rest == '\0' || after_prefix(rest, ".broken") != NULL;
}

/* "<hash>-<guid>", in sdbox with "-<mailbox guid>-<uid>"; `hash_min`: shortest hash, in hex
 * unless 0 (a directory that is known to hold attachments may use any hash format). */
static bool is_attachment(const char *name, ptrdiff_t hash_min)
{
	const char *dash = strchr(name, '-'), *rest;

	if (dash == NULL || dash == name || dash - name < hash_min)
		return false;
	if (hash_min > 0 && skip_hex(name) != dash)
		return false;
	rest = skip_hex(dash + 1);
	if (rest - dash != 33)
		return false;
	if (*rest == '\0')
		return true;
	dash = rest;
	rest = skip_hex(dash + 1);
	if (*dash != '-' || rest - dash != 33 || *rest != '-')
		return false;
	dash = rest;
	rest = skip_digits(dash + 1);
	return rest > dash + 1 && *rest == '\0';
}

/* ---- index files */
static bool is_lock(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *hex = dot == NULL ? NULL : after_prefix(dot, ".lock");
	const char *end;

	if (hex == NULL)
		return false;
	/* "mailboxes.lock<16 hex digits>" becomes mailboxes.lock by link() */
	end = skip_hex(hex);
	return *end == '\0' && (end == hex || end - hex >= 8);
}

static bool is_cache(const char *rest)
{
	const char *private = after_prefix(rest, ".pvt");
	const char *after = after_prefix(private == NULL ? rest : private, ".cache");

	return after != NULL && (*after == '\0' || *after == '.');
}

/* Whether the name is one of an index's files; which class it has. */
static bool classify_index(const char *name, enum file_class *ret)
{
	static const char *const bases[] = {
		"dovecot.index",       /* of a mailbox, real or virtual; .pvt for private flags */
		"dovecot.list.index",  /* of the list of mailboxes */
		"dovecot.map.index",   /* of mdbox storage/ */
		"dovecot.mailbox.log", /* changes of mailboxes, for dsync */
	};

	for (size_t i = 0; i < N_ELEMENTS(bases); i++) {
		const char *rest = after_prefix(name, bases[i]);

		if (rest == NULL || (*rest != '\0' && *rest != '.'))
			continue;
		if (is_lock(rest))
			*ret = FILE_CLASS_CONTROL;
		else if (is_cache(rest) || after_prefix(rest, ".search") != NULL)
			*ret = FILE_CLASS_CACHE; /* .search: the database of fts_squat */
		else
			*ret = FILE_CLASS_INDEX; /* .log(.2, .newlock), .tmp, .backup, .thread* */
		return true;
	}
	return false;
}

/* ---- control files */

/* What Dovecot appends while it replaces, locks or counts: base.lock, base.tmp,
 * dovecot-uidvalidity.4f1c2e3a, base.host.pid.random. */
static bool is_variant(const char *rest)
{
	const char *hex;

	if (*rest == '\0' || is_lock(rest) || has_mkstemp_tail(rest))
		return true;
	if (*rest != '.')
		return false;
	hex = skip_hex(rest + 1);
	return equals(rest, ".tmp") || equals(rest, ".new") || (*hex == '\0' && hex - rest == 9);
}

static bool is_control(const char *name)
{
	static const char *const bases[] = {
		/* mailboxes of all formats */
		"dovecot-uidlist",
		"dovecot-keywords",
		"dovecot-uidvalidity",
		"dovecot-shared",
		"dovecot-acl",
		"dovecot-acl-list",
		"dovecot-attributes",
		".dovecot.attributes",
		"dovecot-virtual",
		"dovecot-pop3-uidl",
		"subscriptions",
		".subscriptions",
		"dbox-alt-root",
		"dbox-GUID",
		/* Maildir++ and Courier's */
		"maildirfolder",
		"maildirsize",
		"maildirshared",
		"courierimapuiddb",
		"courierimapsubscribed",
		"courierimapacl",
		"courierimaphieracl",
		"courierpop3dsizelist",
		"courierpop3duidl",
		/* delivery */
		".dovecot.lda-dupes",
		".dovecot.sieve",
		".dovecot.sieve.log",
		".dovecot.svbin",
	};

	for (size_t i = 0; i < N_ELEMENTS(bases); i++) {
		const char *rest = after_prefix(name, bases[i]);

		if (rest != NULL && is_variant(rest))
			return true;
	}
	return is_lock(name) || after_prefix(name, "duplicate.lock.") != NULL ||
	       ends_with(name, ".sieve") || ends_with(name, ".svbin") ||
	       (strstr(name, ".svbin.") != NULL && has_mkstemp_tail(name));
}

/* ---- the deferral list */
static bool defer_maildir_tmp(enum directory_kind parent, const char *name)
{
	return parent == DIRECTORY_MAILDIR_TMP && is_maildir_unique(name);
}

static bool defer_dbox_temp(enum directory_kind parent, const char *name)
{
	(void)parent;
	return is_dbox_temp(name);
}

static bool defer_attachment_temp(enum directory_kind parent, const char *name)
{
	return parent == DIRECTORY_ATTACHMENTS && name[0] == '.' && is_mkstemp_temp(name);
}

static bool defer_mdbox_mails(enum directory_kind parent, const char *name)
{
	return parent == DIRECTORY_MDBOX_STORAGE && is_dbox_mails(name, 'm') &&
	       *skip_digits(name + 2) == '\0';
}

static bool defer_mdbox_map_log(enum directory_kind parent, const char *name)
{
	return parent == DIRECTORY_MDBOX_STORAGE && equals(name, "dovecot.map.index.log");
}

struct deferral_row {
	struct file_class_deferral row;
	bool (*matches)(enum directory_kind parent, const char *name);
};

/* Everything that Dovecot or an MTA syncs and that need not be committed there and then. The log
 * is ordered, so a deferred sync can never lead to a wrong order, only to less being durable. */
static const struct deferral_row deferrals[] = {
	/*
	 * A file in a Maildir's tmp/ with the name of a mail in the making. No reader looks there;
	 * what is left after a crash is deleted unread after 36 hours. The mail begins to exist by
	 * the rename or link into new/ or cur/, and that commits by itself (publishes).
	 */
	{{1, "maildir-tmp", NULL}, defer_maildir_tmp},
	/*
	 * dbox's temporary file. Dovecot deletes leftovers unread. After the rename to u.N it syncs
	 * dovecot.index.log, without which no session sees u.N, and the directory; a move to alt
	 * storage syncs the directory before it deletes the original.
	 */
	{{2, "dbox-temp", NULL}, defer_dbox_temp},
	/*
	 * The same for an attachment kept apart: linked to its final name before the mail that
	 * refers to it is synced.
	 */
	{{3, "attachment-temp", NULL}, defer_attachment_temp},
	/*
	 * Mails appended to mdbox storage. Nobody finds them before the map index says where they
	 * are, and the mailbox's index which of them are its own; Dovecot syncs those two
	 * afterwards. Only where the map is in the same directory: with INDEX= elsewhere, or as alt
	 * storage of a volume elsewhere, the sync that follows never comes here while the original
	 * is deleted.
	 */
	{{4, "mdbox-mails", "dovecot.map.index.log"}, defer_mdbox_mails},
	/*
	 * mdbox's map index. A delivery syncs the mailbox's dovecot.index.log after it; a COPY
	 * syncs the map last, then the mailbox's directory, which pays what is owed. A purge
	 * answers to nobody, and the ordered log keeps the old m.N until the map points to the new
	 * one.
	 */
	{{5, "mdbox-map-log", NULL}, defer_mdbox_map_log},
};

const struct file_class_deferral *file_class_deferral_row(uint8_t number)
{
	for (size_t i = 0; i < N_ELEMENTS(deferrals); i++) {
		if (deferrals[i].row.number == number)
			return &deferrals[i].row;
	}
	return NULL;
}

static const struct file_class_deferral *find_deferral(enum directory_kind parent, const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(deferrals); i++) {
		if (deferrals[i].matches(parent, name))
			return &deferrals[i].row;
	}
	return NULL;
}

static const char *after_size(const char *text, const char *field)
{
	const char *digits = text == NULL ? NULL : after_prefix(text, field);
	const char *rest = digits == NULL ? NULL : skip_digits(digits);

	return rest == digits ? NULL : rest;
}

/* "<seconds>.M<usec>P<pid>.<host>,S=<bytes>,W=<bytes>", perhaps with flags; "Q<n>" may follow the
 * pid.
 */
bool file_class_is_dovecots_mail(const char *name, uint32_t process)
{
	const char *rest = skip_digits(name), *pid, *sizes = strstr(name, ",S=");

	if (rest == name || *rest != '.')
		return false;
	rest = after_number(rest + 1, 'M');
	pid = rest == NULL || *rest != 'P' ? NULL : rest + 1;
	sizes = after_size(after_size(sizes, ",S="), ",W=");
	if (pid == NULL || !is_digit(*pid) || sizes == NULL || (*sizes != '\0' && *sizes != ':'))
		return false;
	return process != 0 && strtoul(pid, NULL, 10) == process;
}

bool file_class_is_uidlist_lock(const char *name)
{
	return strcmp(name, FILE_CLASS_UIDLIST_LOCK) == 0;
}

/* ---- classes */
static enum file_class classify_in_storage(enum directory_kind parent, const char *name)
{
	/* u.N everywhere: DIRNAME= gives dbox-Mails/ any name. storage/ is always storage/. */
	if (is_dbox_mails(name, 'u') ||
		(parent == DIRECTORY_MDBOX_STORAGE && is_dbox_mails(name, 'm')))
		return FILE_CLASS_BODY;
	/* 32 digits: the shortest hash in use, MD5, so that nothing else looks like one */
	if (is_attachment(name, parent == DIRECTORY_ATTACHMENTS ? 0 : 32))
		return FILE_CLASS_BODY;
	/* hashes/ of single instance storage: the hash alone */
	if (parent == DIRECTORY_ATTACHMENTS && *skip_hex(name) == '\0' && strlen(name) >= 32)
		return FILE_CLASS_BODY;
	return FILE_CLASS_ORDINARY;
}

static enum file_class classify(enum directory_kind parent, const char *name)
{
	enum file_class class;

	if (classify_index(name, &class))
		return class;
	/* before .lock and its like: a mail's name ends in a host's, and may end in anything */
	if (parent == DIRECTORY_MAILDIR_NEW || parent == DIRECTORY_MAILDIR_CUR)
		return FILE_CLASS_BODY;
	if (parent == DIRECTORY_MAILDIR_TMP)
		return FILE_CLASS_TEMPORARY;
	if (after_prefix(name, ".temp.") != NULL || is_mkstemp_temp(name))
		return FILE_CLASS_TEMPORARY;
	if (parent == DIRECTORY_SIEVE || is_control(name))
		return FILE_CLASS_CONTROL;
	if (parent == DIRECTORY_SEARCH)
		return FILE_CLASS_CACHE;
	return classify_in_storage(parent, name);
}

static uint8_t block_shift_of(enum file_class class)
{
	switch (class) {
	case FILE_CLASS_INDEX:
		return FILE_CLASS_BLOCK_SHIFT_INDEX;
	case FILE_CLASS_CACHE:
		return FILE_CLASS_BLOCK_SHIFT_CACHE;
	case FILE_CLASS_CONTROL:
		return FILE_CLASS_BLOCK_SHIFT_CONTROL;
	case FILE_CLASS_BODY:
		return FILE_CLASS_BLOCK_SHIFT_BODY;
	case FILE_CLASS_TEMPORARY:
		return FILE_CLASS_BLOCK_SHIFT_TEMPORARY;
	case FILE_CLASS_ORDINARY:
		break;
	}
	return FILE_CLASS_BLOCK_SHIFT_ORDINARY;
}

enum directory_kind file_class_directory(enum directory_kind parent, const char *name)
{
	static const struct {
		const char *name;
		enum directory_kind kind;
	} names[] = {
		{"new", DIRECTORY_MAILDIR_NEW},
		{"cur", DIRECTORY_MAILDIR_CUR},
		{"tmp", DIRECTORY_MAILDIR_TMP},
		{"storage", DIRECTORY_MDBOX_STORAGE},
		{"attachments", DIRECTORY_ATTACHMENTS},
		{"sieve", DIRECTORY_SIEVE},
		{"fts-flatcurve", DIRECTORY_SEARCH},
		{"xapian-indexes", DIRECTORY_SEARCH},
		{"lucene-indexes", DIRECTORY_SEARCH},
	};

	if (parent == DIRECTORY_SIEVE && equals(name, "tmp"))
		return DIRECTORY_SIEVE;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		if (equals(name, names[i].name))
			return names[i].kind;
	}
	if (parent == DIRECTORY_SIEVE || parent == DIRECTORY_SEARCH)
		return parent;
	/* attachments/ab/cd/: a hash's first four characters; hashes/: single instance storage */
	if (parent == DIRECTORY_ATTACHMENTS && (strlen(name) == 2 || equals(name, "hashes")))
		return parent;
	return DIRECTORY_ORDINARY;
}

struct file_traits file_class_file(enum directory_kind parent, const char *name)
{
	struct file_traits traits = {.class = classify(parent, name)};

	traits.deferral = find_deferral(parent, name);
	traits.sync_deferred = traits.deferral != NULL;
	traits.publishes = parent == DIRECTORY_MAILDIR_NEW || parent == DIRECTORY_MAILDIR_CUR;
	traits.block_shift = block_shift_of(traits.class);
	return traits;
}

struct file_traits file_class_path(const char *path)
{
	static const char *const dots[] = {".", ".."};
	enum directory_kind kind = DIRECTORY_ORDINARY;
	char name[NAME_MAX_BYTES + 1];

	for (;;) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length > NAME_MAX_BYTES)
			return file_class_file(DIRECTORY_ORDINARY, "");
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		if (*path == '\0')
			break;
		if (!is_one_of(name, dots, N_ELEMENTS(dots)))
			kind = file_class_directory(kind, name);
	}
	return name[0] == '\0' ? file_class_file(DIRECTORY_ORDINARY, "")
			       : file_class_file(kind, name);
}

bool file_class_rename_publishes(const struct file_traits *from, const struct file_traits *to)
{
	return to->publishes && !from->publishes;
}

bool file_class_is_body(enum file_class class, uint64_t size_bytes)
{
	switch (class) {
	case FILE_CLASS_BODY:
		return true;
	case FILE_CLASS_ORDINARY:
	case FILE_CLASS_TEMPORARY:
		return size_bytes > FILE_CLASS_ORDINARY_LIMIT_BYTES;
	case FILE_CLASS_INDEX:
	case FILE_CLASS_CACHE:
	case FILE_CLASS_CONTROL:
		break;
	}
	return false;
}

const char *file_class_name(enum file_class class)
{
	switch (class) {
	case FILE_CLASS_ORDINARY:
		return "ordinary";
	case FILE_CLASS_INDEX:
		return "index";
	case FILE_CLASS_CACHE:
		return "cache";
	case FILE_CLASS_CONTROL:
		return "control";
	case FILE_CLASS_BODY:
		return "body";
	case FILE_CLASS_TEMPORARY:
		return "temporary";
	}
	return "unknown";
}
