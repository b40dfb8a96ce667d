#include <config.h>

#include "fsx.h"
#include "harness.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fsx {
	const struct fsx_options *o;
	const char *path, *other;
	int fd;
	uint8_t *model, *buffer;
	size_t size;
	uint64_t random;
	unsigned int step;
	const char *operation;
};

#define FSX_FAIL(x, ...) fsx_fail((x), __LINE__, __VA_ARGS__)

static _Noreturn void fsx_fail(const struct fsx *x, int line, const char *what, size_t at)
{
	harness_fail(__FILE__, line, "seed %llu operation %u (%s): %s at %zu of %zu: %s",
		(unsigned long long)x->o->seed, x->step, x->operation, what, at, x->size,
		errno != 0 ? strerrorname_np(errno) : "no errno");
}

static size_t pick(struct fsx *x, size_t limit)
{
	return limit == 0 ? 0 : (size_t)kit_random_below(&x->random, limit);
}

/* A range inside [0, limit), often at block borders. */
static void pick_range(struct fsx *x, size_t limit, size_t *at, size_t *len)
{
	*at = pick(x, limit);
	if (pick(x, 4) == 0)
		*at -= *at % 4096;
	*len = pick(x, x->o->max_chunk) + 1;
	if (pick(x, 8) == 0)
		*len = (*len + 4095) & ~(size_t)4095;
	if (*len > x->o->max_chunk)
		*len = x->o->max_chunk;
	if (*at + *len > limit)
		*len = limit - *at;
}

static void compare(const struct fsx *x, const uint8_t *got, size_t at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (got[i] != x->model[at + i]) {
			errno = 0;
			FSX_FAIL(x, "wrong byte", at + i);
		}
	}
}

static void check_size(const struct fsx *x)
{
	struct stat st;
	errno = 0;
	if (fstat(x->fd, &st) < 0 || (size_t)st.st_size != x->size)
		FSX_FAIL(x, "wrong size", (size_t)st.st_size);
}

static void do_read(struct fsx *x)
{
	size_t at, len;
	if (x->size == 0)
		return;
	pick_range(x, x->size, &at, &len);
	errno = 0;
	if (pread(x->fd, x->buffer, len, (off_t)at) != (ssize_t)len)
		FSX_FAIL(x, "short read", at);
	compare(x, x->buffer, at, len);
}

static void grow_to(struct fsx *x, size_t size)
{
	if (size > x->size) {
		memset(x->model + x->size, 0, size - x->size);
		x->size = size;
	}
}

static void do_write(struct fsx *x)
{
	size_t at, len;
	pick_range(x, x->o->max_size, &at, &len);
	if (pick(x, 3) == 0 && x->size + len < x->o->max_size)
		at = x->size;
	kit_pattern(x->buffer, len, x->step, 0);
	errno = 0;
	if (pwrite(x->fd, x->buffer, len, (off_t)at) != (ssize_t)len)
		FSX_FAIL(x, "short write", at);
	if (at > x->size)
		grow_to(x, at);
	memcpy(x->model + at, x->buffer, len);
	if (at + len > x->size)
		x->size = at + len;
}

static void do_truncate(struct fsx *x)
{
	size_t size = pick(x, x->o->max_size);
	errno = 0;
	int r = pick(x, 2) == 0 ? ftruncate(x->fd, (off_t)size) : truncate(x->path, (off_t)size);
	if (r < 0)
		FSX_FAIL(x, "truncate", size);
	grow_to(x, size);
	x->size = size;
}

static uint8_t *map_range(struct fsx *x, size_t at, size_t len, int prot, size_t *delta)
{
	*delta = at % 4096;
	errno = 0;
	void *p = mmap(NULL, len + *delta, prot, MAP_SHARED, x->fd, (off_t)(at - *delta));
	if (p == MAP_FAILED)
		FSX_FAIL(x, "mmap", at);
	return p;
}

static void do_map_read(struct fsx *x)
{
	size_t at, len, delta;
	if (x->size == 0)
		return;
	pick_range(x, x->size, &at, &len);
	uint8_t *p = map_range(x, at, len, PROT_READ, &delta);
	compare(x, p + delta, at, len);
	munmap(p, len + delta);
}

static void do_map_write(struct fsx *x)
{
	size_t at, len, delta;
	if (x->size == 0)
		return;
	pick_range(x, x->size, &at, &len);
	uint8_t *p = map_range(x, at, len, PROT_READ | PROT_WRITE, &delta);
	kit_pattern(p + delta, len, x->step, 0);
	memcpy(x->model + at, p + delta, len);
	if (pick(x, 2) == 0 && msync(p, len + delta, MS_SYNC) < 0)
		FSX_FAIL(x, "msync", at);
	munmap(p, len + delta);
}

static void do_punch(struct fsx *x)
{
	size_t at, len;
	pick_range(x, x->o->max_size, &at, &len);
	if (fallocate(x->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) <
		0) {
		if (errno != EOPNOTSUPP)
			FSX_FAIL(x, "punch", at);
		return;
	}
	if (at < x->size)
		memset(x->model + at, 0, at + len > x->size ? x->size - at : len);
}

static void do_fallocate(struct fsx *x)
{
	size_t at, len;
	pick_range(x, x->o->max_size, &at, &len);
	if (fallocate(x->fd, 0, (off_t)at, (off_t)len) < 0) {
		if (errno != EOPNOTSUPP)
			FSX_FAIL(x, "fallocate", at);
		return;
	}
	grow_to(x, at + len);
}

static void do_copy_range(struct fsx *x)
{
	size_t at, len;
	pick_range(x, x->size, &at, &len);
	size_t to = pick(x, x->o->max_size - len + 1);
	if (x->size == 0 || len == 0 || (to < at + len && at < to + len))
		return;
	off_t in = (off_t)at, out = (off_t)to;
	errno = 0;
	ssize_t n = copy_file_range(x->fd, &in, x->fd, &out, len, 0);
	if (n <= 0) {
		if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EXDEV && errno != EINVAL)
			FSX_FAIL(x, "copy_file_range", at);
		return;
	}
	if (to > x->size)
		grow_to(x, to);
	memcpy(x->model + to, x->model + at, (size_t)n);
	if (to + (size_t)n > x->size)
		x->size = to + (size_t)n;
}

static void open_again(struct fsx *x)
{
	errno = 0;
	x->fd = open(x->path, O_RDWR);
	if (x->fd < 0)
		FSX_FAIL(x, "open", 0);
}

static void do_reopen(struct fsx *x)
{
	if (pick(x, 2) == 0 && fsync(x->fd) < 0)
		FSX_FAIL(x, "fsync", 0);
	if (close(x->fd) < 0)
		FSX_FAIL(x, "close", 0);
	open_again(x);
}

static void do_drop_cache(struct fsx *x)
{
	if (fdatasync(x->fd) < 0)
		FSX_FAIL(x, "fdatasync", 0);
	posix_fadvise(x->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void do_rename(struct fsx *x)
{
	const char *old = x->path;
	if (x->other == NULL)
		return;
	errno = 0;
	if (rename(old, x->other) < 0)
		FSX_FAIL(x, "rename", 0);
	x->path = x->other;
	x->other = old;
}

static void check_all(struct fsx *x)
{
	errno = 0;
	if (pread(x->fd, x->buffer, x->size, 0) != (ssize_t)x->size)
		FSX_FAIL(x, "short read of all", 0);
	compare(x, x->buffer, 0, x->size);
}

static const struct operation {
	const char *name;
	void (*run)(struct fsx *x);
	unsigned int weight;
} operations[] = {
	{"read", do_read, 20},
	{"write", do_write, 30},
	{"truncate", do_truncate, 8},
	{"map_read", do_map_read, 10},
	{"map_write", do_map_write, 12},
	{"punch", do_punch, 6},
	{"fallocate", do_fallocate, 3},
	{"copy_range", do_copy_range, 4},
	{"reopen", do_reopen, 4},
	{"drop_cache", do_drop_cache, 2},
	{"rename", do_rename, 3},
	{"check_all", check_all, 1},
};

static const struct operation *pick_operation(struct fsx *x)
{
	unsigned int total = 0;
	for (size_t i = 0; i < COUNT_OF(operations); i++)
		total += operations[i].weight;
	size_t n = pick(x, total);
	size_t i = 0;
	while (n >= operations[i].weight)
		n -= operations[i++].weight;
	return &operations[i];
}

void fsx_run(const struct fsx_options *options)
{
	struct fsx x = {.o = options, .path = options->path, .other = options->rename_to};
	x.random = options->seed;
	x.model = kit_alloc(options->max_size);
	x.buffer = kit_alloc(options->max_size);
	x.fd = OK(open(options->path, O_RDWR | O_CREAT | O_EXCL, 0644));
	for (x.step = 1; x.step <= options->operations; x.step++) {
		const struct operation *op = pick_operation(&x);
		x.operation = op->name;
		op->run(&x);
		check_size(&x);
	}
	check_all(&x);
	OK(close(x.fd));
	open_again(&x);
	check_all(&x);
	OK(close(x.fd));
	free(x.model);
	free(x.buffer);
}
