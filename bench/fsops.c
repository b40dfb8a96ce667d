/*
 * What single filesystem operations cost, in the forms in which Dovecot uses them.
 *
 *     fsops [-n COUNT] [-d ENTRIES] DIRECTORY [OPERATION...]
 *
 * Works in a new directory below DIRECTORY and removes it. Prints JSON: for each operation the
 * median, 10th and 90th percentile of single calls in microseconds. COUNT (default 2000) is the
 * number of calls of a cheap operation; those that sync are done a tenth as often, and readdir,
 * over ENTRIES (default 20000) files, a hundredth.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	BLOCK_BYTES = 4096,
	MAIL_BYTES = 5120,
	HOT_FILE_BYTES = 1 << 20,
};

/* What the operations work on; all paths are relative to the working directory. */
struct fixture {
	int hot_fd;
	int append_fd;
	int uidlist_fd;
	int new_dir_fd;
	const char *hot_map;
	unsigned entries;
};

/* Call number i; what is timed is exactly this function. */
typedef void operation_fn(struct fixture *fixture, unsigned i);

struct operation {
	const char *name;
	unsigned divisor; /* of COUNT */
	operation_fn *run;
	operation_fn *undo; /* after all calls, for each i; may be NULL */
};

static char block[MAIL_BYTES];
static volatile unsigned char sink; /* so that what is read counts as used */

static void die(const char *what)
{
	fprintf(stderr, "fsops: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(bool good, const char *what)
{
	if (!good)
		die(what);
}

static void name_of(char name[32], const char *kind, unsigned i)
{
	snprintf(name, 32, "%s%u", kind, i);
}

static void op_stat(struct fixture *fixture, unsigned i)
{
	struct stat st;

	(void)fixture, (void)i;
	check(stat("sub/hot", &st) == 0, "stat");
}

static void op_stat_missing(struct fixture *fixture, unsigned i)
{
	struct stat st;

	(void)fixture, (void)i;
	check(stat("sub/missing", &st) < 0 && errno == ENOENT, "stat of a missing file");
}

static void op_open_close(struct fixture *fixture, unsigned i)
{
	int fd = open("sub/hot", O_RDONLY | O_CLOEXEC);

	(void)fixture, (void)i;
	check(fd >= 0 && close(fd) == 0, "open and close");
}

static void op_open_read_close(struct fixture *fixture, unsigned i)
{
	int fd = open("sub/hot", O_RDONLY | O_CLOEXEC);

	(void)fixture, (void)i;
	check(fd >= 0 && read(fd, block, BLOCK_BYTES) == BLOCK_BYTES && close(fd) == 0,
		"open, read and close");
}

static void op_pread(struct fixture *fixture, unsigned i)
{
	off_t offset = (off_t)(i * 7919ULL * BLOCK_BYTES % HOT_FILE_BYTES);

	check(pread(fixture->hot_fd, block, BLOCK_BYTES, offset) == BLOCK_BYTES, "pread");
}

static void op_mmap_read(struct fixture *fixture, unsigned i)
{
	size_t offset = i * 7919ULL * BLOCK_BYTES % HOT_FILE_BYTES;

	memcpy(block, fixture->hot_map + offset, BLOCK_BYTES);
	sink = (unsigned char)block[i % BLOCK_BYTES];
}

static void op_create(struct fixture *fixture, unsigned i)
{
	char name[32];
	int fd;

	(void)fixture;
	name_of(name, "sub/c", i);
	fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	check(fd >= 0 && close(fd) == 0, "create");
}

static void op_rename(struct fixture *fixture, unsigned i)
{
	char from[32], to[32];

	(void)fixture;
	name_of(from, "sub/c", i);
	name_of(to, "new/r", i);
	check(rename(from, to) == 0, "rename (needs create before it)");
}

static void op_unlink(struct fixture *fixture, unsigned i)
{
	char name[32];

	(void)fixture;
	name_of(name, "new/r", i);
	check(unlink(name) == 0, "unlink (needs create and rename before it)");
}

static void op_append(struct fixture *fixture, unsigned i)
{
	(void)i;
	check(write(fixture->append_fd, block, 200) == 200, "append");
}

static void op_append_sync(struct fixture *fixture, unsigned i)
{
	op_append(fixture, i);
	check(fdatasync(fixture->append_fd) == 0, "fdatasync");
}

static void op_readdir(struct fixture *fixture, unsigned i)
{
	unsigned count = 0;
	DIR *dir = opendir("many");

	(void)i;
	check(dir != NULL, "opendir");
	while (readdir(dir) != NULL)
		count++;
	check(closedir(dir) == 0 && count == fixture->entries + 2, "readdir");
}

/* The calls of one Maildir delivery that change or sync something, without those of Dovecot's
 * index. */
static void op_maildir(struct fixture *fixture, unsigned i)
{
	char from[32], to[32];
	int fd;

	name_of(from, "tmp/m", i);
	name_of(to, "new/m", i);
	fd = open(from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	check(fd >= 0 && write(fd, block, MAIL_BYTES) == MAIL_BYTES && fsync(fd) == 0 &&
			close(fd) == 0,
		"the mail in tmp");
	check(rename(from, to) == 0 && fdatasync(fixture->new_dir_fd) == 0, "the rename to new");
	check(write(fixture->uidlist_fd, block, 46) == 46 && fdatasync(fixture->uidlist_fd) == 0,
		"the uidlist");
}

static void undo_maildir(struct fixture *fixture, unsigned i)
{
	char name[32];

	(void)fixture;
	name_of(name, "new/m", i);
	check(unlink(name) == 0, "unlink");
}

static const struct operation operations[] = {
	{"stat", 1, op_stat, NULL},
	{"stat_missing", 1, op_stat_missing, NULL},
	{"open_close", 1, op_open_close, NULL},
	{"open_read_close", 1, op_open_read_close, NULL},
	{"pread", 1, op_pread, NULL},
	{"mmap_read", 1, op_mmap_read, NULL},
	{"create", 1, op_create, NULL},
	{"rename", 1, op_rename, NULL},
	{"unlink", 1, op_unlink, NULL},
	{"append", 1, op_append, NULL},
	{"append_fdatasync", 10, op_append_sync, NULL},
	{"maildir_delivery", 10, op_maildir, undo_maildir},
	{"readdir", 100, op_readdir, NULL},
};

static void make_file(const char *name, size_t size_bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	check(fd >= 0, name);
	while (size_bytes > 0) {
		size_t n = size_bytes < BLOCK_BYTES ? size_bytes : BLOCK_BYTES;

		check(write(fd, block, n) == (ssize_t)n, name);
		size_bytes -= n;
	}
	check(close(fd) == 0, name);
}

static void make_fixture(struct fixture *fixture, unsigned entries)
{
	static const char *const directories[] = {"sub", "tmp", "new", "many"};
	char name[32];

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		check(mkdir(directories[i], 0700) == 0, directories[i]);
	make_file("sub/hot", HOT_FILE_BYTES);
	fixture->hot_fd = open("sub/hot", O_RDONLY | O_CLOEXEC);
	check(fixture->hot_fd >= 0, "sub/hot");
	fixture->hot_map = mmap(NULL, HOT_FILE_BYTES, PROT_READ, MAP_SHARED, fixture->hot_fd, 0);
	check(fixture->hot_map != MAP_FAILED, "mmap");
	for (size_t at = 0; at < HOT_FILE_BYTES; at += BLOCK_BYTES)
		sink = (unsigned char)fixture->hot_map[at];
	fixture->append_fd = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	fixture->uidlist_fd = open("uidlist", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	fixture->new_dir_fd = open("new", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(fixture->append_fd >= 0 && fixture->uidlist_fd >= 0 && fixture->new_dir_fd >= 0,
		"open");
	fixture->entries = entries;
	for (unsigned i = 0; i < entries; i++) {
		name_of(name, "many/e", i);
		make_file(name, 0);
	}
}

static void remove_all(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	check(dir != NULL, directory);
	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (unlink(path) < 0) {
			check(errno == EISDIR || errno == EPERM, path);
			remove_all(path);
		}
	}
	closedir(dir);
	check(rmdir(directory) == 0, directory);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void measure(const struct operation *operation, struct fixture *fixture, unsigned count)
{
	static bool comma;
	unsigned calls = count / operation->divisor > 5 ? count / operation->divisor : 5;
	uint64_t *ns = calloc(calls, sizeof(*ns));

	check(ns != NULL, "calloc");
	for (unsigned i = 0; i < calls; i++) {
		uint64_t begun = now_ns();

		operation->run(fixture, i);
		ns[i] = now_ns() - begun;
	}
	for (unsigned i = 0; operation->undo != NULL && i < calls; i++)
		operation->undo(fixture, i);
	qsort(ns, calls, sizeof(*ns), by_value);
	printf("%s\"%s\": {\"calls\": %u, \"p10_us\": %.2f, \"p50_us\": %.2f, \"p90_us\": %.2f}",
		comma ? ",\n " : "{", operation->name, calls, (double)ns[calls / 10] / 1e3,
		(double)ns[calls / 2] / 1e3, (double)ns[calls * 9UL / 10] / 1e3);
	comma = true;
	free(ns);
}

static bool wanted(const char *name, int argc, char **argv)
{
	if (argc == 0)
		return true;
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

static unsigned number_option(const char *text, char name)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end != '\0' || end == text || value == 0 || value > 10000000) {
		fprintf(stderr, "fsops: -%c needs a positive number, not '%s'\n", name, text);
		exit(2);
	}
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	unsigned count = 2000, entries = 20000;
	struct fixture fixture;
	char directory[32];
	int c;

	while ((c = getopt(argc, argv, "n:d:")) != -1) {
		if (c == 'n')
			count = number_option(optarg, 'n');
		else if (c == 'd')
			entries = number_option(optarg, 'd');
		else
			return 2;
	}
	if (optind >= argc) {
		fprintf(stderr, "usage: fsops [-n COUNT] [-d ENTRIES] DIRECTORY [OPERATION...]\n");
		return 2;
	}
	memset(block, 'x', sizeof(block));
	check(chdir(argv[optind]) == 0, argv[optind]);
	name_of(directory, "fsops.", (unsigned)getpid());
	check(mkdir(directory, 0700) == 0 && chdir(directory) == 0, directory);
	if (!wanted("readdir", argc - optind - 1, argv + optind + 1))
		entries = 1;
	make_fixture(&fixture, entries);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (wanted(operations[i].name, argc - optind - 1, argv + optind + 1))
			measure(&operations[i], &fixture, count);
	printf("}\n");
	check(chdir("..") == 0, "chdir");
	remove_all(directory);
	return 0;
}
