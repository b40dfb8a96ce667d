#include <config.h>
#include "test_machine.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/adoption.h"
#include "cache/cut.h"
#include "cache/node_private.h"

#define PATIENCE_MS 30000
#define HIGHEST_ACCOUNT 4096 /* numbers are skipped at each start */

struct uuid test_machine_volume;
char test_machine_store[32];
char test_machine_faults[128];

static int note(void *arg, uint64_t incarnation, uint64_t epoch)
{
	struct test_machine *m = arg;

	m->incarnation = incarnation;
	m->epoch = epoch;
	return 0;
}

void test_machine_open(struct test_machine *m)
{
	struct replicator_options options = {
		.backend = m->fixture.backend,
		.volume = test_machine_volume,
		.node_uuid = m->uuid,
		.incarnation = m->incarnation,
		.epoch = m->epoch,
		.note = note,
		.note_arg = m,
		.commit_interval_ms = m->commit_interval_ms,
		.commit_timeout_ms = m->commit_timeout_ms != 0 ? m->commit_timeout_ms : PATIENCE_MS,
		.syncs_notes = m->syncs_notes,
	};
	char *message = NULL;
	int r = node_open(&m->fixture.options, &m->fixture.node, &message);

	ck_assert_msg(r == 0, "node_open: %d %s", r, message != NULL ? message : "");
	options.node = m->fixture.node;
	r = replicator_open(&options, &m->replicator, &message);
	ck_assert_msg(r == 0, "replicator_open: %d %s", r, message != NULL ? message : "");
	ck_assert_int_eq(fs_open(m->fixture.node, &m->fixture.fs), 0);
}

static struct backend *open_store(void)
{
	struct fault_rules rules = {0};
	struct backend *memory = NULL, *store = NULL;
	char *message = NULL;

	ck_assert_int_eq(memory_backend_open(test_machine_store, &memory), 0);
	if (test_machine_faults[0] == '\0')
		return memory;
	ck_assert_int_eq(fault_rules_parse(test_machine_faults, &rules, &message), 0);
	ck_assert_int_eq(fault_backend_new(memory, &rules, &store), 0);
	return store;
}

struct test_machine *test_machine_new(uint32_t commit_interval_ms)
{
	struct test_machine *m = calloc(1, sizeof(*m));

	m->commit_interval_ms = commit_interval_ms;
	ck_assert_int_eq(uuid_generate(&m->uuid), 0);
	node_fixture_init(&m->fixture);
	backend_free(m->fixture.backend);
	m->fixture.backend = open_store();
	m->fixture.options.backend = m->fixture.backend;
	m->fixture.options.journal = true;
	m->fixture.options.commit_interval_ms = 20;
	test_machine_open(m);
	return m;
}

int test_machine_close(struct test_machine *m, uint32_t timeout_ms)
{
	int r;

	fs_close(m->fixture.fs);
	m->fixture.fs = NULL;
	r = replicator_close(m->replicator, timeout_ms, false);
	m->replicator = NULL;
	node_close(m->fixture.node);
	m->fixture.node = NULL;
	return r;
}

void test_machine_remove(struct test_machine *m)
{
	(void)test_machine_close(m, 0);
	node_fixture_done(&m->fixture);
	free(m);
}

struct wait {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool is_done;
	int error;
};

static void done(void *arg, int error)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->mutex);
	w->error = error;
	w->is_done = true;
	pthread_cond_signal(&w->condition);
	pthread_mutex_unlock(&w->mutex);
}

static int end_wait(struct wait *w)
{
	pthread_mutex_lock(&w->mutex);
	while (!w->is_done)
		pthread_cond_wait(&w->condition, &w->mutex);
	pthread_mutex_unlock(&w->mutex);
	return w->error;
}

#define WAIT_INIT                                                                         \
	{                                                                                 \
		.mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER \
	}

int test_machine_wait(struct test_machine *m)
{
	const struct node_replication *replication = &m->fixture.node->replication;
	struct wait w = WAIT_INIT;

	replication->wait(replication->arg, cut_last_lsn(m->fixture.node), done, &w);
	return end_wait(&w);
}

void test_machine_load_all(struct test_machine *m)
{
	for (uint32_t account = 0; account < HIGHEST_ACCOUNT; account++) {
		struct wait w = WAIT_INIT;
		int r;

		if (adoption_check(m->fixture.node, account) == 0)
			continue;
		adoption_wait(m->fixture.node, account, done, &w);
		r = end_wait(&w);
		ck_assert_msg(r == 0, "account %u cannot be loaded: %d", account, r);
	}
}
