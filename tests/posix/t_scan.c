/* Directories that change while they are read. */
#include <config.h>

#include "groups.h"
#include "kit.h"
#include "listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Every entry that is there during the whole scan must appear exactly once. */
static void changes_during_scan(size_t buffer_hint)
{
	enum { COUNT = 3000 };
	static uint8_t seen[COUNT];
	char from[32], to[32];
	unsigned int steps = 0;
	kit_mkdir("d", 0755);
	listing_make_files(0, COUNT);
	uint64_t *buffer = kit_alloc(buffer_hint);
	int fd = OK(open("d", O_RDONLY | O_DIRECTORY));
	long n;
	while ((n = syscall(SYS_getdents64, fd, buffer, buffer_hint)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *e = (void *)((char *)buffer + at);
			long number = listing_number(e->d_name);
			if (number >= 0)
				seen[number]++;
			at += e->d_reclen;
		}
		if (steps++ >= COUNT / 3)
			continue;
		snprintf(from, sizeof(from), "d/f%06u", steps * 3); /* every third one may go */
		OK(unlink(from));
		snprintf(to, sizeof(to), "d/new%u", steps);
		kit_file(to, "");
		snprintf(from, sizeof(from), "d/a%u", steps);
		OK(rename(to, from));
	}
	CHECK(n == 0);
	for (unsigned int i = 0; i < COUNT; i++) {
		if (i % 3 == 0 ? seen[i] > 1 : seen[i] != 1)
			FAIL("f%06u was listed %u times", i, seen[i]);
	}
}

static void changes_during_scan_large_buffer(void)
{
	changes_during_scan(32768);
}

static void changes_during_scan_small_buffer(void)
{
	changes_during_scan(256);
}

static void removing_what_is_read(void)
{
	char name[300];
	uint8_t *seen = kit_alloc(5000);
	kit_mkdir("d", 0755);
	listing_make_files(0, 5000);
	DIR *dir = listing_open("d");
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		long n = listing_number(e->d_name);
		if (n < 0)
			continue;
		seen[n]++;
		snprintf(name, sizeof(name), "d/%s", e->d_name);
		OK(unlink(name));
	}
	closedir(dir);
	listing_expect_each_once(seen, 0, 5000);
	EQ(kit_count_names("d"), 0);
	OK(rmdir("d"));
}

/* What Dovecot does at SELECT: each entry is renamed to another directory while it is read. */
static void moving_what_is_read(void)
{
	char from[300], to[300];
	unsigned int moved = 0;
	kit_mkdir("d", 0755);
	kit_mkdir("cur", 0755);
	listing_make_files(0, 2000);
	DIR *dir = listing_open("d");
	for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (listing_number(e->d_name) < 0)
			continue;
		snprintf(from, sizeof(from), "d/%s", e->d_name);
		snprintf(to, sizeof(to), "cur/%s:2,", e->d_name);
		OK(rename(from, to));
		moved++;
	}
	closedir(dir);
	EQ(moved, 2000);
	EQ(kit_count_names("cur"), 2000);
	EQ(kit_count_names("d"), 0);
}

static struct kit_shared *churn_state;

static void churn(void *arg)
{
	char name[32];
	(void)arg;
	for (unsigned int i = 0; kit_read_flag(&churn_state->stop) == 0; i++) {
		snprintf(name, sizeof(name), "d/x%u", i % 50);
		OK(close(OK(open(name, O_WRONLY | O_CREAT, 0644))));
		snprintf(name, sizeof(name), "d/x%u", (i + 25) % 50);
		unlink(name);
	}
}

static void changes_by_other_process(void)
{
	enum { COUNT = 1000 };
	static uint8_t seen[COUNT];
	churn_state = kit_shared_new();
	kit_mkdir("d", 0755);
	listing_make_files(0, COUNT);
	pid_t pid = kit_fork(churn, NULL);
	for (int round = 0; round < 30; round++) {
		memset(seen, 0, sizeof(seen));
		listing_scan_raw("d", round % 2 == 0 ? 512 : 32768, seen, COUNT);
		listing_expect_each_once(seen, 0, COUNT);
	}
	kit_raise(&churn_state->stop);
	kit_join(pid);
}

static const struct test_case cases[] = {
	CASE(changes_during_scan_large_buffer),
	CASE(changes_during_scan_small_buffer),
	CASE(removing_what_is_read),
	CASE(moving_what_is_read),
	CASE(changes_by_other_process),
};
DEFINE_GROUP(scan);
