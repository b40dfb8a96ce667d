/*
 * The frame the cases run in: assertions that report where and why, and the tables of cases.
 *
 * Every case runs in a process of its own whose current directory is fresh and empty. A failed
 * assertion reports one line and ends the process; the first report of a case, also from one of its
 * children, counts.
 */
#ifndef TESTS_POSIX_HARNESS_H
#define TESTS_POSIX_HARNESS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct test_case {
	const char *name;
	void (*run)(void);
	unsigned int timeout_s; /* 0: the default */
	bool only_if_asked;     /* not run unless named with -k */
};

struct test_group {
	const char *name;
	const struct test_case *cases;
	size_t count;
};

#define CASE(fn)                         \
	{                                \
		.name = #fn, .run = (fn) \
	}
#define CASE_SLOW(fn, seconds)                                   \
	{                                                        \
		.name = #fn, .run = (fn), .timeout_s = (seconds) \
	}
#define CASE_ASKED(fn, seconds)                                                         \
	{                                                                               \
		.name = #fn, .run = (fn), .timeout_s = (seconds), .only_if_asked = true \
	}
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DEFINE_GROUP(label) const struct test_group group_##label = {#label, cases, COUNT_OF(cases)}

/* e is an int result: fail if it is -1, else give it back. OKL: the same for ssize_t and off_t. */
#define OK(e) harness_ok((e), #e, __FILE__, __LINE__)
#define OKL(e) harness_okl((e), #e, __FILE__, __LINE__)
/* e must give -1 with this errno; FAILS_ANY: with one of the two. */
#define FAILS(err, e) FAILS_ANY(err, err, e)
#define FAILS_ANY(err, other, e)                                                       \
	do {                                                                           \
		errno = 0;                                                             \
		long result_ = (long)(e);                                              \
		harness_fails(result_, errno, (err), (other), #e, __FILE__, __LINE__); \
	} while (0)
#define CHECK(c)                                                             \
	do {                                                                 \
		if (!(c))                                                    \
			harness_fail(__FILE__, __LINE__, "%s is false", #c); \
	} while (0)
#define EQ(a, b) harness_eq((long long)(a), (long long)(b), #a, #b, __FILE__, __LINE__)
#define EQ_STR(a, b) harness_eq_str((a), (b), #a, __FILE__, __LINE__)
#define EQ_MEM(a, b, len) harness_eq_mem((a), (b), (len), #a, __FILE__, __LINE__)
#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SKIP(...) harness_skip(__VA_ARGS__)

/* fd that takes the report line of this process and its children. Returns never-failing setup. */
void harness_init(int report_fd);

_Noreturn void harness_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void harness_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

int harness_ok(int result, const char *what, const char *file, int line);
off_t harness_okl(off_t result, const char *what, const char *file, int line);
void harness_fails(
	long result, int got, int want, int other, const char *what, const char *file, int line);
void harness_eq(long long a, long long b, const char *a_text, const char *b_text, const char *file,
	int line);
void harness_eq_str(const char *a, const char *b, const char *what, const char *file, int line);
void harness_eq_mem(
	const void *a, const void *b, size_t len, const char *what, const char *file, int line);

/* Run the cases whose name contains pattern (NULL: all that are not only_if_asked) in
 * sub-directories of the directory dir, print TAP. Returns the number of cases that failed, -1 if
 * dir cannot be used. */
int runner_run(const struct test_group *const *groups, size_t group_count, const char *pattern,
	const char *dir);
void runner_list(const struct test_group *const *groups, size_t group_count, const char *pattern);

#endif
