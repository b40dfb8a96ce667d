#include <config.h>
#include "keeper_kit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/fault_backend.h"
#include "backends/memory_backend.h"
#include "cache/key.h"
#include "util/clock.h"

#define QUIET_MS 3600000

struct keeper_kit keeper_kit;

void keeper_kit_start_journal(void)
{
	char *message = NULL;

	ck_assert_msg(journal_open(keeper_kit.fixture.node, keeper_kit.fixture.backend,
			      &keeper_kit.options, &keeper_kit.journal, &message) == 0,
		"%s", message);
	keeper_kit.keeping.node = keeper_kit.fixture.node;
	keeper_kit.keeping.backend = keeper_kit.fixture.backend;
	keeper_kit.keeping.journal = keeper_kit.journal;
	ck_assert_int_eq(keeper_start(&keeper_kit.keeping, &keeper_kit.keeper), 0);
}

void keeper_kit_set_up(void)
{
	struct fault_rules rules = {.n = 0};
	struct backend *memory;

	node_fixture_init(&keeper_kit.fixture);
	backend_free(keeper_kit.fixture.backend);
	ck_assert_int_eq(memory_backend_open(KEEPER_KIT_STORE, &memory), 0);
	ck_assert_int_eq(fault_backend_new(memory, &rules, &keeper_kit.fixture.backend), 0);
	keeper_kit.fixture.options.backend = keeper_kit.fixture.backend;
	keeper_kit.fixture.options.journal = true;
	keeper_kit.fixture.options.commit_interval_ms = 3600000;
	node_fixture_open(&keeper_kit.fixture);
	keeper_kit.options = (struct journal_options){.node = {{1, 2, 3}},
		.incarnation = 7,
		.commit_interval_ms = 20,
		.commit_timeout_ms = KEEPER_KIT_PATIENCE_MS,
		.max_in_flight = 4};
	keeper_kit.keeping = (struct keeper_options){.volume = {{9, 8, 7}},
		.node_uuid = keeper_kit.options.node,
		.incarnation = keeper_kit.options.incarnation,
		.quiet_ms = QUIET_MS};
	keeper_kit.restorer = (struct journal_kit){.volume = keeper_kit.keeping.volume};
	keeper_kit_start_journal();
}

void keeper_kit_stop_journal(void)
{
	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeper = NULL;
	ck_assert_int_eq(journal_close(keeper_kit.journal, KEEPER_KIT_FLUSH_MS), 0);
	keeper_kit.journal = NULL;
}

void keeper_kit_tear_down(void)
{
	fault_backend_release(keeper_kit.fixture.backend);
	keeper_stop(keeper_kit.keeper);
	keeper_kit.keeper = NULL;
	(void)journal_close(keeper_kit.journal, 0);
	keeper_kit.journal = NULL;
	node_fixture_done(&keeper_kit.fixture);
}

void keeper_kit_restart(void)
{
	keeper_kit_stop_journal();
	node_fixture_reopen(&keeper_kit.fixture);
	keeper_kit_start_journal();
}

void keeper_kit_set_rules(const char *text)
{
	char *message = NULL;

	ck_assert_msg(
		fault_backend_set(keeper_kit.fixture.backend, text, &message) == 0, "%s", message);
}

struct keeper_figures keeper_kit_figures(void)
{
	struct keeper_figures ret;

	keeper_get_figures(keeper_kit.keeper, &ret);
	return ret;
}

/* ---- what is on the backend */

size_t keeper_kit_count_keys(const char *prefix, const char *infix)
{
	struct backend_result page;
	size_t n = 0;

	ck_assert_int_eq(backend_list_wait(keeper_kit.fixture.backend, prefix, NULL,
				 BACKEND_LIST_MAX_ENTRIES, &page),
		0);
	for (size_t i = 0; i < page.n_entries; i++)
		n += strstr(page.entries[i].key, infix) != NULL;
	backend_result_done(&page);
	return n;
}

size_t keeper_kit_count_segments(void)
{
	return keeper_kit_count_keys("journal/", "/");
}

size_t keeper_kit_count_checkpoints(void)
{
	return keeper_kit_count_keys("accounts/", "/checkpoint/");
}

void keeper_kit_wait_for_segments(size_t n)
{
	uint64_t end_ms = clock_monotonic_ms() + KEEPER_KIT_PATIENCE_MS;

	while (keeper_kit_count_segments() != n && clock_monotonic_ms() < end_ms)
		clock_sleep_ms(5);
	ck_assert_uint_eq(keeper_kit_count_segments(), n);
}

/* ---- work */

uint64_t keeper_kit_account_inode(unsigned int account)
{
	struct fs_attributes found;
	char name[16];

	snprintf(name, sizeof(name), "user%u", account);
	if (fs_lookup(keeper_kit.fixture.fs, FS_ROOT_INO, name, &found) == 0)
		return found.ino;
	return node_fixture_mkdir(keeper_kit.fixture.fs, FS_ROOT_INO, name);
}

void keeper_kit_write_file(uint64_t directory, const char *name, unsigned int *seed)
{
	static uint8_t data[30000];
	struct fs_attributes found;
	size_t n = 1 + (size_t)rand_r(seed) % sizeof(data);

	for (size_t i = 0; i < n; i++)
		data[i] = (uint8_t)rand_r(seed);
	if (fs_lookup(keeper_kit.fixture.fs, directory, name, &found) < 0)
		found.ino = node_fixture_create(keeper_kit.fixture.fs, directory, name);
	ck_assert_int_eq(node_fixture_write(keeper_kit.fixture.fs, found.ino,
				 (uint64_t)rand_r(seed) % 9000, data, n),
		0);
}

static bool forget_name(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	char(*names)[64] = arg;

	(void)ino;
	(void)mode;
	(void)next;
	(void)attributes;
	for (int i = 0; i < 16 && name[0] != '.'; i++) {
		if (names[i][0] != '\0')
			continue;
		snprintf(names[i], sizeof(names[i]), "%s", name);
		break;
	}
	return true;
}

/* The whole account goes; its number never comes again. */
void keeper_kit_remove_account(unsigned int account)
{
	char names[16][64] = {{0}}, name[16];
	uint64_t ino = keeper_kit_account_inode(account);

	ck_assert_int_eq(fs_readdir(keeper_kit.fixture.fs, ino, 0, false, forget_name, names), 0);
	for (int i = 0; i < 16 && names[i][0] != '\0'; i++)
		ck_assert_int_eq(fs_unlink(keeper_kit.fixture.fs, ino, names[i]), 0);
	snprintf(name, sizeof(name), "user%u", account);
	ck_assert_int_eq(fs_rmdir(keeper_kit.fixture.fs, FS_ROOT_INO, name), 0);
}

void keeper_kit_one_change(unsigned int *seed)
{
	uint64_t directory =
		keeper_kit_account_inode((unsigned int)rand_r(seed) % KEEPER_KIT_ACCOUNTS);
	struct fs_attributes found;
	char name[16], other[16];

	snprintf(name, sizeof(name), "f%d", rand_r(seed) % 6);
	snprintf(other, sizeof(other), "f%d", rand_r(seed) % 6);
	switch (rand_r(seed) % 6) {
	case 0:
		(void)fs_unlink(keeper_kit.fixture.fs, directory, name);
		break;
	case 1:
		(void)node_fixture_rename(
			keeper_kit.fixture.fs, directory, name, directory, other, 0);
		break;
	case 2:
		if (fs_lookup(keeper_kit.fixture.fs, directory, name, &found) == 0)
			(void)node_fixture_truncate(
				keeper_kit.fixture.fs, found.ino, (uint64_t)rand_r(seed) % 20000);
		break;
	case 3:
		if (fs_lookup(keeper_kit.fixture.fs, directory, name, &found) == 0)
			(void)fs_setxattr(keeper_kit.fixture.fs, found.ino, "user.x", other,
				strlen(other), 0);
		break;
	default:
		keeper_kit_write_file(directory, name, seed);
	}
}

void keeper_kit_ship(void)
{
	ck_assert_int_eq(journal_flush(keeper_kit.journal, KEEPER_KIT_FLUSH_MS), 0);
}

int keeper_kit_checkpoint(const uint32_t *accounts, size_t n)
{
	struct keeper_job job = {
		.accounts = accounts, .n_accounts = n, .timeout_ms = KEEPER_KIT_FLUSH_MS};

	return keeper_checkpoint(keeper_kit.keeper, &job);
}

/* Many segments, so that the journal is no young one any more. */
void keeper_kit_grow_old(void)
{
	unsigned int seed = 77;

	for (int i = 0; i < KEEPER_YOUNG_SEGMENTS; i++) {
		keeper_kit_write_file(
			keeper_kit_account_inode((unsigned int)i % KEEPER_KIT_ACCOUNTS), "old",
			&seed);
		keeper_kit_ship();
	}
}

/* ---- restoring */

static uint32_t known_accounts(void)
{
	uint32_t accounts = 1;

	for (unsigned int i = 0; i < KEEPER_KIT_ACCOUNTS; i++) {
		struct fs_attributes found;
		char name[16];

		snprintf(name, sizeof(name), "user%u", i);
		if (fs_lookup(keeper_kit.fixture.fs, FS_ROOT_INO, name, &found) < 0)
			continue;
		ck_assert_uint_lt(key_ino_account(found.ino), JOURNAL_KIT_ACCOUNTS);
		accounts |= UINT32_C(1) << key_ino_account(found.ino);
	}
	return accounts;
}

void keeper_kit_compare_with_restored(void)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint32_t accounts = known_accounts();
	struct node_fixture reader;

	journal_kit_open_reader(KEEPER_KIT_STORE, &reader);
	journal_kit_restore(&keeper_kit.restorer, &reader, accounts, true, results);
	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++) {
		if (accounts >> account & 1)
			ck_assert_msg(results[account].error == 0, "account %u: %d %s", account,
				results[account].error, results[account].message);
	}
	ck_assert_int_eq(fs_open(reader.node, &reader.fs), 0);
	journal_kit_compare(&keeper_kit.fixture, &reader);
	node_fixture_done(&reader);
}
