/*
 * fuzz_log_batch.c: batches of RocksDB's log. What is given lies within the input, and there are as
 * many records as the head says when the batch is good.
 */
#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include "cache/log_batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
	uint32_t n;
};

static void check(bool good)
{
	if (!good)
		abort();
}

static bool is_inside(const struct input *in, const uint8_t *bytes, size_t n)
{
	return bytes >= in->data && n <= in->size && bytes + n <= in->data + in->size;
}

static int take(void *arg, const struct log_batch_record *r)
{
	struct input *in = arg;

	in->n++;
	check(is_inside(in, r->key, r->key_bytes));
	check(r->to == NULL ? r->to_bytes == 0 : is_inside(in, r->to, r->to_bytes));
	return in->n == 1000 ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size, 0};
	struct log_batch_head head = {0};
	int r = log_batch_parse(data, size, take, &in, &head);

	if (r == 0)
		check(in.n == head.n_changes);
	else
		check(r == 1 ? in.n == 1000 : r < 0);
	return 0;
}
