/*
 * A mount of which some accounts are on the backend only: who asks for them waits, and nobody else.
 * Skipped where nothing can be mounted.
 */
#include <config.h>
#include "check_main.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cache/adoption.h"
#include "cache/backlog.h"
#include "fuse/session.h"
#include "journal_kit.h"
#include "util/clock.h"

#define FILES 12 /* more than there are threads */
#define LONG_MS 20000

static struct journal_kit kit;
static struct node_fixture reader;
static struct session *session;
static pthread_t session_thread;
static char mountpoint[64];

/* The loader: account 1 waits until it is let go. */
static _Atomic bool is_held, fails;
static _Atomic unsigned int loads, loading;

static void *load_now(void *arg)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint32_t account = (uint32_t)(uintptr_t)arg;
	int error = -EIO;

	while (account == 1 && atomic_load(&is_held))
		clock_sleep_ms(5);
	if (!atomic_exchange(&fails, false)) {
		journal_kit_restore(&kit, &reader, UINT32_C(1) << account, true, results);
		error = results[account].error;
	}
	atomic_fetch_add(&loads, 1);
	adoption_finish(reader.node, account, error);
	atomic_fetch_sub(&loading, 1);
	return NULL;
}

static void load(void *arg, uint32_t account)
{
	pthread_t thread;

	(void)arg;
	atomic_fetch_add(&loading, 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, load_now, (void *)(uintptr_t)account), 0);
	pthread_detach(thread);
}

static _Atomic uint64_t lag_ms;

static uint64_t lag(void *arg)
{
	(void)arg;
	return atomic_load(&lag_ms);
}

static void make_account(const char *name)
{
	uint64_t user = node_fixture_mkdir(kit.fixture.fs, FS_ROOT_INO, name);
	char file[32];

	for (int i = 0; i < FILES; i++) {
		snprintf(file, sizeof(file), "u.%d", i);
		ck_assert_int_eq(node_fixture_write(kit.fixture.fs,
					 node_fixture_create(kit.fixture.fs, user, file), 0, file,
					 strlen(file)),
			0);
	}
}

static void *serve(void *arg)
{
	(void)arg;
	(void)session_run(session);
	return NULL;
}

static void begin(void)
{
	static const struct node_replication replication = {.load = load, .lag = lag};
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	struct session_options options = {.source = "test", .mountpoint = mountpoint, .threads = 4};
	uint32_t absent[] = {1, 2, 3};

	atomic_store(&is_held, true);
	journal_kit_init(&kit, "park");
	make_account("a");
	make_account("b");
	make_account("c");
	(void)journal_kit_write(&kit, 0);
	journal_kit_open_reader("park", &reader);
	ck_assert_int_eq(adoption_expect(reader.node, absent, 3), 0);
	journal_kit_restore(&kit, &reader, 1, true, results);
	ck_assert_int_eq(results[0].error, 0);
	node_set_replication(reader.node, &replication);
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	snprintf(mountpoint, sizeof(mountpoint), "/tmp/mailfs-park-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(mountpoint));
	ck_assert_int_eq(session_new(reader.fs, &options, &session), 0);
	ck_assert_int_eq(session_mount(session), 0);
	ck_assert_int_eq(pthread_create(&session_thread, NULL, serve, NULL), 0);
}

static void end(void)
{
	atomic_store(&is_held, false);
	session_exit(session);
	pthread_join(session_thread, NULL);
	(void)umount2(mountpoint, MNT_DETACH);
	session_free(session);
	rmdir(mountpoint);
	while (atomic_load(&loading) > 0)
		clock_sleep_ms(1);
	node_fixture_done(&reader);
	journal_kit_done(&kit);
}

/* What the file holds, or a negative errno. */
static int read_file(const char *account, int i, char *ret, size_t size_bytes)
{
	char path[128];
	ssize_t n;
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s/u.%d", mountpoint, account, i);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, size_bytes - 1);
	r = n < 0 ? -errno : 0;
	ret[n < 0 ? 0 : n] = '\0';
	close(fd);
	return r;
}

static int check_file(const char *account, int i)
{
	char content[64], wanted[64];
	int r = read_file(account, i, content, sizeof(content));

	if (r < 0)
		return r;
	snprintf(wanted, sizeof(wanted), "u.%d", i);
	return strcmp(content, wanted) == 0 ? 0 : -EBADMSG;
}

static void *read_a(void *arg)
{
	return (void *)(intptr_t)check_file("a", (int)(intptr_t)arg);
}

static void wait_for_parked(uint64_t n)
{
	uint64_t end_ms = clock_monotonic_ms() + LONG_MS;

	while (session_count_parked(session) < n) {
		ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
		clock_sleep_ms(5);
	}
}

static unsigned int count_entries(void)
{
	DIR *directory = opendir(mountpoint);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

/* A listing loads nothing. While one account loads, another is served, and names are looked for;
 * then all get what they wait for. */
START_TEST(test_others_go_on)
{
	pthread_t threads[FILES];
	struct stat st;
	char path[128];
	void *result;

	begin();
	ck_assert_uint_eq(count_entries(), 5);
	ck_assert_uint_eq(atomic_load(&loads), 0);
	for (intptr_t i = 0; i < FILES; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_a, (void *)i), 0);
	wait_for_parked(1);
	for (int i = 0; i < FILES; i++)
		ck_assert_int_eq(check_file("b", i), 0);
	snprintf(path, sizeof(path), "%s/nobody", mountpoint);
	ck_assert_int_eq(stat(path, &st), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_uint_ge(session_count_parked(session), 1);
	ck_assert_uint_eq(atomic_load(&loads), 1);
	atomic_store(&is_held, false);
	for (int i = 0; i < FILES; i++) {
		pthread_join(threads[i], &result);
		ck_assert_int_eq((int)(intptr_t)result, 0);
	}
	ck_assert_uint_eq(session_count_parked(session), 0);
	ck_assert_uint_eq(atomic_load(&loads), 2);
	end();
}
END_TEST

/* Names of the root account that lead to accounts: rename and rmdir wait too. */
START_TEST(test_names)
{
	char from[128], to[128];

	begin();
	atomic_store(&is_held, false);
	snprintf(from, sizeof(from), "%s/c", mountpoint);
	snprintf(to, sizeof(to), "%s/d", mountpoint);
	ck_assert_int_eq(rename(from, to), 0);
	ck_assert_int_eq(check_file("d", 3), 0);
	snprintf(from, sizeof(from), "%s/b", mountpoint);
	ck_assert_int_eq(rmdir(from), -1);
	ck_assert_int_eq(errno, ENOTEMPTY);
	end();
}
END_TEST

/* An account that cannot be loaded: an error, and later it is tried again. */
START_TEST(test_failure)
{
	uint64_t end_ms = clock_monotonic_ms() + LONG_MS;

	begin();
	atomic_store(&fails, true);
	ck_assert_int_eq(check_file("b", 0), -EIO);
	ck_assert_int_eq(check_file("c", 0), 0);
	while (check_file("b", 0) < 0) {
		ck_assert_uint_lt(clock_monotonic_ms(), end_ms);
		clock_sleep_ms(100);
	}
	end();
}
END_TEST

/* An account goes and comes back, with the kernel's references to its inodes. */
START_TEST(test_eviction)
{
	uint32_t account = 2;
	char path[128], content[16] = "";
	int fd;

	begin();
	ck_assert_int_eq(check_file("b", 1), 0);
	snprintf(path, sizeof(path), "%s/b/u.2", mountpoint);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(session_forget_entry(session, FS_ROOT_INO, "b"), 0);
		ck_assert_int_eq(adoption_begin_eviction(reader.node, account, 5000), 0);
		ck_assert_int_eq(adoption_expect(reader.node, &account, 1), 0);
		ck_assert_int_eq(check_file("b", i), 0);
		ck_assert_int_eq(pread(fd, content, 3, 0), 3);
		ck_assert_str_eq(content, "u.2");
	}
	ck_assert_uint_eq(atomic_load(&loads), 4);
	close(fd);
	end();
}
END_TEST

/* While the backend is behind what needs room waits a little, and then is refused; reading and
 * removing go on. */
START_TEST(test_delayed)
{
	uint64_t began_ms;
	char path[128];
	int fd;

	begin();
	snprintf(path, sizeof(path), "%s/b/new", mountpoint);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	atomic_store(&lag_ms, BACKLOG_DEFAULT_AGE_MS / 100 * 95);
	clock_sleep_ms(BACKLOG_LOOK_MS + 20);
	began_ms = clock_monotonic_ms();
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	ck_assert_uint_ge(clock_monotonic_ms() - began_ms, BACKLOG_MAX_DELAY_MS / 2);
	atomic_store(&lag_ms, BACKLOG_DEFAULT_AGE_MS);
	clock_sleep_ms(BACKLOG_LOOK_MS + 20);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(check_file("b", 3), 0);
	ck_assert_int_eq(unlink(path), 0);
	atomic_store(&lag_ms, 0);
	clock_sleep_ms(BACKLOG_LOOK_MS + 20);
	ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	close(fd);
	ck_assert_uint_eq(session_count_parked(session), 0);
	end();
}
END_TEST

/* ---- processes */
static pid_t start_reader(void)
{
	pid_t pid = fork();
	struct stat st;
	char path[128];

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	signal(SIGTERM, SIG_DFL); /* libcheck has its own */
	snprintf(path, sizeof(path), "%s/a/u.1", mountpoint);
	_exit(stat(path, &st) == 0 ? 0 : errno);
}

static void ignore(int number)
{
	(void)number;
}

/* One that is killed is let go; another signal is no reason to fail. */
START_TEST(test_killed)
{
	struct sigaction action = {.sa_handler = ignore};
	pid_t killed, signalled;
	int status;

	begin();
	sigaction(SIGUSR1, &action, NULL);
	killed = start_reader();
	wait_for_parked(1);
	signalled = start_reader();
	clock_sleep_ms(100);
	kill(signalled, SIGUSR1);
	kill(killed, SIGTERM);
	ck_assert_int_eq(waitpid(killed, &status, 0), killed);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	clock_sleep_ms(100);
	ck_assert_int_eq(waitpid(signalled, &status, WNOHANG), 0);
	atomic_store(&is_held, false);
	ck_assert_int_eq(waitpid(signalled, &status, 0), signalled);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned int)status);
	end();
}
END_TEST

/* The end of the session ends who waits. */
START_TEST(test_end)
{
	int status;
	pid_t pid;

	begin();
	pid = start_reader();
	wait_for_parked(1);
	session_exit(session);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(
		WIFEXITED(status) && WEXITSTATUS(status) == ENOTCONN, "%x", (unsigned int)status);
	end();
}
END_TEST

static bool can_mount(void)
{
	return geteuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0;
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("park");
	TCase *tc = tcase_create("park");

	tcase_set_timeout(tc, 60);
	if (can_mount()) {
		tcase_add_test(tc, test_others_go_on);
		tcase_add_test(tc, test_names);
		tcase_add_test(tc, test_failure);
		tcase_add_test(tc, test_eviction);
		tcase_add_test(tc, test_delayed);
		tcase_add_test(tc, test_killed);
		tcase_add_test(tc, test_end);
	}
	suite_add_tcase(suite, tc);
	return suite;
}
