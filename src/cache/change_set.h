/*
 * change_set.h: which records have changed since the last cut (doc/decisions/0006-journal.md).
 *
 * Keys only: values are read when a cut is made, so that several changes of one record are one.
 * Nothing of the node section is in it, nor are local copies of what the backend has.
 *
 * A writer notes its keys, has the store accept its batch and numbers it (commit_note_change())
 * between change_set_enter() and change_set_leave(); a cut happens while nobody is in between. So a
 * cut has all of an operation or nothing.
 *
 * The set has a ceiling. When it is reached, the account that takes most of it is marked: from then
 * on nothing is noted of it, and the next cut has the whole account.
 *
 * Thread-safe. change_set_enter() waits for a cut that is being taken, which is short.
 */
#ifndef MAILFS_CACHE_CHANGE_SET_H
#define MAILFS_CACHE_CHANGE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/store.h"

struct change_set;

/* One record, or with to_bytes > 0 all records from the key up to but without the other. */
struct change {
	uint8_t table; /* enum store_table */
	uint16_t key_bytes, to_bytes;
	const uint8_t *key, *to; /* `to` lies behind `key` */
};

/* What an operation changes, until it is committed. Zero bytes are an empty list. */
struct change_list {
	uint8_t *entries;
	size_t used_bytes, capacity_bytes;
	bool is_incomplete; /* no memory: the operation has to fail */
};

/* Keys of the node section are ignored. */
void change_list_add(struct change_list *list, enum store_table table, const struct key *key);
void change_list_add_range(struct change_list *list, enum store_table table, const struct key *from,
	const struct key *to);
void change_list_done(struct change_list *list);

/* NULL without memory. */
struct change_set *change_set_new(uint64_t limit_bytes);
void change_set_free(struct change_set *set);

void change_set_enter(struct change_set *set);

/* Cannot fail: without memory for a key its account is marked whole. */
void change_set_note(struct change_set *set, struct change_list *list);
void change_set_leave(struct change_set *set);

/* Waits until nobody is in between who was when it was called: what the store had accepted by then
 * is numbered. Short, as a cut. */
void change_set_pass(struct change_set *set);

/* The account is to be taken whole. */
void change_set_note_account(struct change_set *set, uint32_t account);

/* `noted` is called when something is noted in an empty set, and at once if it is not empty. Not
 * called any more once another, or NULL, was set. Called under a lock of the set: it must not call
 * the set, nor take a lock under which the set is called. */
void change_set_watch(struct change_set *set, void (*noted)(void *arg), void *arg);

bool change_set_is_empty(struct change_set *set);

/* What it takes in memory; what of it is the account's, 0: nothing is noted of it. */
uint64_t change_set_bytes(struct change_set *set);
uint64_t change_set_account_bytes(struct change_set *set, uint32_t account);

/* ---- cuts */

struct account_changes {
	uint32_t account;
	bool is_whole; /* then there are no changes */
	size_t n_changes;
	const struct change *changes; /* sorted: ranges first, then by table and key */
};

struct change_cut {
	size_t n_accounts;
	struct account_changes *accounts; /* sorted */
	struct change *all;               /* what the accounts' changes point into */
};

/* Takes everything away. `at_cut` is called while no writer is between enter and leave. -ENOMEM:
 * nothing is taken. */
int change_set_cut(
	struct change_set *set, void (*at_cut)(void *arg), void *arg, struct change_cut **ret);

/* The cut did not become a segment: all of it is noted again. Frees it. What is then above the
 * ceiling is marked. */
void change_set_give_back(struct change_set *set, struct change_cut *cut);
void change_cut_free(struct change_cut *cut);

#endif
