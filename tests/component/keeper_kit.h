/*
 * keeper_kit.h: a node with a journal and its keeper over the in-memory store, with faults; and the
 * comparison with what an empty node gets from that store. Aborts the test (ck_assert) on any
 * failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_KEEPER_KIT_H
#define MAILFS_TESTS_COMPONENT_KEEPER_KIT_H

#include "journal_kit.h"
#include "replication/keeper.h"

#define KEEPER_KIT_STORE "keeper"
#define KEEPER_KIT_ACCOUNTS 6
#define KEEPER_KIT_FLUSH_MS 60000
#define KEEPER_KIT_PATIENCE_MS 60000

struct keeper_kit {
	struct node_fixture fixture;
	struct journal *journal;
	struct keeper *keeper;
	struct journal_options options;
	struct keeper_options keeping;
	struct journal_kit restorer; /* its own node is not open */
};

extern struct keeper_kit keeper_kit;

void keeper_kit_set_up(void);
void keeper_kit_tear_down(void);

/* On the node, with the options that there are. */
void keeper_kit_start_journal(void);
void keeper_kit_stop_journal(void);
void keeper_kit_restart(void);

void keeper_kit_set_rules(const char *text);
struct keeper_figures keeper_kit_figures(void);

/* ---- what is on the backend */

size_t keeper_kit_count_keys(const char *prefix, const char *infix);
size_t keeper_kit_count_segments(void);
size_t keeper_kit_count_checkpoints(void);
void keeper_kit_wait_for_segments(size_t n);

/* ---- work */

/* Made if it is not there. */
uint64_t keeper_kit_account_inode(unsigned int account);
void keeper_kit_write_file(uint64_t directory, const char *name, unsigned int *seed);
void keeper_kit_remove_account(unsigned int account);
void keeper_kit_one_change(unsigned int *seed);

void keeper_kit_ship(void);
int keeper_kit_checkpoint(const uint32_t *accounts, size_t n);

/* Many segments, so that the journal is no young one any more. */
void keeper_kit_grow_old(void);

void keeper_kit_compare_with_restored(void);

#endif
