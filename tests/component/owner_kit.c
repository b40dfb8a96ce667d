#include <config.h>
#include "owner_kit.h"

#include <check.h>
#include <stdlib.h>
#include "backends/memory_backend.h"

struct backend *owner_kit_backend;
const struct uuid owner_kit_volume = {
	{0x0f, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}};
char *owner_kit_message;

void owner_kit_set_up(void)
{
	ck_assert_int_eq(memory_backend_new(&owner_kit_backend), 0);
}

void owner_kit_tear_down(void)
{
	backend_free(owner_kit_backend);
	free(owner_kit_message);
	owner_kit_message = NULL;
}

struct uuid owner_kit_node(uint8_t name)
{
	return (struct uuid){{name, 1, 2, 3}};
}

struct owner owner_kit_claim(uint8_t node, uint64_t incarnation, uint64_t epoch)
{
	struct owner owner = {.volume = owner_kit_volume,
		.epoch = epoch,
		.node = owner_kit_node(node),
		.incarnation = incarnation};

	ck_assert_int_eq(owner_claim(owner_kit_backend, &owner, false, &owner_kit_message), 0);
	return owner;
}
