#include <config.h>
#include "backends/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/retry_backend.h"
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
		int size =
			snprintf(writer->text, sizeof(writer->text), "%s %d %d", p->id, round, i);

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
	return message_set(
		p->ret_message, -EBADE, "the store does not honour %s: %s", p->doing, what);
}

/* Whether the object is the text of this writer. */
static bool is_of(const struct backend_result *result, const struct writer *writer)
{
	return result->data_size_bytes == writer->part.iov_len &&
	       memcmp(result->data, writer->text, result->data_size_bytes) == 0;
}

/* Counts those who won; those whose answer was lost are unsure. Other errors end the probe. */
static int count_winners(struct probe *p, const struct race *race, int refusal, int *ret_unsure)
{
	int n_winners = 0, n_unsure = 0;

	for (int i = 0; i < PROBE_WRITERS; i++) {
		int error = race->writers[i].error;

		if (retry_backend_is_passing(error))
			n_unsure++;
		else if (error != 0 && error != refusal)
			return message_set(
				p->ret_message, error, "%s failed: %s", p->doing, strerror(-error));
		n_winners += error == 0;
	}
	if (n_unsure == PROBE_WRITERS)
		return message_set(p->ret_message, race->writers[0].error, "%s failed: %s",
			p->doing, strerror(-race->writers[0].error));
	*ret_unsure = n_unsure;
	return n_winners;
}

/* There must be one winner, and the object must be that writer's. */
static int check_race(struct probe *p, const struct race *race, const char *key, int refusal,
	struct backend_version *ret_version)
{
	struct backend_result result;
	int n_unsure = 0, n_winners = count_winners(p, race, refusal, &n_unsure), r;
	bool found = false;

	if (n_winners < 0)
		return n_winners;
	if (n_winners > 1)
		return broken(p, "of racing writers more than one won");
	if (n_winners + n_unsure == 0)
		return broken(p, "of racing writers none won");
	r = backend_get_wait(p->backend, key, 0, TEXT_BYTES, &result);
	for (int i = 0; i < PROBE_WRITERS && r == 0 && !found; i++) {
		const struct writer *writer = &race->writers[i];

		found = (n_winners == 0 ? writer->error != refusal : writer->error == 0) &&
			is_of(&result, writer);
	}
	if (r < 0)
		r = message_set(p->ret_message, r, "reading back after %s failed: %s", p->doing,
			strerror(-r));
	else if (!found)
		r = broken(p, "the object is not the winner's");
	*ret_version = result.version;
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
		struct backend_version unused;
		char key[KEY_BYTES];

		if (race == NULL)
			return -ENOMEM;
		snprintf(key, sizeof(key), "probe/absent-%s-%d", p->id, round);
		run_race(p, race, key, &condition, round);
		r = check_race(p, race, key, -EEXIST, &unused);
		(void)backend_remove_wait(p->backend, key);
	}
	return r;
}

/* A put that must be refused with -ESTALE. */
static int check_refusal(
	struct probe *p, const char *key, const struct backend_version *version, const char *what)
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
	if (retry_backend_is_passing(r)) /* unsure; the next race shows what is there */
		return 0;
	return message_set(p->ret_message, r, "%s failed: %s", p->doing, strerror(-r));
}

static int swap_rounds(struct probe *p, const char *key, const struct backend_version *first)
{
	static const struct backend_version wrong = {.text = "wrong"};
	struct backend_condition condition = {.type = BACKEND_IF_VERSION, .version = *first};
	int r = 0;

	for (int round = 0; round < PROBE_ROUNDS && r == 0; round++) {
		CLEANUP_FREE struct race *race = calloc(1, sizeof(*race));

		if (race == NULL)
			return -ENOMEM;
		run_race(p, race, key, &condition, round);
		r = check_refusal(p, key, &wrong, "a wrong version was accepted");
		if (r == 0)
			r = check_race(p, race, key, -ESTALE, &condition.version);
		if (r == 0)
			r = check_refusal(p, key, first, "an old version was accepted");
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
	snprintf(key, sizeof(key), "probe/swap-%s", p->id);
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
