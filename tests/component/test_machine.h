/*
 * test_machine.h: a node with a replicator over an in-memory store that several of them share, one
 * after the other. For tests; aborts the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_TEST_MACHINE_H
#define MAILFS_TESTS_COMPONENT_TEST_MACHINE_H

#include "node_fixture.h"
#include "replication/replicator.h"
#include "util/uuid.h"

struct test_machine {
	struct node_fixture fixture;
	struct replicator *replicator;
	struct uuid uuid;
	uint64_t incarnation, epoch; /* as noted */
	/* Of the journal; may be changed while it is closed. */
	uint32_t commit_interval_ms;
	uint32_t commit_timeout_ms; /* 0: long */
	bool syncs_notes;
};

/* Of all that are made from then on. */
extern struct uuid test_machine_volume;
extern char test_machine_store[32];
extern char test_machine_faults[128]; /* fault_rules.h */

/* One with an empty store, which takes over. */
struct test_machine *test_machine_new(uint32_t commit_interval_ms);

/* As an unmount does it; with a timeout of 0 what is not on the backend stays here. */
int test_machine_close(struct test_machine *m, uint32_t timeout_ms);
void test_machine_open(struct test_machine *m);
void test_machine_remove(struct test_machine *m);

/* All that was done so far is on the backend, or why not. */
int test_machine_wait(struct test_machine *m);

/* All accounts are here. */
void test_machine_load_all(struct test_machine *m);

#endif
