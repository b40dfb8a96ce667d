/* What many cases need: files, identities, other processes, file times. A failure ends the case. */
#ifndef TESTS_POSIX_KIT_H
#define TESTS_POSIX_KIT_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define KIT_USER 65533
#define KIT_OTHER 65534

/* ---- files */

/* Make the file at path (it must not exist) with mode 0644 and this text. */
void kit_file(const char *path, const char *text);
/* The same with size bytes of the pattern (seed, offset). */
void kit_pattern_file(const char *path, size_t size, uint64_t seed);
void kit_mkdir(const char *path, mode_t mode);
struct stat kit_stat(const char *path);
struct stat kit_lstat(const char *path);
struct stat kit_fstat(int fd);
uint64_t kit_ino(const char *path);
unsigned long kit_nlink(const char *path);
mode_t kit_mode(const char *path); /* permission bits with suid, sgid, sticky */
/* The file's whole content must be this text. */
void kit_expect_text(const char *path, const char *text);
void kit_expect_absent(const char *path);

void kit_write(int fd, const void *data, size_t len);
void kit_pwrite(int fd, const void *data, size_t len, off_t at);
/* Exactly len bytes must be there. */
void kit_pread(int fd, void *data, size_t len, off_t at);
/* The bytes at offset `at` of an endless reproducible stream; no byte is 0. */
void kit_pattern(uint8_t *data, size_t len, uint64_t seed, uint64_t at);
/* What the file holds there: zeros; the pattern of seed from pattern_at on. */
void kit_expect_zeros(int fd, off_t at, size_t len);
void kit_expect_pattern(int fd, off_t at, size_t len, uint64_t seed, off_t pattern_at);
/* The whole file is what kit_pattern_file() made. */
void kit_expect_pattern_file(const char *path, size_t size, uint64_t seed);
void *kit_alloc(size_t size); /* zeroed, never NULL */

/* Remove name below dirfd with all it contains. */
void kit_remove_tree(int dirfd, const char *name);
/* Number of names in the directory but . and .. */
unsigned int kit_count_names(const char *dir);

/* ---- identities: the whole process, effective ids, no supplementary groups */

void kit_need_root(void); /* skips the case when not root */
void kit_become(uid_t uid, gid_t gid);
void kit_become_with_group(uid_t uid, gid_t gid, gid_t group);
void kit_become_root(void);

/* ---- processes */

pid_t kit_fork(void (*fn)(void *), void *arg);
void kit_join(pid_t pid); /* it must end with 0 */
void kit_sleep_ms(unsigned int ms);

/* Shared between a case and its children. */
struct kit_shared {
	int go;
	int stop;
	int count[32];
	uint64_t value[8];
};
struct kit_shared *kit_shared_new(void);
void kit_wait_for(const int *flag, int value); /* until *flag >= value */
void kit_raise(int *flag);                     /* adds one, atomically */
int kit_read_flag(const int *flag);
/* fn(index) in `count` processes that start together; returns when all have ended well. */
void kit_race(unsigned int count, void (*fn)(unsigned int index));

/* ---- random numbers, the same for the same seed */

uint64_t kit_random(uint64_t *state);
uint64_t kit_random_below(uint64_t *state, uint64_t limit);

/* ---- file times */

enum {
	MARK_NONE = 0,
	MARK_ATIME = 1,
	MARK_MTIME = 2,
	MARK_CTIME = 4,
	MARK_MC = MARK_MTIME | MARK_CTIME,
	MARK_ANY_ATIME = 8, /* atime may change or not */
};

struct watch {
	const char *path;
	int expect;
	const char *after; /* its name afterwards, NULL: the same */
	struct stat before;
};

/* Wait until a file time taken now differs from one taken before. */
void kit_tick(void);
void watch_begin(struct watch *list, size_t count);
void watch_end(const struct watch *list, size_t count, const char *op, const char *file, int line);

/* Do op; exactly the stated times of each listed file must have moved forward, the others not at
 * all. */
#define WATCH(op, ...)                                                        \
	do {                                                                  \
		struct watch watch_[] = {__VA_ARGS__};                        \
		watch_begin(watch_, COUNT_OF(watch_));                        \
		op;                                                           \
		watch_end(watch_, COUNT_OF(watch_), #op, __FILE__, __LINE__); \
	} while (0)
#define SEES(p, marks)                         \
	{                                      \
		.path = (p), .expect = (marks) \
	}
#define SEES_AS(p, marks, name_after)                                 \
	{                                                             \
		.path = (p), .expect = (marks), .after = (name_after) \
	}

#endif
