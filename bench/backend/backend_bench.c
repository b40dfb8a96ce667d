/*
 * backend_bench.c: our drivers against the least that speaks to the same store.
 *
 *     backend-bench s3 ROUNDS        S3_ENDPOINT, S3_BUCKET, AWS_… (tests/support/radosgw.sh)
 *     backend-bench nfs ROUNDS       NFS_URL (tests/support/ganesha.sh)
 *     backend-bench delay ROUNDS     a store of its own that answers after 30 ms
 *
 * 8 KiB objects at 1, 8 and 32 requests in flight (delay: 64). Both sides take turns in each round;
 * medians of the rounds are printed, and how many threads our driver has.
 */
#include <config.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"
#include "slow_store.h"
#include "util/clock.h"
#include "util/parse_number.h"

#define MAX_ROUNDS 99
#define DELAY_MS 30
#define URL_BYTES 512

static uint8_t content[LOAD_OBJECT_BYTES];
static unsigned int next_series;

const uint8_t *load_content(void)
{
	return content;
}

void load_fail(const char *what, const char *why)
{
	fprintf(stderr, "backend-bench: %s: %s\n", what, why);
	exit(1);
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		load_fail(name, "is not set");
	return value;
}

static unsigned int count_threads(void)
{
	DIR *directory = opendir("/proc/self/task");
	unsigned int n = 0;

	if (directory == NULL)
		load_fail("/proc/self/task", "cannot be read");
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n - 2;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Operations per second. */
static double measure(struct load *load, bool is_put, unsigned int series, unsigned int n,
	unsigned int concurrency)
{
	uint64_t begun_ns = clock_monotonic_ns();

	load->ops->run(load, is_put, series, n, concurrency);
	return n / ((double)(clock_monotonic_ns() - begun_ns) / 1e9);
}

/* The two sides in turns, the first of them now this one and now that. ideal: operations per
 * second that nobody can exceed, or 0. */
static void compare_sides(struct load *const sides[2], unsigned int n, unsigned int concurrency,
	unsigned int rounds, double ideal)
{
	double rates[2][2][MAX_ROUNDS];

	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int turn = 0; turn < 2; turn++) {
			unsigned int side = (turn + round) % 2, series = next_series++;

			for (unsigned int is_put = 2; is_put-- > 0;)
				rates[side][is_put][round] =
					measure(sides[side], is_put, series, n, concurrency);
		}
	}
	for (unsigned int is_put = 2; is_put-- > 0;) {
		double raw = median(rates[0][is_put], rounds);
		double ours = median(rates[1][is_put], rounds);

		printf("%-4s %2u in flight: raw %6.0f/s, driver %6.0f/s, ratio %.2f",
			is_put ? "put" : "get", concurrency, raw, ours, ours / raw);
		if (ideal > 0)
			printf("; of the ideal %.0f/s: raw %.2f, driver %.2f", ideal, raw / ideal,
				ours / ideal);
		printf("\n");
		fflush(stdout);
	}
}

static struct load *open_driver(const char *url, const char *const *options)
{
	unsigned int before = count_threads();
	struct load *load = load_driver_open(url, options);

	/* Those that start with the first request are seen as well. */
	load->ops->run(load, true, next_series++, 8, 8);
	printf("threads of the driver: %u\n", count_threads() - before);
	return load;
}

static void open_s3(struct load *sides[2], const char *endpoint, const char *bucket)
{
	char url[URL_BYTES], option[URL_BYTES];
	const char *const options[] = {option, "path_style", NULL};

	snprintf(url, sizeof(url), "s3://%s/driver", bucket);
	snprintf(option, sizeof(option), "endpoint=%s", endpoint);
	sides[0] = load_curl_open(endpoint, bucket);
	sides[1] = open_driver(url, options);
}

static void compare_at_all(struct load *const sides[2], unsigned int rounds)
{
	compare_sides(sides, 300, 1, rounds, 0);
	compare_sides(sides, 800, 8, rounds, 0);
	compare_sides(sides, 1200, 32, rounds, 0);
}

static void compare_with_delay(unsigned int rounds)
{
	struct slow_store *store = slow_store_new(DELAY_MS);
	struct load *sides[2];
	char endpoint[64];

	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", slow_store_port(store));
	open_s3(sides, endpoint, "slow");
	compare_sides(sides, 3200, 64, rounds, 64 * 1000.0 / DELAY_MS);
	for (int i = 0; i < 2; i++)
		sides[i]->ops->close(sides[i]);
	slow_store_free(store);
}

int main(int argc, char **argv)
{
	struct load *sides[2];
	uint64_t rounds = 5;

	if (argc < 2 || argc > 3 ||
		(argc == 3 && (parse_number_u64(argv[2], MAX_ROUNDS, &rounds) < 0 || rounds == 0)))
		load_fail("usage", "backend-bench s3|nfs|delay [ROUNDS]");
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 7919 >> 3);
	if (strcmp(argv[1], "delay") == 0) {
		compare_with_delay((unsigned int)rounds);
		return 0;
	}
	if (strcmp(argv[1], "s3") == 0) {
		open_s3(sides, environment("S3_ENDPOINT"), environment("S3_BUCKET"));
	} else {
		sides[0] = load_nfs_open(environment("NFS_URL"));
		sides[1] = open_driver(environment("NFS_URL"), NULL);
	}
	compare_at_all(sides, (unsigned int)rounds);
	for (int i = 0; i < 2; i++)
		sides[i]->ops->close(sides[i]);
	return 0;
}
