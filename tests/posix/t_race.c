/* Several processes change the same names: each change has one winner. */
#include <config.h>

#include "groups.h"
#include "kit.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCESSES 8
#define ROUNDS 150

static struct kit_shared *shared;

/* All processes of a race reach the same round before any goes on. */
static void meet(unsigned int round)
{
	kit_raise(&shared->stop);
	kit_wait_for(&shared->stop, (int)((round + 1) * PROCESSES));
}

static void expect_winners_per_round(void)
{
	/* count[] has the wins of each process: together one for each round */
	int wins = 0;
	for (unsigned int i = 0; i < PROCESSES; i++)
		wins += shared->count[i];
	EQ(wins, ROUNDS);
}

static void create_excl(unsigned int index)
{
	char name[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		meet(i);
		int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
		if (fd < 0) {
			EQ(errno, EEXIST);
			continue;
		}
		shared->count[index]++;
		OK(close(fd));
	}
}

static void one_o_excl_winner(void)
{
	shared = kit_shared_new();
	kit_race(PROCESSES, create_excl);
	expect_winners_per_round();
	EQ(kit_count_names("."), ROUNDS);
}

static void rename_source(unsigned int index)
{
	char from[32], to[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(from, sizeof(from), "f%u", i);
		snprintf(to, sizeof(to), "t%u.%u", i, index);
		meet(i);
		if (rename(from, to) < 0)
			EQ(errno, ENOENT);
		else
			shared->count[index]++;
	}
}

static void make_sources(void)
{
	char name[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		kit_file(name, "x");
	}
}

static void one_rename_source_winner(void)
{
	shared = kit_shared_new();
	make_sources();
	kit_race(PROCESSES, rename_source);
	expect_winners_per_round();
	EQ(kit_count_names("."), ROUNDS);
}

static void unlink_source(unsigned int index)
{
	char name[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		meet(i);
		if (unlink(name) < 0)
			EQ(errno, ENOENT);
		else
			shared->count[index]++;
	}
}

static void one_unlink_winner(void)
{
	shared = kit_shared_new();
	make_sources();
	kit_race(PROCESSES, unlink_source);
	expect_winners_per_round();
	EQ(kit_count_names("."), 0);
}

static void make_directory(unsigned int index)
{
	char name[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		meet(i);
		if (mkdir(name, 0755) < 0)
			EQ(errno, EEXIST);
		else
			shared->count[index]++;
	}
}

static void one_mkdir_winner(void)
{
	unsigned long before = kit_nlink(".");
	shared = kit_shared_new();
	kit_race(PROCESSES, make_directory);
	expect_winners_per_round();
	if (before != 1)
		EQ(kit_nlink("."), before + ROUNDS);
}

static void link_to_one_name(unsigned int index)
{
	char from[32], to[32];
	snprintf(from, sizeof(from), "own%u", index);
	kit_file(from, "x");
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(to, sizeof(to), "lock%u", i);
		meet(i);
		if (link(from, to) < 0)
			EQ(errno, EEXIST);
		else
			shared->count[index]++;
	}
	EQ(kit_nlink(from), 1 + shared->count[index]);
}

static void one_link_winner(void)
{
	shared = kit_shared_new();
	kit_race(PROCESSES, link_to_one_name);
	expect_winners_per_round();
}

static void rename_noreplace(unsigned int index)
{
	char from[32], to[32];
	for (unsigned int i = 0; i < ROUNDS; i++) {
		snprintf(from, sizeof(from), "s%u.%u", index, i);
		snprintf(to, sizeof(to), "to%u", i);
		kit_file(from, "x");
		meet(i);
		if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0)
			EQ(errno, EEXIST);
		else
			shared->count[index]++;
	}
}

static void one_noreplace_winner(void)
{
	shared = kit_shared_new();
	kit_race(PROCESSES, rename_noreplace);
	expect_winners_per_round();
	EQ(kit_count_names("."), ROUNDS * PROCESSES);
}

static const struct test_case cases[] = {
	CASE(one_o_excl_winner),
	CASE(one_rename_source_winner),
	CASE(one_unlink_winner),
	CASE(one_mkdir_winner),
	CASE(one_link_winner),
	CASE(one_noreplace_winner),
};
DEFINE_GROUP(race);
