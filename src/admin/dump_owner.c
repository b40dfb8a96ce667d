#include <config.h>
#include "admin/dump.h"

#include <stdio.h>
#include "replication/owner.h"

static void print(struct dump *dump, const struct owner *owner, uint16_t version, uint64_t size)
{
	json_t *root = json_object();

	dump_set_text(root, "object", "owner");
	dump_set_text(root, "key", dump->key);
	dump_set_number(root, "size_bytes", size);
	dump_set_number(root, "format_version", version);
	dump_set_uuid(root, "volume", &owner->volume);
	dump_set_number(root, "epoch", owner->epoch);
	dump_set_uuid(root, "node", &owner->node);
	dump_set_number(root, "incarnation", owner->incarnation);
	dump_set_uuid(root, "nonce", &owner->nonce);
	dump_set_time(root, "created", owner->created_ms);
	(void)json_object_set(root, "problems", dump->problems);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

int dump_owner(struct dump *dump, uint64_t epoch)
{
	struct owner owner = {.epoch = 0}, good;
	struct backend_result result;
	const char *problem = NULL;
	uint16_t version = 0;
	int r = backend_get_wait(dump->backend, dump->key, 0, OWNER_BYTES + 1, &result);

	if (r < 0)
		return r;
	(void)owner_peek(result.data, result.data_size_bytes, &owner, &version);
	if (owner_decode(result.data, result.data_size_bytes, epoch, &good, &problem) < 0)
		dump_problem(dump, "%s", problem);
	print(dump, &owner, version, result.object_size_bytes);
	backend_result_done(&result);
	return 0;
}
