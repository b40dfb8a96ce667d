#include <config.h>
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/registry.h"
#include "util/lock.h"

struct driver_load {
	struct load load; /* first */
	struct backend *b;
	struct iovec part;

	bool is_put;
	unsigned int series, n;
	struct lock lock; /* of all below */
	struct lock_condition changed;
	unsigned int n_begun, n_done;
	int error;
};

static void begin(struct driver_load *d, unsigned int i);

static void done(struct backend_result *result, void *arg)
{
	struct driver_load *d = arg;
	unsigned int next = 0;
	bool goes_on;

	lock_acquire(&d->lock);
	if (result->error < 0)
		d->error = result->error;
	else if (!d->is_put && result->data_size_bytes != LOAD_OBJECT_BYTES)
		d->error = -1;
	d->n_done++;
	goes_on = d->n_begun < d->n;
	if (goes_on)
		next = d->n_begun++;
	else if (d->n_done == d->n)
		lock_condition_signal(&d->changed);
	lock_release(&d->lock);
	if (goes_on)
		begin(d, next);
}

static void begin(struct driver_load *d, unsigned int i)
{
	const struct backend_call call = {.priority = BACKEND_READER, .done = done, .arg = d};
	char key[64];

	snprintf(key, sizeof(key), "bench/%u/%u", d->series, i);
	if (d->is_put)
		backend_put(d->b, key, &d->part, 1, NULL, &call);
	else
		backend_get(d->b, key, 0, LOAD_OBJECT_BYTES, &call);
}

static void run(struct load *load, bool is_put, unsigned int series, unsigned int n,
	unsigned int concurrency)
{
	struct driver_load *d = (struct driver_load *)(void *)load;

	d->is_put = is_put;
	d->series = series;
	d->n = n;
	d->n_done = 0;
	d->n_begun = concurrency < n ? concurrency : n;
	for (unsigned int i = 0; i < concurrency && i < n; i++)
		begin(d, i);
	lock_acquire(&d->lock);
	while (d->n_done < d->n)
		lock_condition_wait(&d->changed, &d->lock);
	lock_release(&d->lock);
	if (d->error != 0)
		load_fail("our driver", d->error == -1 ? "wrong size" : strerror(-d->error));
}

static void driver_close(struct load *load)
{
	struct driver_load *d = (struct driver_load *)(void *)load;

	backend_free(d->b);
	lock_condition_done(&d->changed);
	lock_done(&d->lock);
	free(d);
}

static const struct load_ops ops = {.run = run, .close = driver_close};

struct load *load_driver_open(const char *url, const char *const *options)
{
	struct driver_load *d = calloc(1, sizeof(*d));
	char *message = NULL;

	if (d == NULL)
		load_fail(url, "out of memory");
	d->load.ops = &ops;
	d->part = (struct iovec){(void *)(uintptr_t)load_content(), LOAD_OBJECT_BYTES};
	lock_init(&d->lock);
	lock_condition_init(&d->changed);
	if (backend_open_url(url, options, &d->b, &message) < 0)
		load_fail(url, message);
	return &d->load;
}
