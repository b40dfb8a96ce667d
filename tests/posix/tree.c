/*
 * The tree of --prepare and --verify: one table of entries says what is there; both verbs walk it.
 *
 * Next to the tree lies the file RECORD with what only the filesystem knows: one line for each
 * entry, inode number, times, blocks of the first stat. --verify compares all of it.
 */
#include <config.h>

#include "harness.h"
#include "kit.h"
#include "tree.h"
#include "tree_entries.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT "posix-suite-tree"
#define RECORD "posix-suite-record"
#define RECORD_SCAN                                                                              \
	"%zu %" SCNu64 " %o %lu %u %u %" SCNd64 " %" SCNd64 " %ld %" SCNd64 " %ld %" SCNd64 " %" \
	"ld\n"
#define RECORD_PRINT                                                                             \
	"%zu %" PRIu64 " %o %lu %u %u %" PRId64 " %" PRId64 " %ld %" PRId64 " %ld %" PRId64 " %" \
	"ld\n"
#define RECORD_FIELDS 13

static struct tree_list *tree;

struct record {
	size_t index;
	uint64_t ino;
	unsigned int mode;
	unsigned long nlink;
	unsigned int uid, gid;
	int64_t size, atime, mtime, ctime;
	long atime_ns, mtime_ns, ctime_ns;
};

static struct record record_of(size_t index, const char *path)
{
	struct stat st = kit_lstat(path);
	struct record r = {.index = index,
		.ino = st.st_ino,
		.mode = st.st_mode,
		.nlink = st.st_nlink,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.size = st.st_size,
		.atime = st.st_atim.tv_sec,
		.mtime = st.st_mtim.tv_sec,
		.ctime = st.st_ctim.tv_sec,
		.atime_ns = st.st_atim.tv_nsec,
		.mtime_ns = st.st_mtim.tv_nsec,
		.ctime_ns = st.st_ctim.tv_nsec};
	return r;
}

static void write_records(const struct tree_list *list)
{
	FILE *out = fopen(RECORD, "w");
	if (out == NULL)
		FAIL("cannot write %s: %m", RECORD);
	for (size_t i = 0; i < list->count; i++) {
		struct record r = record_of(i, list->entries[i].path);
		fprintf(out, RECORD_PRINT, r.index, r.ino, r.mode, r.nlink, r.uid, r.gid, r.size,
			r.atime, r.atime_ns, r.mtime, r.mtime_ns, r.ctime, r.ctime_ns);
	}
	if (fflush(out) != 0 || fsync(fileno(out)) < 0 || fclose(out) != 0)
		FAIL("cannot write %s: %m", RECORD);
}

static void compare_field(const char *path, const char *field, int64_t got, int64_t want)
{
	if (got != want)
		FAIL("%.100s: %s is %lld, was %lld", path, field, (long long)got, (long long)want);
}

static void compare_record(const char *path, const struct record *got, const struct record *want)
{
	compare_field(path, "inode number", (int64_t)got->ino, (int64_t)want->ino);
	compare_field(path, "mode", got->mode, want->mode);
	compare_field(path, "link count", (int64_t)got->nlink, (int64_t)want->nlink);
	compare_field(path, "uid", got->uid, want->uid);
	compare_field(path, "gid", got->gid, want->gid);
	if (!S_ISDIR(got->mode))
		compare_field(path, "size", got->size, want->size);
	compare_field(path, "mtime", got->mtime, want->mtime);
	compare_field(path, "mtime ns", got->mtime_ns, want->mtime_ns);
	compare_field(path, "ctime", got->ctime, want->ctime);
	compare_field(path, "ctime ns", got->ctime_ns, want->ctime_ns);
	compare_field(path, "atime", got->atime, want->atime);
	compare_field(path, "atime ns", got->atime_ns, want->atime_ns);
}

static FILE *open_records(void)
{
	FILE *in = fopen(RECORD, "r");
	if (in == NULL)
		FAIL("cannot read %s: %m", RECORD);
	return in;
}

static void verify_records(void)
{
	const struct tree_list *list = tree;
	FILE *in = open_records();
	for (size_t i = 0; i < list->count; i++) {
		struct record want = {0};
		int n = fscanf(in, RECORD_SCAN, &want.index, &want.ino, &want.mode, &want.nlink,
			&want.uid, &want.gid, &want.size, &want.atime, &want.atime_ns, &want.mtime,
			&want.mtime_ns, &want.ctime, &want.ctime_ns);
		if (n != RECORD_FIELDS || want.index != i)
			FAIL("%s: bad line %zu", RECORD, i + 1);
		struct record got = record_of(i, list->entries[i].path);
		compare_record(list->entries[i].path, &got, &want);
	}
	fclose(in);
}

/* ---- the steps, each one TAP line */

static void prepare_tree(void)
{
	OK(mkdir(ROOT, 0755));
	for (size_t i = 0; i < tree->count; i++)
		tree_entry_make(&tree->entries[i]);
	/* last, from the deepest up: making an entry changes the times of what is above */
	for (size_t i = tree->count; i-- > 0;)
		tree_entry_set_attributes(&tree->entries[i]);
}

static void prepare_records(void)
{
	write_records(tree);
	int fd = OK(open(".", O_RDONLY | O_DIRECTORY));
	OK(fsync(fd));
	OK(syncfs(fd));
}

static void verify_stated_attributes(void)
{
	for (size_t i = 0; i < tree->count; i++)
		tree_entry_check_attributes(&tree->entries[i]);
}

static void verify_names(void)
{
	tree_check_names(tree);
}

static void verify_links(void)
{
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_entry *e = &tree->entries[i];
		if (e->kind == TREE_HARD_LINK && kit_ino(e->path) != kit_ino(e->text))
			FAIL("%.100s is no longer linked to %.100s", e->path, e->text);
	}
}

static void verify_content(void)
{
	for (size_t i = 0; i < tree->count; i++)
		tree_entry_check_content(&tree->entries[i]);
}

static void verify_xattrs(void)
{
	for (size_t i = 0; i < tree->count; i++)
		tree_entry_check_xattrs(&tree->entries[i]);
}

static void verify_still_writable(void)
{
	kit_file("posix-suite-after", "text");
	kit_expect_text("posix-suite-after", "text");
	uint64_t ino = kit_ino("posix-suite-after");
	for (size_t i = 0; i < tree->count; i++) {
		if (kit_ino(tree->entries[i].path) == ino)
			FAIL("a new file got the inode number of %.100s", tree->entries[i].path);
	}
	OK(unlink("posix-suite-after"));
}

/* The runner starts each step in a sub-directory of the one given: the tree lies above. */
#define STEP(name)                             \
	static void step_##name(void)          \
	{                                      \
		OK(chdir(".."));               \
		tree = tree_entries_new(ROOT); \
		name();                        \
	}
STEP(prepare_tree)
STEP(prepare_records)
STEP(verify_records)
STEP(verify_stated_attributes)
STEP(verify_names)
STEP(verify_links)
STEP(verify_content)
STEP(verify_xattrs)
STEP(verify_still_writable)

#define STEP_CASE(step)                                             \
	{                                                           \
		.name = #step, .run = step_##step, .timeout_s = 600 \
	}
static const struct test_case prepare_cases[] = {
	STEP_CASE(prepare_tree),
	STEP_CASE(prepare_records),
};
static const struct test_case verify_cases[] = {
	STEP_CASE(verify_records), /* first: reading content may move file times */
	STEP_CASE(verify_stated_attributes),
	STEP_CASE(verify_names),
	STEP_CASE(verify_links),
	STEP_CASE(verify_content),
	STEP_CASE(verify_xattrs),
	STEP_CASE(verify_still_writable),
};
static const struct test_group prepare_group = {"tree", prepare_cases, COUNT_OF(prepare_cases)};
static const struct test_group verify_group = {"tree", verify_cases, COUNT_OF(verify_cases)};

int tree_main(const char *verb, const char *dir)
{
	const struct test_group *group =
		strcmp(verb, "prepare") == 0 ? &prepare_group : &verify_group;
	int failed = runner_run(&group, 1, NULL, dir);
	return failed < 0 ? 2 : failed > 0;
}
