/* The list of entries: which names, sizes, times, modes and owners the tree has. */
#include <config.h>

#include "harness.h"
#include "kit.h"
#include "tree_entries.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Later than all mtimes and than now: reading never moves it, also under relatime. */
#define ATIME_BASE 12000000000

static const int64_t mtimes[] = {0, 1, -1, -1000000000, 1000000000, 1700000000, 0x7fffffff,
	0x80000000, 4102444800, 9999999999};
static const mode_t file_modes[] = {0644, 0600, 0, 0777, 04755, 02755, 01644, 06711, 0440};
static const mode_t dir_modes[] = {0755, 0700, 01777, 02755, 0711};

static struct tree_entry *add(struct tree_list *list, enum tree_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static struct tree_entry *add(struct tree_list *list, enum tree_kind kind, const char *format, ...)
{
	char path[4096];
	va_list args;
	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (list->count == list->room) {
		list->room = list->room * 2 + 64;
		list->entries = realloc(list->entries, list->room * sizeof(*list->entries));
		CHECK(list->entries != NULL);
	}
	size_t n = list->count++;
	struct tree_entry *e = &list->entries[n];
	memset(e, 0, sizeof(*e));
	e->path = strdup(path);
	e->kind = kind;
	e->seed = n;
	e->mode = kind == TREE_DIR ? dir_modes[n % COUNT_OF(dir_modes)]
				   : file_modes[n % COUNT_OF(file_modes)];
	e->uid = geteuid() == 0 ? (uid_t)(n % 4 * 1000) : geteuid();
	e->gid = geteuid() == 0 ? (gid_t)(n % 3 * 1000) : getegid();
	e->mtime = mtimes[n % COUNT_OF(mtimes)];
	e->mtime_ns = (long)(n * 123456789 % 1000000000);
	e->atime = ATIME_BASE + (int64_t)n;
	e->atime_ns = (long)(n * 987654321 % 1000000000);
	if (kind == TREE_DIR || kind == TREE_FILE)
		e->xattrs = n % 3 == 0 ? (unsigned int)(n % 7) : 0;
	return e;
}

static void add_file(struct tree_list *list, const char *dir, const char *name, uint64_t size)
{
	add(list, TREE_FILE, "%s/%s", dir, name)->size = size;
}

static void add_sizes(struct tree_list *list, const char *root)
{
	static const uint64_t sizes[] = {0, 1, 2, 3, 100, 511, 512, 513, 4095, 4096, 4097, 8191,
		16383, 16384, 16385, 32768, 65535, 65536, 65537, 131071, 131072, 131073, 262145,
		1048575, 1048576, 1048577, 5242883};
	add(list, TREE_DIR, "%s/sizes", root);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		add(list, TREE_FILE, "%s/sizes/%llu", root, (unsigned long long)sizes[i])->size =
			sizes[i];
}

static void add_holes(struct tree_list *list, const char *root)
{
	static const uint64_t shapes[][2] = {{1000000, 100000}, {5000000, 65536}, {100001, 99999},
		{(uint64_t)1 << 32, (uint64_t)1 << 29},
		{((uint64_t)1 << 40) + 5, (uint64_t)1 << 38}};
	add(list, TREE_DIR, "%s/holes", root);
	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		struct tree_entry *e = add(list, TREE_FILE, "%s/holes/%zu", root, i);
		e->size = shapes[i][0];
		e->gap = shapes[i][1];
	}
}

static void add_names(struct tree_list *list, const char *root)
{
	static const char *const odd[] = {"\xff\xfe", "line\nfeed", " ", "...", "-rf", "a\\b", "*?",
		"\xed\xa0\x80", "tab\t", "\x7f\x01", "1700000000.M1P2.host,S=5,W=6:2,FS", "%2F"};
	char name[256];
	add(list, TREE_DIR, "%s/names", root);
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		snprintf(name, sizeof(name), "odd%s", odd[i]);
		add_file(list, list->entries[list->count - 1 - i].path, name, i * 100);
	}
	add(list, TREE_DIR, "%s/bytes", root);
	char *dir = strdup(list->entries[list->count - 1].path);
	for (int c = 1; c < 256; c++) {
		snprintf(name, sizeof(name), "%c", c);
		if (c != '/' && c != '.')
			add_file(list, dir, name, (uint64_t)c);
	}
	memset(name, 'L', 255);
	name[255] = '\0';
	add_file(list, dir, name, 255);
	name[254] = '\n';
	add_file(list, dir, name, 256);
	free(dir);
}

static void add_types(struct tree_list *list, const char *root)
{
	char target[1025], dir[512];
	snprintf(dir, sizeof(dir), "%s/types", root);
	add(list, TREE_DIR, "%s", dir);
	add(list, TREE_FIFO, "%s/fifo", dir);
	add(list, TREE_SOCKET, "%s/socket", dir);
	if (geteuid() == 0)
		add(list, TREE_DEVICE, "%s/device", dir);
	for (size_t len = 1; len <= 1024; len *= 4) {
		memset(target, 't', len);
		target[len] = '\0';
		add(list, TREE_SYMLINK, "%s/sym%zu", dir, len)->text = strdup(target);
	}
	add(list, TREE_SYMLINK, "%s/dangling", dir)->text = strdup("../no/such\xff name\n");
	add_file(list, dir, "linked", 54321);
	char *original = list->entries[list->count - 1].path;
	for (int i = 0; i < 5; i++)
		add(list, TREE_HARD_LINK, "%s/link%d", i % 2 != 0 ? dir : root, i)->text =
			strdup(original);
	snprintf(target, sizeof(target), "%s/fifo", dir);
	add(list, TREE_HARD_LINK, "%s/fifo2", dir)->text = strdup(target);
}

static void add_mail(struct tree_list *list, const char *root)
{
	static const char *const files[] = {"dovecot.index", "dovecot.index.log",
		"dovecot.index.log.2", "dovecot.index.cache", "dovecot-uidlist", "dovecot-keywords",
		"subscriptions", "dovecot-uidvalidity", "dovecot-uidvalidity.5f5e1000",
		"dovecot.list.index.log", "dovecot.map.index.log", "maildirfolder",
		"mailboxes.lock", ".temp.1700000000.P1Q1M1.host.abc", "u.1", "u.2", "m.1"};
	static const char *const dirs[] = {"cur", "new", "tmp", "storage", "mailboxes"};
	char dir[512];
	for (int user = 0; user < 3; user++) {
		snprintf(dir, sizeof(dir), "%s/user%d", root, user);
		add(list, TREE_DIR, "%s", dir);
		for (size_t i = 0; i < COUNT_OF(files); i++)
			add_file(list, dir, files[i], i * 3001 + (uint64_t)user * 40000);
		for (size_t i = 0; i < COUNT_OF(dirs); i++) {
			add(list, TREE_DIR, "%s/%s", dir, dirs[i]);
			for (unsigned int k = 0; k < 40; k++)
				add(list, TREE_FILE, "%s/%s/17000000%02u.M%uP1.host,S=9:2,%s", dir,
					dirs[i], k, k, k % 2 != 0 ? "S" : "")
					->size = k * 701;
		}
	}
}

static void add_many_and_deep(struct tree_list *list, const char *root)
{
	char path[512];
	add(list, TREE_DIR, "%s/many", root);
	for (unsigned int i = 0; i < 1500; i++)
		add(list, TREE_FILE, "%s/many/file%u", root, i)->size = i % 50;
	snprintf(path, sizeof(path), "%s", root);
	for (int i = 0; i < 40; i++) {
		size_t len = strlen(path);
		snprintf(path + len, sizeof(path) - len, "/deep%d", i);
		add(list, TREE_DIR, "%s", path);
	}
	add_file(list, path, "bottom", 777);
	add(list, TREE_DIR, "%s/empty", root);
}

struct tree_list *tree_entries_new(const char *root)
{
	struct tree_list *list = kit_alloc(sizeof(*list));
	add(list, TREE_DIR, "%s", root);
	add_sizes(list, root);
	add_holes(list, root);
	add_names(list, root);
	add_types(list, root);
	add_mail(list, root);
	add_many_and_deep(list, root);
	return list;
}
