/* What is in the tree of --prepare and --verify: the same list each time, parents before children.
 */
#ifndef TESTS_POSIX_TREE_ENTRIES_H
#define TESTS_POSIX_TREE_ENTRIES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum tree_kind {
	TREE_DIR,
	TREE_FILE,
	TREE_HARD_LINK,
	TREE_SYMLINK,
	TREE_FIFO,
	TREE_SOCKET,
	TREE_DEVICE, /* only made by root */
};

struct tree_entry {
	char *path;
	enum tree_kind kind;
	char *text;    /* what a symlink says, what a hard link is a link to */
	uint64_t size; /* of a file */
	uint64_t gap;  /* 0: data everywhere; else data only at its multiples, holes between */
	uint64_t seed;
	mode_t mode;
	uid_t uid; /* applied by root only */
	gid_t gid;
	int64_t mtime, atime;
	long mtime_ns, atime_ns;
	unsigned int xattrs; /* how many */
};

struct tree_list {
	struct tree_entry *entries;
	size_t count, room;
};

struct tree_list *tree_entries_new(const char *root);

/* These fail the case. Paths are relative to the current directory. */
void tree_entry_make(const struct tree_entry *e);
void tree_entry_set_attributes(const struct tree_entry *e);
void tree_entry_check_attributes(const struct tree_entry *e);
void tree_entry_check_content(const struct tree_entry *e);
void tree_entry_check_xattrs(const struct tree_entry *e);
/* Each directory holds just the names in the list. */
void tree_check_names(const struct tree_list *list);

#endif
