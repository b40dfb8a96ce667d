/* Copying inside the kernel, and inotify. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define SIZE 300000

static void expect_in_b(off_t at, size_t len, uint64_t seed, off_t pattern_at)
{
	int fd = OK(open("b", O_RDONLY));
	kit_expect_pattern(fd, at, len, seed, pattern_at);
	OK(close(fd));
}

static void copy_file_range_copies(void)
{
	kit_pattern_file("a", SIZE, 1);
	int in = OK(open("a", O_RDONLY)), out = OK(open("b", O_RDWR | O_CREAT, 0644));
	size_t left = SIZE;
	while (left > 0) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, left, 0);
		if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
			SKIP("no copy_file_range: %m");
		OKL(n);
		CHECK(n > 0);
		left -= (size_t)n;
	}
	EQ(kit_fstat(out).st_size, SIZE);
	expect_in_b(0, SIZE, 1, 0);
	EQ(OKL(copy_file_range(in, NULL, out, NULL, 100, 0)), 0);
}

static void copy_file_range_offsets(void)
{
	kit_pattern_file("a", SIZE, 1);
	kit_pattern_file("b", SIZE, 2);
	int in = OK(open("a", O_RDONLY)), out = OK(open("b", O_RDWR));
	off_t from = 5001, to = 100003;
	ssize_t n = copy_file_range(in, &from, out, &to, 70000, 0);
	if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		SKIP("no copy_file_range: %m");
	OKL(n);
	CHECK(n > 0 && n <= 70000);
	EQ(from, 5001 + n);
	EQ(to, 100003 + n);
	EQ(OKL(lseek(in, 0, SEEK_CUR)), 0);
	expect_in_b(0, 100003, 2, 0);
	expect_in_b(100003, (size_t)n, 1, 5001);
	expect_in_b(100003 + n, (size_t)(SIZE - 100003 - n), 2, (size_t)(100003 + n));
	EQ(kit_fstat(out).st_size, SIZE);
}

static void copy_file_range_errors(void)
{
	kit_file("a", "text");
	int in = OK(open("a", O_RDONLY)), rw = OK(open("a", O_RDWR));
	int append = OK(open("b", O_RDWR | O_CREAT | O_APPEND, 0644));
	off_t from = 0, to = 2;
	FAILS(EBADF, copy_file_range(rw, NULL, in, NULL, 4, 0));
	FAILS(EBADF, copy_file_range(in, NULL, append, NULL, 4, 0));
	FAILS(EINVAL, copy_file_range(in, NULL, rw, NULL, 4, 1));
	FAILS(EINVAL, copy_file_range(rw, &from, rw, &to, 4, 0)); /* they overlap */
	int dir = OK(open(".", O_RDONLY));
	FAILS(EISDIR, copy_file_range(dir, NULL, rw, NULL, 4, 0));
}

static void sendfile_to_file(void)
{
	kit_pattern_file("a", SIZE, 3);
	int in = OK(open("a", O_RDONLY)), out = OK(open("b", O_RDWR | O_CREAT, 0644));
	off_t from = 7;
	while (from < SIZE)
		CHECK(OKL(sendfile(out, in, &from, (size_t)(SIZE - from))) > 0);
	EQ(kit_fstat(out).st_size, SIZE - 7);
	expect_in_b(0, SIZE - 7, 3, 7);
}

static void splice_through_pipe(void)
{
	int pipe_fds[2];
	kit_pattern_file("a", SIZE, 4);
	int in = OK(open("a", O_RDONLY)), out = OK(open("b", O_RDWR | O_CREAT, 0644));
	OK(pipe(pipe_fds));
	for (;;) {
		ssize_t n = OKL(splice(in, NULL, pipe_fds[1], NULL, 16384, 0));
		if (n == 0)
			break;
		while (n > 0) {
			ssize_t put = OKL(splice(pipe_fds[0], NULL, out, NULL, (size_t)n, 0));
			CHECK(put > 0);
			n -= put;
		}
	}
	EQ(kit_fstat(out).st_size, SIZE);
	expect_in_b(0, SIZE, 4, 0);
}

static uint32_t next_event(int fd, char *name, size_t size)
{
	union {
		struct inotify_event event;
		char bytes[sizeof(struct inotify_event) + 256];
	} u;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, 5000) <= 0)
		FAIL("no inotify event in 5 s");
	OKL(read(fd, &u, sizeof(u)));
	snprintf(name, size, "%s", u.event.len > 0 ? u.event.name : "");
	return u.event.mask;
}

/* Dovecot's IDLE sleeps on these. */
static void inotify_reports_local_changes(void)
{
	char name[256];
	kit_mkdir("new", 0755);
	kit_file("mail", "x");
	kit_file("log", "x");
	int fd = OK(inotify_init1(IN_CLOEXEC));
	OK(inotify_add_watch(fd, "new", IN_CREATE | IN_MOVED_TO | IN_DELETE));
	OK(inotify_add_watch(fd, "log", IN_MODIFY));
	OK(rename("mail", "new/mail"));
	EQ(next_event(fd, name, sizeof(name)), IN_MOVED_TO);
	EQ_STR(name, "mail");
	kit_file("new/other", "");
	EQ(next_event(fd, name, sizeof(name)), IN_CREATE);
	EQ_STR(name, "other");
	OK(unlink("new/mail"));
	EQ(next_event(fd, name, sizeof(name)), IN_DELETE);
	int log = OK(open("log", O_WRONLY | O_APPEND));
	kit_write(log, "y", 1);
	EQ(next_event(fd, name, sizeof(name)), IN_MODIFY);
}

static const struct test_case cases[] = {
	CASE(copy_file_range_copies),
	CASE(copy_file_range_offsets),
	CASE(copy_file_range_errors),
	CASE(sendfile_to_file),
	CASE(splice_through_pipe),
	CASE(inotify_reports_local_changes),
};
DEFINE_GROUP(copy);
