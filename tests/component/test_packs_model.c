/*
 * Small and large bodies at random against a model, while they are packed, evicted, fetched and
 * rewritten, and the node is restarted; also with a store of which each tenth call fails.
 *
 * PACKS_SEEDS=N in the environment runs it with so many seeds.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_map.h"
#include "packs_kit.h"

#define FILES 24
#define MAX_BYTES 400000
#define DEFAULT_SEEDS 6
#define STEPS 700

struct model {
	uint64_t ino; /* 0: there is none */
	unsigned int number;
	size_t size;
	uint8_t data[MAX_BYTES];
};
static struct model models[FILES];
static unsigned int seed, next_number;
static bool is_faulty;

static size_t random_below(size_t n)
{
	return n == 0 ? 0 : (size_t)rand_r(&seed) % n;
}

static void make_model(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->number = ++next_number;
	m->ino = packs_kit_make_body(m->number, 0);
}

static void remove_model(struct model *m)
{
	packs_kit_remove_body(m->number, m->ino);
	m->ino = 0;
}

/* What needs old content may fail with faults, but not for ever. */
static bool is_done(int r, int *failures)
{
	ck_assert_msg(r == 0 || (is_faulty && r == -EIO && ++*failures < 200), "it gave %d", r);
	return r == 0;
}

static void write_model(struct model *m)
{
	int failures = 0;
	static const size_t most[] = {300, 5000, 20000, 60000, 250000};
	static uint8_t buffer[MAX_BYTES];
	size_t offset = random_below(3) == 0 ? m->size : random_below(m->size + 20000);
	size_t n = 1 + random_below(most[random_below(5)]);
	bool text = random_below(2) == 0;

	if (offset >= MAX_BYTES)
		offset = 0;
	n = n < MAX_BYTES - offset ? n : MAX_BYTES - offset;
	for (size_t i = 0; i < n; i++)
		buffer[i] = text ? packs_kit_byte_at(seed, i) : (uint8_t)rand_r(&seed);
	while (!is_done(
		node_fixture_write(packs_kit_fixture.fs, m->ino, offset, buffer, n), &failures))
		;
	memcpy(m->data + offset, buffer, n);
	m->size = offset + n > m->size ? offset + n : m->size;
}

static void cut_model(struct model *m)
{
	size_t offset = random_below(m->size + 1), n = 1 + random_below(50000);
	size_t end = offset + n < m->size ? offset + n : m->size;
	int failures = 0;

	if (random_below(2) == 0) {
		while (!is_done(
			node_fixture_truncate(packs_kit_fixture.fs, m->ino, offset), &failures))
			;
		memset(m->data + offset, 0, MAX_BYTES - offset);
		m->size = offset;
		return;
	}
	while (!is_done(node_fixture_fallocate(packs_kit_fixture.fs, m->ino,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, n),
		&failures))
		;
	if (offset < end)
		memset(m->data + offset, 0, end - offset);
}

/* With faults a read may fail, but gives nothing wrong; and in the end it works. */
static void verify_model(const struct model *m, int step)
{
	static uint8_t buffer[MAX_BYTES + 1];
	size_t at = 0;
	int failures = 0;

	while (at < m->size) {
		ssize_t n = node_fixture_read(
			packs_kit_fixture.fs, m->ino, at, buffer, 1 + random_below(131072));

		if (n < 0 && is_faulty && ++failures < 200)
			continue;
		ck_assert_msg(n > 0, "step %d: read gave %zd", step, n);
		for (ssize_t i = memcmp(buffer, m->data + at, (size_t)n) == 0 ? n : 0; i < n; i++)
			ck_assert_msg(buffer[i] == m->data[at + (size_t)i],
				"step %d: byte %zu of u.%u is %02x, not %02x", step, at + (size_t)i,
				m->number, buffer[i], m->data[at + (size_t)i]);
		at += (size_t)n;
	}
}

static void pack_at_random(int step)
{
	struct packer_options options = {.only_dirty = random_below(3) == 0};
	struct packer_figures figures = {0};
	int r = random_below(4) == 0 ? packer_pack_all(packs_kit_fixture.node, &options, &figures)
				     : packs_kit_pack_with(&options, &figures);

	ck_assert_msg(r == 0 || (is_faulty && r == -EIO), "step %d: packing gave %d", step, r);
	packs_kit_check_account("after packing");
}

static void one_step(int step)
{
	struct model *m = &models[random_below(FILES)];
	size_t what = random_below(100);

	if (what < 6 || m->ino == 0) {
		if (m->ino != 0)
			remove_model(m);
		make_model(m);
		write_model(m);
	} else if (what < 45) {
		write_model(m);
	} else if (what < 60) {
		cut_model(m);
	} else if (what < 75) {
		verify_model(m, step);
	} else if (what < 87) {
		pack_at_random(step);
	} else if (what < 95) {
		packs_kit_evict();
		packs_kit_check_account("after eviction");
	} else if (what < 97 && !is_faulty) {
		ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
		packs_kit_check_account("after a flush");
	} else {
		node_fixture_reopen(&packs_kit_fixture);
		packs_kit_set_journal(false, 0);
	}
}

/* Every object on the backend is one that an extent leads to. */
static void check_no_orphans(void)
{
	struct pack_live_figures figures;
	struct extent_list list;
	size_t bodies = 0;

	for (int i = 0; i < FILES; i++) {
		if (models[i].ino == 0)
			continue;
		ck_assert_int_eq(body_map_load_extents(packs_kit_fixture.node, models[i].ino, 0,
					 BODY_MAP_TO_THE_END, &list),
			0);
		for (size_t k = 0; k < list.n; k++) {
			size_t first = 0;

			while (!record_same_content(&list.extents[first], &list.extents[k]))
				first++;
			bodies += first == k && list.extents[k].kind == OBJECT_BODY;
		}
		extent_list_done(&list);
	}
	figures = packs_kit_live();
	packs_kit_wait_for_objects("/body/", bodies);
	packs_kit_wait_for_objects("/pack/", figures.packs);
}

static void run_random(unsigned int first_seed)
{
	seed = first_seed;
	next_number = 0;
	memset(models, 0, sizeof(models));
	packs_kit_set_journal(false, 0);
	for (int step = 0; step < STEPS; step++)
		one_step(step);
	is_faulty = false;
	if (packs_kit_fixture.options.backend != NULL && first_seed >= 1000)
		packs_kit_set_faults("");
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	(void)packs_kit_pack();
	ck_assert_int_eq(node_flush(packs_kit_fixture.node, PACKS_KIT_PATIENCE_MS), 0);
	packs_kit_check_account("at the end");
	check_no_orphans();
	packs_kit_evict();
	for (int i = 0; i < FILES; i++) {
		if (models[i].ino != 0)
			verify_model(&models[i], STEPS);
	}
	node_fixture_done(&packs_kit_fixture);
}

START_TEST(test_random)
{
	packs_kit_begin(random_below(2) == 0 ? 0 : 500000);
	run_random((unsigned int)_i + 1);
}
END_TEST

START_TEST(test_random_with_faults)
{
	char rules[200];

	packs_kit_begin_faulty();
	snprintf(rules, sizeof(rules),
		"put:p=0.1:seed=%d:error=EIO;put:p=0.1:seed=%d:error=EIO:after;"
		"get:p=0.1:seed=%d:error=EIO;remove:p=0.1:seed=%d:error=EIO",
		_i + 1, _i + 2, _i + 3, _i + 4);
	packs_kit_set_faults(rules);
	is_faulty = true;
	run_random((unsigned int)_i + 1000);
}
END_TEST

static int n_seeds(void)
{
	const char *text = getenv("PACKS_SEEDS");

	return text != NULL && atoi(text) > 0 ? atoi(text) : DEFAULT_SEEDS;
}

Suite *test_suite(void)
{
	Suite *suite = suite_create("packs_model");
	TCase *tc = tcase_create("packs_model");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_random, 0, n_seeds());
	tcase_add_loop_test(tc, test_random_with_faults, 0, n_seeds());
	suite_add_tcase(suite, tc);
	return suite;
}
