/* Random operations with fixed seeds, on files of several sizes. */
#include <config.h>

#include "fsx.h"
#include "groups.h"
#include "kit.h"

#include <stdio.h>
#include <stdlib.h>

static void run(uint64_t seed, unsigned int operations, size_t max_size, size_t max_chunk)
{
	struct fsx_options options = {.path = "file",
		.seed = seed,
		.operations = operations,
		.max_size = max_size,
		.max_chunk = max_chunk};
	fsx_run(&options);
}

static void tiny_chunks(void)
{
	run(1, 3000, 20000, 300);
}

static void small_file(void)
{
	run(2, 2000, 65536, 9000);
}

static void medium_file(void)
{
	run(3, 2000, 300000, 70000);
}

static void large_chunks(void)
{
	run(4, 600, 4 << 20, 1 << 20);
}

static void within_one_page(void)
{
	run(5, 2000, 4096, 4096);
}

static void with_renames(void)
{
	struct fsx_options options = {.path = "file",
		.seed = 6,
		.operations = 2000,
		.max_size = 200000,
		.max_chunk = 20000,
		.rename_to = "other"};
	fsx_run(&options);
}

/* Seeds and length by environment: POSIX_SUITE_SEED, POSIX_SUITE_OPERATIONS. */
static void long_run(void)
{
	const char *seed = getenv("POSIX_SUITE_SEED"), *count = getenv("POSIX_SUITE_OPERATIONS");
	run(seed != NULL ? strtoull(seed, NULL, 10) : 7,
		count != NULL ? (unsigned int)strtoul(count, NULL, 10) : 100000, 1 << 20, 140000);
}

static void worker(unsigned int index)
{
	char name[16];
	snprintf(name, sizeof(name), "file%u", index);
	struct fsx_options options = {.path = name,
		.seed = 100 + index,
		.operations = 500,
		.max_size = 200000,
		.max_chunk = 40000};
	fsx_run(&options);
}

static void eight_at_once(void)
{
	kit_race(8, worker);
}

static const struct test_case cases[] = {
	CASE(tiny_chunks),
	CASE(small_file),
	CASE(medium_file),
	CASE(large_chunks),
	CASE(within_one_page),
	CASE(with_renames),
	CASE_SLOW(eight_at_once, 180),
	CASE_ASKED(long_run, 3600),
};
DEFINE_GROUP(fsx);
