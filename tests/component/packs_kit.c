#include <config.h>
#include "packs_kit.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/fault_backend.h"
#include "cache/account_check.h"
#include "cache/node_private.h"
#include "util/clock.h"

struct node_fixture packs_kit_fixture;
uint64_t packs_kit_directory;

/* ---- a journal that says yes, or nothing */

struct journal {
	pthread_mutex_t mutex;
	bool holds; /* answers wait */
	int error;
	unsigned int asked, n_waiting;
	struct {
		void (*done)(void *arg, int error);
		void *arg;
	} waiting[8];
};
static struct journal journal = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void journal_wait_fake(
	void *arg, uint64_t lsn, void (*done)(void *arg, int error), void *done_arg)
{
	struct journal *j = arg;
	bool holds;
	int error;

	(void)lsn;
	pthread_mutex_lock(&j->mutex);
	j->asked++;
	holds = j->holds;
	error = j->error;
	if (holds) {
		ck_assert_uint_lt(j->n_waiting, 8);
		j->waiting[j->n_waiting].done = done;
		j->waiting[j->n_waiting++].arg = done_arg;
	}
	pthread_mutex_unlock(&j->mutex);
	if (!holds)
		done(done_arg, error);
}

unsigned int packs_kit_journal_asked(void)
{
	unsigned int asked;

	pthread_mutex_lock(&journal.mutex);
	asked = journal.asked;
	pthread_mutex_unlock(&journal.mutex);
	return asked;
}

void packs_kit_journal_answer(int error)
{
	unsigned int n;

	pthread_mutex_lock(&journal.mutex);
	journal.holds = false;
	journal.error = error;
	n = journal.n_waiting;
	journal.n_waiting = 0;
	pthread_mutex_unlock(&journal.mutex);
	for (unsigned int i = 0; i < n; i++)
		journal.waiting[i].done(journal.waiting[i].arg, error);
}

void packs_kit_set_journal(bool holds, uint64_t retention_ms)
{
	struct node_replication replication = {
		.wait = journal_wait_fake, .arg = &journal, .retention_ms = retention_ms};

	pthread_mutex_lock(&journal.mutex);
	journal.holds = holds;
	journal.error = 0;
	journal.asked = 0;
	pthread_mutex_unlock(&journal.mutex);
	node_set_replication(packs_kit_fixture.node, &replication);
}

/* ---- the node */

void packs_kit_begin(uint64_t cache_bytes)
{
	struct fs_attributes a;

	node_fixture_init(&packs_kit_fixture);
	packs_kit_fixture.options.journal = true;
	packs_kit_fixture.options.commit_interval_ms = 50;
	packs_kit_fixture.options.cache_size_bytes = cache_bytes;
	node_fixture_open(&packs_kit_fixture);
	packs_kit_directory = node_fixture_mkdir(packs_kit_fixture.fs, FS_ROOT_INO, "user");
	ck_assert_int_eq(fs_getattr(packs_kit_fixture.fs, packs_kit_directory, &a), 0);
	ck_assert_uint_eq(key_ino_account(packs_kit_directory), PACKS_KIT_ACCOUNT);
}

/* With faults between node and store. */
void packs_kit_begin_faulty(void)
{
	struct fault_rules none = {.n = 0};

	node_fixture_init(&packs_kit_fixture);
	ck_assert_int_eq(
		fault_backend_new(packs_kit_fixture.backend, &none, &packs_kit_fixture.backend), 0);
	packs_kit_fixture.options.backend = packs_kit_fixture.backend;
	packs_kit_fixture.options.journal = true;
	packs_kit_fixture.options.commit_interval_ms = 50;
	node_fixture_open(&packs_kit_fixture);
	packs_kit_directory = node_fixture_mkdir(packs_kit_fixture.fs, FS_ROOT_INO, "user");
}

void packs_kit_set_faults(const char *rules)
{
	char *message = NULL;

	ck_assert_int_eq(fault_backend_set(packs_kit_fixture.backend, rules, &message), 0);
}

int packs_kit_pack_with(const struct packer_options *options, struct packer_figures *ret)
{
	*ret = (struct packer_figures){0};
	return packer_pack_account(packs_kit_fixture.node, PACKS_KIT_ACCOUNT, options, ret);
}

struct packer_figures packs_kit_pack(void)
{
	struct packer_options options = {.min_bytes_live = 0};
	struct packer_figures figures;

	ck_assert_int_eq(packs_kit_pack_with(&options, &figures), 0);
	return figures;
}

size_t packs_kit_objects_like(const char *middle)
{
	struct backend_result result;
	size_t n = 0;

	ck_assert_int_eq(
		backend_list_wait(packs_kit_fixture.backend, "accounts/", NULL, 100000, &result),
		0);
	for (size_t i = 0; i < result.n_entries; i++)
		n += strstr(result.entries[i].key, middle) != NULL;
	backend_result_done(&result);
	return n;
}

void packs_kit_wait_for_objects(const char *middle, size_t n)
{
	uint64_t until_ms = clock_monotonic_ms() + PACKS_KIT_PATIENCE_MS;

	while (packs_kit_objects_like(middle) != n && clock_monotonic_ms() < until_ms)
		usleep(10000);
	ck_assert_uint_eq(packs_kit_objects_like(middle), n);
}

static int seen(void *arg, const struct inode *inode, const struct upload *local)
{
	(void)arg;
	(void)inode;
	(void)local;
	return 0;
}

/* The records of packs are exactly what the extents say. The uploader may change something between
 * two looks of one check: what is broken stays broken. */
void packs_kit_check_account(const char *when)
{
	char *message = NULL;
	int r = -EBADMSG;

	for (int i = 0; i < 20 && r == -EBADMSG; i++) {
		if (i > 0)
			usleep(50000);
		free(message);
		message = NULL;
		r = account_check(packs_kit_fixture.node, PACKS_KIT_ACCOUNT, seen, NULL, &message);
	}
	ck_assert_msg(r == 0, "%s: %d %s", when, r, message != NULL ? message : "");
}

struct pack_live_figures packs_kit_live(void)
{
	struct pack_live_figures figures;

	ck_assert_int_eq(pack_live_sum(packs_kit_fixture.node, PACKS_KIT_ACCOUNT, &figures), 0);
	return figures;
}

void packs_kit_evict(void)
{
	uint64_t evicted;

	ck_assert_int_eq(node_evict(packs_kit_fixture.node, 0, &evicted), 0);
}

/* ---- bodies */

uint8_t packs_kit_byte_at(unsigned int seed, size_t i)
{
	/* Text of a kind, so that it can be compressed. */
	return (uint8_t)('a' + (seed * 31 + i / 7 + (i % 7) * seed) % 26);
}

uint64_t packs_kit_make_body(unsigned int number, size_t bytes)
{
	uint8_t *data = malloc(bytes + 1);
	char name[16];
	uint64_t ino;

	snprintf(name, sizeof(name), "u.%u", number);
	ino = node_fixture_create(packs_kit_fixture.fs, packs_kit_directory, name);
	for (size_t i = 0; i < bytes; i++)
		data[i] = packs_kit_byte_at(number, i);
	ck_assert_int_eq(node_fixture_write(packs_kit_fixture.fs, ino, 0, data, bytes), 0);
	free(data);
	return ino;
}

int packs_kit_body_is_right(uint64_t ino, unsigned int number, size_t bytes)
{
	uint8_t *data = malloc(bytes + 1);
	ssize_t n = node_fixture_read(packs_kit_fixture.fs, ino, 0, data, bytes + 1);

	for (ssize_t i = 0; i < n; i++)
		ck_assert_uint_eq(data[i], packs_kit_byte_at(number, (size_t)i));
	free(data);
	ck_assert(n < 0 || (size_t)n == bytes);
	return n < 0 ? (int)n : 0;
}

void packs_kit_remove_body(unsigned int number, uint64_t ino)
{
	char name[16];

	snprintf(name, sizeof(name), "u.%u", number);
	ck_assert_int_eq(fs_unlink(packs_kit_fixture.fs, packs_kit_directory, name), 0);
	fs_forget(packs_kit_fixture.fs, ino, 1);
}
