/*
 * journal_kit.h: a journal written by hand from the cuts of a node, and its restoration on another,
 * for tests of replication. Aborts the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_JOURNAL_KIT_H
#define MAILFS_TESTS_COMPONENT_JOURNAL_KIT_H

#include "node_fixture.h"
#include "replication/position.h"
#include "replication/restore.h"

#define JOURNAL_KIT_ACCOUNTS 32

struct journal_kit {
	struct node_fixture fixture; /* the node that writes */
	struct uuid volume;
	struct position next;
	uint64_t previous_checksum;
	bool has_latest[JOURNAL_KIT_ACCOUNTS];
	struct position latest[JOURNAL_KIT_ACCOUNTS];
	uint64_t n_checkpoints[JOURNAL_KIT_ACCOUNTS];
	unsigned int section_records; /* so many in each section */
	bool accepts_uncertain;       /* when accounts are restored */
	bool uses_parts;              /* every other section goes to a part */
};

/* A node with a journal, over the in-memory store of that name. */
void journal_kit_init(struct journal_kit *kit, const char *store);
void journal_kit_done(struct journal_kit *kit);

/* What has changed becomes a segment; one without sections when nothing has. With bit n of
 * `checkpoints` account n gets a checkpoint as of the same moment. */
struct position journal_kit_write(struct journal_kit *kit, uint32_t checkpoints);

/* The next segment is a seal; gives its taker. */
struct uuid journal_kit_seal(struct journal_kit *kit);

/* Another node takes over: the journal is sealed, and the reader, on which all accounts were
 * restored, is restarted and writes from now on. The old node is gone. */
void journal_kit_take_over(struct journal_kit *kit, struct node_fixture *reader);

/* An empty node over the same store, on which nothing was made yet: no fs. */
void journal_kit_open_reader(const char *store, struct node_fixture *f);

struct journal_kit_restored {
	int error;
	char message[512];
	struct restore_result result; /* its message is not valid */
};

/* Loads a catalogue and restores the accounts (bit n: account n) together. */
void journal_kit_restore(struct journal_kit *kit, struct node_fixture *reader, uint32_t accounts,
	bool ends_orphans, struct journal_kit_restored ret[JOURNAL_KIT_ACCOUNTS]);

/* All accounts that the kit knows, successfully, and an fs on them. */
void journal_kit_restore_all(struct journal_kit *kit, struct node_fixture *reader);

/* Both have the same names, inode numbers, attributes, extended attributes, targets, holes and
 * content. */
void journal_kit_compare(struct node_fixture *a, struct node_fixture *b);

/* The same below one directory only. */
void journal_kit_compare_below(struct node_fixture *a, struct node_fixture *b, uint64_t ino);

#endif
