/*
 * block_size.c: what a block size costs in the local store; for doc/decisions/0003-store-tuning.md.
 *
 * For each block size, in one run and in turns: appending 200 bytes (dovecot.index.log), changing
 * 16 bytes in a file of 4 MiB (dovecot.index.cache), writing a mail of 16 KiB in pieces of 8 KiB
 * and reading it back. Prints the median of the rounds, in us for each operation.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/memory_backend.h"
#include "cache/file_data.h"
#include "cache/node_private.h"
#include "util/clock.h"

#define ROUNDS 5
#define FIRST_SHIFT 9
#define LAST_SHIFT 15
#define SHIFTS (LAST_SHIFT - FIRST_SHIFT + 1)
#define COUNT 4000
#define LARGE_BYTES (4u << 20)

static struct node *node;
static uint64_t next_ino = 1000;
static uint8_t buffer[LARGE_BYTES];

static void must(int r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "block_size: %s: %s\n", what, strerror(-r));
		exit(1);
	}
}

static void write_at(struct inode *inode, uint64_t offset, size_t size)
{
	struct transaction t;
	struct extent missing;

	must(transaction_begin(node, &t), "begin");
	must(file_data_write(&t, inode, offset, buffer, size, &missing), "write");
	transaction_put_inode(&t, inode);
	must(transaction_commit(&t), "commit");
}

static struct inode new_file(unsigned int shift)
{
	return (struct inode){.ino = next_ino++,
		.mode = S_IFREG | 0600,
		.nlink = 1,
		.block_shift = (uint8_t)shift};
}

static double us_since(uint64_t start_ns, unsigned int count)
{
	return (double)(clock_monotonic_ns() - start_ns) / 1000 / count;
}

static double measure_append(unsigned int shift)
{
	struct inode inode = new_file(shift);
	uint64_t start = clock_monotonic_ns();

	for (unsigned int i = 0; i < COUNT; i++)
		write_at(&inode, inode.size_bytes, 200);
	return us_since(start, COUNT);
}

static double measure_patch(unsigned int shift)
{
	struct inode inode = new_file(shift);
	uint64_t start;

	write_at(&inode, 0, LARGE_BYTES);
	start = clock_monotonic_ns();
	for (unsigned int i = 0; i < COUNT; i++)
		write_at(&inode, (uint64_t)(i * 7919u) % (LARGE_BYTES - 16), 16);
	return us_since(start, COUNT);
}

static double measure_mail(unsigned int shift)
{
	uint64_t start = clock_monotonic_ns();
	struct file_data_span span = {.data = buffer, .size_bytes = 16384};
	struct extent missing;

	for (unsigned int i = 0; i < COUNT / 4; i++) {
		struct inode inode = new_file(shift);

		write_at(&inode, 0, 8192);
		write_at(&inode, 8192, 8192);
		must(file_data_read(node, &inode, &span, &missing), "read");
	}
	return us_since(start, COUNT / 4);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double values[ROUNDS])
{
	qsort(values, ROUNDS, sizeof(values[0]), compare);
	return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
	static double (*const measure[])(unsigned int) = {
		measure_append, measure_patch, measure_mail};
	static double results[3][SHIFTS][ROUNDS];
	struct node_options options = {.account_depth = 1, .commit_interval_ms = 3600000};
	char *message = NULL;

	if (argc != 2) {
		fprintf(stderr,
			"usage: block_size DIRECTORY (a new one, on the disk to measure)\n");
		return 2;
	}
	options.directory = argv[1];
	must(memory_backend_new(&options.backend), "backend");
	must(node_open(&options, &node, &message), message != NULL ? message : "node");
	for (int round = 0; round < ROUNDS; round++) {
		for (unsigned int s = 0; s < SHIFTS; s++) {
			for (int m = 0; m < 3; m++)
				results[m][s][round] = measure[m](FIRST_SHIFT + s);
		}
	}
	printf("block bytes  append 200  patch 16 in 4 MiB  16 KiB mail   (us, medians of %d)\n",
		ROUNDS);
	for (unsigned int s = 0; s < SHIFTS; s++)
		printf("%11u  %10.1f  %17.1f  %11.1f\n", 1u << (FIRST_SHIFT + s),
			median(results[0][s]), median(results[1][s]), median(results[2][s]));
	node_close(node);
	backend_free(options.backend);
	return 0;
}
