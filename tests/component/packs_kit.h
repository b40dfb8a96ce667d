/*
 * packs_kit.h: one account with small bodies on a node with a journal, for tests of packs. There is
 * one node at a time. Aborts the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_PACKS_KIT_H
#define MAILFS_TESTS_COMPONENT_PACKS_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/pack_live.h"
#include "cache/packer.h"
#include "node_fixture.h"

#define PACKS_KIT_ACCOUNT 1
#define PACKS_KIT_PATIENCE_MS 20000

extern struct node_fixture packs_kit_fixture;
extern uint64_t packs_kit_directory; /* of the account */

/* An empty account; with 0 the default cache. The second with faults between node and store. */
void packs_kit_begin(uint64_t cache_bytes);
void packs_kit_begin_faulty(void);
void packs_kit_set_faults(const char *rules);

/* A journal that says yes at once, or when it is told to; how often it was asked since. */
void packs_kit_set_journal(bool holds, uint64_t retention_ms);
void packs_kit_journal_answer(int error);
unsigned int packs_kit_journal_asked(void);

int packs_kit_pack_with(const struct packer_options *options, struct packer_figures *ret);
struct packer_figures packs_kit_pack(void);
void packs_kit_evict(void);

/* How many objects of accounts have this text in their keys; waits until there are so many. */
size_t packs_kit_objects_like(const char *middle);
void packs_kit_wait_for_objects(const char *middle, size_t n);

/* The records of packs are exactly what the extents say. */
void packs_kit_check_account(const char *when);
struct pack_live_figures packs_kit_live(void);

/* The body u.<number>, of bytes that the number gives. */
uint8_t packs_kit_byte_at(unsigned int seed, size_t i);
uint64_t packs_kit_make_body(unsigned int number, size_t bytes);
void packs_kit_remove_body(unsigned int number, uint64_t ino);

/* 0, or the error of the read. */
int packs_kit_body_is_right(uint64_t ino, unsigned int number, size_t bytes);

#endif
