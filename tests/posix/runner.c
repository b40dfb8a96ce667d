/* Runs the cases one after the other, each in a process group and a directory of its own. */
#include <config.h>

#include "harness.h"
#include "kit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMEOUT_S 60
#define CLEANUP_TIMEOUT_S 120
#define UNKILLABLE_WAIT_MS 5000

struct outcome {
	char report[1024]; /* first report line; kind in [0], empty if there was none */
	int status;        /* as from waitpid; -1 if the process could not be killed */
	bool timed_out;
};

struct totals {
	unsigned int number, failed, skipped;
};

static long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool selected(const struct test_group *group, const struct test_case *c, const char *pattern)
{
	char name[256];
	if (pattern == NULL)
		return !c->only_if_asked;
	snprintf(name, sizeof(name), "%s.%s", group->name, c->name);
	return strstr(name, pattern) != NULL;
}

static void read_report(int fd, pid_t pid, long deadline_ms, struct outcome *out)
{
	size_t used = 0;
	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long left = deadline_ms - now_ms();
		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			out->timed_out = true;
			break;
		}
		char chunk[512];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n && used < sizeof(out->report) - 1; i++)
			out->report[used++] = chunk[i];
		kill(-pid, SIGKILL); /* one report is enough */
	}
	out->report[strcspn(out->report, "\n")] = '\0';
}

static int reap(pid_t pid)
{
	long deadline = now_ms() + UNKILLABLE_WAIT_MS;
	int status;
	for (;;) {
		pid_t got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		if (got < 0 || now_ms() > deadline)
			return -1;
		struct timespec ms = {.tv_nsec = 1000000};
		nanosleep(&ms, NULL);
	}
}

/* Fork, run fn(arg) there, and wait for it and all its children. */
static void run_apart(
	void (*fn)(const void *), const void *arg, unsigned int timeout_s, struct outcome *out)
{
	int fds[2];
	memset(out, 0, sizeof(*out));
	fflush(stdout);
	if (pipe2(fds, O_CLOEXEC) < 0) {
		snprintf(out->report, sizeof(out->report), "Fpipe: %m");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		close(fds[0]);
		harness_init(fds[1]);
		umask(0);
		fn(arg);
		_exit(0);
	}
	setpgid(pid, pid);
	close(fds[1]);
	read_report(fds[0], pid, now_ms() + (long)timeout_s * 1000, out);
	if (out->timed_out)
		kill(-pid, SIGKILL);
	out->status = reap(pid);
	kill(-pid, SIGKILL);
	close(fds[0]);
}

struct job {
	const struct test_case *run;
	const char *sub; /* the directory of the case, below the current one */
};

/* Only the child touches the directory under test, so that a hang is a failure and not the end. */
static void case_main(const void *arg)
{
	const struct job *job = arg;
	OK(mkdir(job->sub, 0777));
	OK(chdir(job->sub));
	job->run->run();
}

static void cleanup_main(const void *arg)
{
	const struct job *job = arg;
	kit_remove_tree(AT_FDCWD, job->sub);
}

static void print_result(struct totals *t, const char *name, const struct outcome *out)
{
	t->number++;
	if (out->report[0] == 'S') {
		t->skipped++;
		printf("ok %u - %s # SKIP %s\n", t->number, name, out->report + 1);
		return;
	}
	if (out->report[0] == '\0' && !out->timed_out && out->status == 0) {
		printf("ok %u - %s\n", t->number, name);
		return;
	}
	t->failed++;
	printf("not ok %u - %s # ", t->number, name);
	if (out->report[0] != '\0')
		printf("%s\n", out->report + 1);
	else if (out->timed_out)
		printf("timed out%s\n", out->status == -1 ? " and cannot be killed" : "");
	else if (WIFSIGNALED(out->status))
		printf("killed by signal %d\n", WTERMSIG(out->status));
	else
		printf("ended with status 0x%x\n", (unsigned int)out->status);
}

static bool passed(const struct outcome *out)
{
	return out->report[0] == '\0' && !out->timed_out && out->status == 0;
}

/* False if a process is stuck in the filesystem for good: then no case can be run any more. */
static bool run_case(const struct test_group *group, const struct test_case *c, struct totals *t)
{
	char name[256], sub[64];
	struct outcome out, cleanup = {0};
	struct job job = {c, sub};
	snprintf(name, sizeof(name), "%s.%s", group->name, c->name);
	snprintf(sub, sizeof(sub), "posix-suite.%ld.%u", (long)getpid(), t->number + 1);
	run_apart(case_main, &job, c->timeout_s != 0 ? c->timeout_s : DEFAULT_TIMEOUT_S, &out);
	bool stuck = out.status == -1;
	if (!stuck)
		run_apart(cleanup_main, &job, CLEANUP_TIMEOUT_S, &cleanup);
	if (passed(&out) && !passed(&cleanup)) {
		out = cleanup;
		if (cleanup.report[0] != '\0')
			snprintf(out.report, sizeof(out.report), "Fcleanup: %.1000s",
				cleanup.report + 1);
	}
	print_result(t, name, &out);
	if (stuck || cleanup.status == -1)
		printf("Bail out! a process cannot be killed\n");
	fflush(stdout);
	return !stuck && cleanup.status != -1;
}

static unsigned int count_selected(
	const struct test_group *const *groups, size_t group_count, const char *pattern)
{
	unsigned int n = 0;
	for (size_t g = 0; g < group_count; g++) {
		for (size_t i = 0; i < groups[g]->count; i++)
			n += selected(groups[g], &groups[g]->cases[i], pattern) ? 1 : 0;
	}
	return n;
}

static void run_all(const struct test_group *const *groups, size_t group_count, const char *pattern,
	struct totals *t)
{
	for (size_t g = 0; g < group_count; g++) {
		for (size_t i = 0; i < groups[g]->count; i++) {
			const struct test_case *c = &groups[g]->cases[i];
			if (selected(groups[g], c, pattern) && !run_case(groups[g], c, t))
				return;
		}
	}
}

int runner_run(const struct test_group *const *groups, size_t group_count, const char *pattern,
	const char *dir)
{
	struct totals t = {0};
	if (chdir(dir) < 0) {
		fprintf(stderr, "posix-suite: %s: %m\n", dir);
		return -1;
	}
	printf("1..%u\n", count_selected(groups, group_count, pattern));
	run_all(groups, group_count, pattern, &t);
	printf("# %u cases, %u failed, %u skipped\n", t.number, t.failed, t.skipped);
	return (int)t.failed;
}

void runner_list(const struct test_group *const *groups, size_t group_count, const char *pattern)
{
	for (size_t g = 0; g < group_count; g++) {
		for (size_t i = 0; i < groups[g]->count; i++) {
			const struct test_case *c = &groups[g]->cases[i];
			if (pattern == NULL || selected(groups[g], c, pattern))
				printf("%s.%s%s\n", groups[g]->name, c->name,
					c->only_if_asked ? " (only with -k)" : "");
		}
	}
}
