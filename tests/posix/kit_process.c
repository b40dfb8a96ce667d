/* Identities, other processes, random numbers and file times. */
#include <config.h>

#include "harness.h"
#include "kit.h"

#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 12000000 /* more than the tick of any usual kernel */

void kit_need_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root");
}

void kit_become_with_group(uid_t uid, gid_t gid, gid_t group)
{
	OK(setgroups(1, &group));
	OK(setegid(gid));
	OK(seteuid(uid));
}

void kit_become(uid_t uid, gid_t gid)
{
	kit_become_with_group(uid, gid, gid);
}

void kit_become_root(void)
{
	OK(seteuid(0));
	OK(setegid(0));
	OK(setgroups(0, NULL));
}

pid_t kit_fork(void (*fn)(void *), void *arg)
{
	pid_t pid = OK(fork());
	if (pid == 0) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

void kit_join(pid_t pid)
{
	int status = 0;
	EQ(OK(waitpid(pid, &status, 0)), pid);
	if (status != 0)
		FAIL("a child ended with status 0x%x", (unsigned int)status);
}

void kit_sleep_ms(unsigned int ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&ts, NULL);
}

struct kit_shared *kit_shared_new(void)
{
	void *p = mmap(NULL, sizeof(struct kit_shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		FAIL("mmap: %m");
	return p;
}

int kit_read_flag(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

void kit_wait_for(const int *flag, int value)
{
	while (kit_read_flag(flag) < value)
		sched_yield();
}

void kit_raise(int *flag)
{
	__atomic_add_fetch(flag, 1, __ATOMIC_SEQ_CST);
}

void kit_race(unsigned int count, void (*fn)(unsigned int index))
{
	struct kit_shared *shared = kit_shared_new();
	pid_t pids[32];
	CHECK(count <= COUNT_OF(pids));
	for (unsigned int i = 0; i < count; i++) {
		pids[i] = OK(fork());
		if (pids[i] != 0)
			continue;
		kit_raise(&shared->go);
		kit_wait_for(&shared->go, (int)count);
		fn(i);
		_exit(0);
	}
	for (unsigned int i = 0; i < count; i++)
		kit_join(pids[i]);
	munmap(shared, sizeof(*shared));
}

uint64_t kit_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t kit_random_below(uint64_t *state, uint64_t limit)
{
	return kit_random(state) % limit;
}

void kit_tick(void)
{
	struct timespec ts = {.tv_nsec = TICK_NS};
	nanosleep(&ts, NULL);
}

void watch_begin(struct watch *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		list[i].before = kit_lstat(list[i].path);
	kit_tick();
}

static int compare_times(const struct timespec *a, const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	if (a->tv_nsec != b->tv_nsec)
		return a->tv_nsec < b->tv_nsec ? -1 : 1;
	return 0;
}

struct check_place {
	const char *path, *op, *file;
	int line;
};

static void check_time(const char *which, const struct timespec *before,
	const struct timespec *after, bool must_move, const struct check_place *at)
{
	int order = compare_times(after, before);
	if (must_move && order <= 0)
		harness_fail(at->file, at->line, "%s: %s of %.80s did not move", at->op, which,
			at->path);
	if (!must_move && order != 0)
		harness_fail(
			at->file, at->line, "%s: %s of %.80s changed", at->op, which, at->path);
}

void watch_end(const struct watch *list, size_t count, const char *op, const char *file, int line)
{
	for (size_t i = 0; i < count; i++) {
		const struct watch *w = &list[i];
		struct check_place at = {w->path, op, file, line};
		struct stat now = kit_lstat(w->after != NULL ? w->after : w->path);
		if ((w->expect & MARK_ANY_ATIME) == 0)
			check_time("atime", &w->before.st_atim, &now.st_atim,
				(w->expect & MARK_ATIME) != 0, &at);
		check_time("mtime", &w->before.st_mtim, &now.st_mtim, (w->expect & MARK_MTIME) != 0,
			&at);
		check_time("ctime", &w->before.st_ctim, &now.st_ctim, (w->expect & MARK_CTIME) != 0,
			&at);
	}
}
