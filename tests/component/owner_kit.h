/*
 * owner_kit.h: a store in memory, and those who claim the volume in it. For tests of owners; aborts
 * the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_OWNER_KIT_H
#define MAILFS_TESTS_COMPONENT_OWNER_KIT_H

#include "backends/backend.h"
#include "replication/owner.h"

extern struct backend *owner_kit_backend; /* may be replaced */
extern const struct uuid owner_kit_volume;
extern char *owner_kit_message;

/* As a checked fixture. */
void owner_kit_set_up(void);
void owner_kit_tear_down(void);

struct uuid owner_kit_node(uint8_t name);
struct owner owner_kit_claim(uint8_t node, uint64_t incarnation, uint64_t epoch);

#endif
