/* fcntl record locks and flock. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static struct flock range(short type, off_t start, off_t len)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return lock;
}

static int set_lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock lock = range((short)type, start, len);
	return fcntl(fd, cmd, &lock);
}

/* What another process is told about this range. */
struct question {
	int type;
	off_t start, len;
	int want_type;
	off_t want_start, want_len;
	pid_t holder;
};

static void ask(void *arg)
{
	const struct question *q = arg;
	int fd = OK(open("file", O_RDWR));
	struct flock lock = range((short)q->type, q->start, q->len);
	OK(fcntl(fd, F_GETLK, &lock));
	EQ(lock.l_type, q->want_type);
	if (q->want_type == F_UNLCK) {
		OK(set_lock(fd, F_SETLK, q->type, q->start, q->len));
		return;
	}
	EQ(lock.l_start, q->want_start);
	EQ(lock.l_len, q->want_len);
	EQ(lock.l_pid, q->holder);
	FAILS_ANY(EAGAIN, EACCES, set_lock(fd, F_SETLK, q->type, q->start, q->len));
}

static void expect_conflict(int type, off_t start, off_t len, int by, off_t by_start, off_t by_len)
{
	struct question q = {type, start, len, by, by_start, by_len, getpid()};
	kit_join(kit_fork(ask, &q));
}

static void expect_free(int type, off_t start, off_t len)
{
	struct question q = {type, start, len, F_UNLCK, 0, 0, 0};
	kit_join(kit_fork(ask, &q));
}

static void conflicts_between_processes(void)
{
	kit_pattern_file("file", 1000, 1);
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 100, 50));
	expect_conflict(F_WRLCK, 0, 0, F_WRLCK, 100, 50);
	expect_conflict(F_RDLCK, 149, 1, F_WRLCK, 100, 50);
	expect_free(F_WRLCK, 0, 100);
	expect_free(F_WRLCK, 150, 0);
	OK(set_lock(fd, F_SETLK, F_RDLCK, 100, 50));
	expect_free(F_RDLCK, 0, 0);
	expect_conflict(F_WRLCK, 120, 1, F_RDLCK, 100, 50);
	OK(set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	expect_free(F_WRLCK, 0, 0);
}

static void ranges_split_and_join(void)
{
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 100));
	OK(set_lock(fd, F_SETLK, F_UNLCK, 40, 20));
	expect_conflict(F_WRLCK, 0, 100, F_WRLCK, 0, 40);
	expect_free(F_WRLCK, 40, 20);
	expect_conflict(F_WRLCK, 50, 50, F_WRLCK, 60, 40);
	OK(set_lock(fd, F_SETLK, F_WRLCK, 30, 50));
	expect_conflict(F_WRLCK, 0, 0, F_WRLCK, 0, 100);
	OK(set_lock(fd, F_SETLK, F_WRLCK, 100, 0)); /* to the end of any file */
	expect_conflict(F_WRLCK, (off_t)1 << 40, 1, F_WRLCK, 0, 0);
}

static void released_by_any_close(void)
{
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	expect_conflict(F_WRLCK, 0, 0, F_WRLCK, 0, 0);
	OK(close(OK(open("file", O_RDONLY)))); /* POSIX: this drops the lock */
	expect_free(F_WRLCK, 0, 0);
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(close(fd));
	expect_free(F_WRLCK, 0, 0);
}

static void lock_and_exit(void *arg)
{
	struct kit_shared *shared = arg;
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	kit_raise(&shared->go);
	kit_wait_for(&shared->stop, 1);
}

static void released_by_exit(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	pid_t pid = kit_fork(lock_and_exit, shared);
	kit_wait_for(&shared->go, 1);
	FAILS_ANY(EAGAIN, EACCES, set_lock(fd, F_SETLK, F_RDLCK, 0, 0));
	kit_raise(&shared->stop);
	kit_join(pid);
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
}

static void released_by_kill(void)
{
	struct kit_shared *shared = kit_shared_new();
	int status;
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	pid_t pid = kit_fork(lock_and_exit, shared);
	kit_wait_for(&shared->go, 1);
	OK(kill(pid, SIGKILL));
	OK(waitpid(pid, &status, 0));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
}

static void wait_for_lock(void *arg)
{
	struct kit_shared *shared = arg;
	int fd = OK(open("file", O_RDWR));
	kit_raise(&shared->go);
	OK(set_lock(fd, F_SETLKW, F_WRLCK, 0, 10));
	EQ(kit_read_flag(&shared->stop), 1); /* not before the release */
}

static void setlkw_waits_and_wakes(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 5, 1));
	pid_t a = kit_fork(wait_for_lock, shared), b = kit_fork(wait_for_lock, shared);
	kit_wait_for(&shared->go, 2);
	kit_sleep_ms(100);
	kit_raise(&shared->stop);
	OK(set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	kit_join(a);
	kit_join(b);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void setlkw_is_interrupted(void)
{
	struct kit_shared *shared = kit_shared_new();
	struct sigaction act = {.sa_handler = on_alarm};
	kit_file("file", "x");
	pid_t pid = kit_fork(lock_and_exit, shared);
	kit_wait_for(&shared->go, 1);
	OK(sigaction(SIGALRM, &act, NULL));
	int fd = OK(open("file", O_RDWR));
	alarm(1);
	FAILS(EINTR, set_lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	kit_raise(&shared->stop);
	kit_join(pid);
}

static void deadlock_is_found(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 1));
	pid_t pid = OK(fork());
	if (pid == 0) {
		OK(set_lock(fd, F_SETLK, F_WRLCK, 1, 1));
		kit_raise(&shared->go);
		OK(set_lock(fd, F_SETLKW, F_WRLCK, 0, 1));
		_exit(0);
	}
	kit_wait_for(&shared->go, 1);
	kit_sleep_ms(200);
	FAILS(EDEADLK, set_lock(fd, F_SETLKW, F_WRLCK, 1, 1));
	OK(set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	kit_join(pid);
}

static void needs_right_open_mode(void)
{
	kit_file("file", "x");
	int rd = OK(open("file", O_RDONLY)), wr = OK(open("file", O_WRONLY));
	FAILS(EBADF, set_lock(rd, F_SETLK, F_WRLCK, 0, 0));
	FAILS(EBADF, set_lock(wr, F_SETLK, F_RDLCK, 0, 0));
	FAILS(EINVAL, set_lock(rd, F_SETLK, F_RDLCK, -5, 1));
	FAILS(EINVAL, set_lock(rd, F_SETLK, 99, 0, 1));
}

static void ofd_locks(void)
{
	kit_file("file", "x");
	int a = OK(open("file", O_RDWR)), b = OK(open("file", O_RDWR));
	OK(set_lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	FAILS(EAGAIN, set_lock(b, F_OFD_SETLK, F_WRLCK, 5, 1));
	OK(set_lock(b, F_OFD_SETLK, F_WRLCK, 10, 1));
	OK(close(OK(open("file", O_RDONLY)))); /* no effect on these */
	FAILS(EAGAIN, set_lock(b, F_OFD_SETLK, F_WRLCK, 5, 1));
	OK(close(a));
	OK(set_lock(b, F_OFD_SETLK, F_WRLCK, 5, 1));
}

static void locks_stay_on_the_inode(void)
{
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	OK(rename("file", "old"));
	kit_file("file", "y");
	expect_free(F_WRLCK, 0, 0);
	OK(unlink("file"));
	OK(link("old", "file"));
	expect_conflict(F_WRLCK, 0, 0, F_WRLCK, 0, 0);
}

static void flock_conflicts(void)
{
	kit_file("file", "x");
	int a = OK(open("file", O_RDWR)), b = OK(open("file", O_RDONLY));
	OK(flock(a, LOCK_EX));
	FAILS(EWOULDBLOCK, flock(b, LOCK_EX | LOCK_NB));
	FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	FAILS(EWOULDBLOCK, flock(a, LOCK_EX | LOCK_NB));
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX | LOCK_NB));
	int dup_a = OK(dup(a));
	OK(close(a)); /* the duplicate still holds it */
	FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
	OK(close(dup_a));
	OK(flock(b, LOCK_EX | LOCK_NB));
}

static void flock_waiter(void *arg)
{
	struct kit_shared *shared = arg;
	int fd = OK(open("file", O_RDWR));
	kit_raise(&shared->go);
	OK(flock(fd, LOCK_EX));
	EQ(kit_read_flag(&shared->stop), 1);
}

static void flock_waits_and_wakes(void)
{
	struct kit_shared *shared = kit_shared_new();
	kit_file("file", "x");
	int fd = OK(open("file", O_RDWR));
	OK(flock(fd, LOCK_EX));
	pid_t pid = kit_fork(flock_waiter, shared);
	kit_wait_for(&shared->go, 1);
	kit_sleep_ms(100);
	kit_raise(&shared->stop);
	OK(flock(fd, LOCK_UN));
	kit_join(pid);
}

static void count_under_lock(unsigned int index)
{
	int fd = OK(open("file", O_RDWR));
	for (int i = 0; i < 200; i++) {
		uint64_t n;
		if (index % 2 == 0) /* half of them open it anew each time */
			fd = OK(open("file", O_RDWR));
		OK(set_lock(fd, F_SETLKW, F_WRLCK, 0, 8));
		kit_pread(fd, &n, sizeof(n), 0);
		n++;
		kit_pwrite(fd, &n, sizeof(n), 0);
		OK(set_lock(fd, F_SETLK, F_UNLCK, 0, 8));
		if (index % 2 == 0)
			OK(close(fd));
	}
}

static void counter_under_lock(void)
{
	uint64_t n = 0;
	int fd = OK(open("file", O_RDWR | O_CREAT, 0644));
	kit_pwrite(fd, &n, sizeof(n), 0);
	kit_race(8, count_under_lock);
	kit_pread(fd, &n, sizeof(n), 0);
	EQ(n, 1600);
}

static const struct test_case cases[] = {
	CASE(conflicts_between_processes),
	CASE(ranges_split_and_join),
	CASE(released_by_any_close),
	CASE(released_by_exit),
	CASE(released_by_kill),
	CASE(setlkw_waits_and_wakes),
	CASE(setlkw_is_interrupted),
	CASE(deadlock_is_found),
	CASE(needs_right_open_mode),
	CASE(ofd_locks),
	CASE(locks_stay_on_the_inode),
	CASE(flock_conflicts),
	CASE(flock_waits_and_wakes),
	CASE(counter_under_lock),
};
DEFINE_GROUP(lock);
