/*
 * journal_model.h: a journal replayed into memory, to be compared with a node's store. For tests;
 * usable without Check. What is wrong is said on stderr, and the result is false.
 */
#ifndef MAILFS_TESTS_COMPONENT_JOURNAL_MODEL_H
#define MAILFS_TESTS_COMPONENT_JOURNAL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/backend.h"
#include "cache/node.h"
#include "cache/store.h"
#include "replication/position.h"

struct model_record {
	enum store_table table;
	struct key key; /* with the account */
	uint8_t *value;
	size_t value_bytes;
};

struct journal_model {
	struct model_record *records; /* sorted by table and key */
	size_t n, capacity;
	uint64_t latest[64]; /* of accounts: the sequence of the last segment with changes */
	uint64_t n_segments; /* replayed */
	uint64_t n_parts;
	uint64_t n_whole;        /* sections that began with the removal of all */
	uint64_t last_records;   /* in the last segment */
	uint64_t last_redundant; /* of these: puts of what was there already */
	uint64_t previous_checksum;
};

void journal_model_done(struct journal_model *model);

/* Goes on behind what it has; to the first segment that is missing. Chain and previous positions
 * are checked. */
bool journal_model_replay(struct journal_model *model, struct backend *backend,
	const struct uuid *node, uint64_t incarnation);

/* Whether the store has these records and no others, but for the node section. Nothing may have
 * been uploaded or evicted. */
bool journal_model_equals(const struct journal_model *model, struct node *node);

/* NULL: there is none. */
const struct model_record *journal_model_find(
	const struct journal_model *model, enum store_table table, const struct key *key);

#endif
