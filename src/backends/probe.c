#include <config.h>
#include "backends/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"
#include "util/lock.h"
#include "util/message.h"
#include "util/uuid.h"

#define KEY_BYTES 80
#define TEXT_BYTES 64

struct race;

struct writer {
	struct race *race;
	char text[TEXT_BYTES]; /* unique, so that a lost answer can be resolved */
	struct iovec part;
	int error;
	struct backend_version version;
};

struct race {
	struct lock lock;
	struct lock_condition changed;
	int n_left; /* lock */
	struct writer writers[PROBE_WRITERS];
};

struct probe {
	struct backend *backend;
	char id[UUID_TEXT_BYTES];
	char **ret_message;
	const char *doing; /* for messages */
};

static void writer_done(struct backend_result *result, void *arg)
{
	struct writer *writer = arg;
	struct race *race = writer->race;

	lock_acquire(&race->lock);
	writer->error = result->error;
	writer->version = result->version;
	race->n_left--;
	lock_condition_signal(&race->changed);
	lock_release(&race->lock);
}

static void run_race(struct probe *p, struct race *race, const char *key,
	const struct backend_condition *condition, int round)
{
	lock_init(&race->lock);
	lock_condition_init(&race->changed);
	race->n_left = PROBE_WRITERS;
	for (int i = 0; i < PROBE_WRITERS; i++) {
		struct writer *writer = &race->writers[i];
		struct backend_call call = {
			.priority = BACKEND_COMMIT, .done = writer_done, .arg = writer};
		int size = snprintf(writer->text, sizeof(writer->text), "%s %d %d", p->id, round, i);

		writer->race = race;
		writer->part = (struct iovec){writer->text, (size_t)size};
		backend_put(p->backend, key, &writer->part, 1, condition, &call);
	}
	lock_acquire(&race->lock);
	while (race->n_left > 0)
		lock_condition_wait(&race->changed, &race->lock);
	lock_release(&race->lock);
	lock_condition_done(&race->changed);
	lock_done(&race->lock);
}

static int broken(struct probe *p, const char *what)
{
	return message_set(p->ret_message, -EBADE, "the store does not honour %s: %s", p->doing, what);
}

/* The one winner of a race, -EBADE if it was not exactly one, or the error of a writer. */
static int find_winner(struct probe *p, const struct race *race, int refusal,
	const struct writer **ret)
{
	const struct writer *winner = NULL;
	int n_winners = 0;

	for (int i = 0; i < PROBE_WRITERS; i++) {
		const struct writer *writer = &race->writers[i];

		if (writer->error != 0 && writer->error != refusal)
			return message_set(p->ret_message, writer->error, "%s failed: %s", p->doing,
				strerror(-writer->error));
		if (writer->error == 0)
			winner = writer;
		n_winners += writer->error == 0;
	}
	if (winner == NULL)
		return broken(p, "of racing writers none won");
	if (n_winners > 1)
		return broken(p, "of racing writers more than one won");
	*ret = winner;
	return 0;
}

static int check_content(struct probe *p, const char *key, const struct writer *winner)
{
	struct backend_result result;
	int r = backend_get_wait(p->backend, key, 0, TEXT_BYTES, &result);

	if (r < 0)
		r = message_set(p->ret_message, r, "reading back after %s failed: %s", p->doing,
			strerror(-r));
	else if (result.data_size_bytes != winner->part.iov_len ||
		memcmp(result.data, winner->text, result.data_size_bytes) != 0)
		r = broken(p, "the object is not the winner's");
	backend_result_done(&result);
	return r;
}

static int probe_if_absent(struct probe *p)
{
	const struct backend_condition condition = {.type = BACKEND_IF_ABSENT};
	int r = 0;

	p->doing = "put-if-absent";
	for (int round = 0; round < PROBE_ROUNDS && r == 0; round++) {
		CLEANUP_FREE struct race *race = calloc(1, sizeof(*race));
		const struct writer *winner = NULL;
		char key[KEY_BYTES];

		if (race == NULL)
			return -ENOMEM;
		snprintf(key, sizeof(key), "probe/%s/absent-%d", p->id, round);
		run_race(p, race, key, &condition, round);
		r = find_winner(p, race, -EEXIST, &winner);
		if (r == 0)
			r = check_content(p, key, winner);
		(void)backend_remove_wait(p->backend, key);
	}
	return r;
}

/* A put that must be refused with -ESTALE. */
static int check_refusal(struct probe *p, const char *key, const struct backend_version *version,
	const char *what)
{
	struct backend_condition condition = {.type = BACKEND_IF_VERSION, .version = *version};
	struct iovec part = {(char[]){"never"}, 5};
	struct backend_result result;
	int r = backend_put_wait(p->backend, key, &part, 1, &condition, &result);

	backend_result_done(&result);
	if (r == -ESTALE)
		return 0;
	if (r == 0)
		return broken(p, what);
	return message_set(p->ret_message, r, "%s failed: %s", p->doing, strerror(-r));
}

static int swap_rounds(struct probe *p, const char *key, const struct backend_version *first)
{
	struct backend_condition condition = {.type = BACKEND_IF_VERSION, .version = *first};
	int r = 0;

	for (int round = 0; round < PROBE_ROUNDS && r == 0; round++) {
		CLEANUP_FREE struct race *race = calloc(1, sizeof(*race));
		const struct writer *winner = NULL;

		if (race == NULL)
			return -ENOMEM;
		run_race(p, race, key, &condition, round);
		r = find_winner(p, race, -ESTALE, &winner);
		if (r == 0)
			r = check_refusal(p, key, first, "an old version was accepted");
		if (r == 0)
			r = check_content(p, key, winner);
		if (r == 0)
			condition.version = winner->version;
	}
	return r;
}

static int probe_swap(struct probe *p)
{
	const struct backend_condition condition = {.type = BACKEND_IF_ABSENT, .record = true};
	struct iovec part = {p->id, strlen(p->id)};
	struct backend_result result;
	char key[KEY_BYTES];
	int r;

	p->doing = "compare-and-swap";
	snprintf(key, sizeof(key), "probe/%s/swap", p->id);
	r = backend_put_wait(p->backend, key, &part, 1, &condition, &result);
	if (r < 0)
		return message_set(p->ret_message, r, "put failed: %s", strerror(-r));
	r = swap_rounds(p, key, &result.version);
	(void)backend_remove_wait(p->backend, key);
	if (r == 0)
		r = check_refusal(p, key, &result.version, "an absent object was replaced");
	backend_result_done(&result);
	(void)backend_remove_wait(p->backend, key);
	return r;
}

int backend_probe(struct backend *b, struct probe_result *ret, char **ret_message)
{
	struct probe p = {.backend = b, .ret_message = ret_message};
	struct backend_capabilities capabilities;
	struct probe_result result = {.put_if_absent = false};
	struct uuid uuid;
	int r = uuid_generate(&uuid);

	*ret_message = NULL;
	if (r < 0)
		return message_set(ret_message, r, "no random numbers");
	uuid_format(&uuid, p.id);
	backend_get_capabilities(b, &capabilities);
	if (capabilities.put_if_absent) {
		r = probe_if_absent(&p);
		result.put_if_absent = r == 0;
	}
	if (r == 0 && capabilities.compare_and_swap && result.put_if_absent) {
		r = probe_swap(&p);
		result.compare_and_swap = r == 0;
	}
	if (r < 0 && r != -EBADE)
		return r;
	*ret = result;
	return 0;
}
