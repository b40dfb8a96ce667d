#include <config.h>
#include "admin/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "cache/pack.h"
#include "util/checksum.h"
#include "util/cleanup.h"

static json_t *entry_json(const struct pack_entry *e)
{
	json_t *to = json_object();

	dump_set_number(to, "inode", e->ino);
	dump_set_number(to, "file_offset_bytes", e->offset_bytes);
	dump_set_text(to, "encoding", e->encoding == PACK_RAW ? "raw" : "zstd");
	dump_set_number(to, "content_bytes", e->raw_bytes);
	dump_set_number(to, "stored_offset_bytes", e->stored_offset_bytes);
	dump_set_number(to, "stored_bytes", e->stored_bytes);
	dump_set_hex_number(to, "content_checksum", e->raw_checksum);
	dump_set_hex_number(to, "stored_checksum", e->stored_checksum);
	return to;
}

/* The content of one body, of which the index says where it is. */
static void check_content(struct dump *dump, const struct backend_result *result,
	const struct pack_entry *e, uint32_t number)
{
	CLEANUP_FREE void *content = NULL;
	const uint8_t *stored = result->data;

	if (e->stored_offset_bytes + e->stored_bytes > result->data_size_bytes)
		dump_problem(dump, "the content of body %" PRIu32 " is not all there", number);
	else if (checksum_64(stored + e->stored_offset_bytes, e->stored_bytes) !=
		 e->stored_checksum)
		dump_problem(dump, "the checksum of body %" PRIu32 " does not fit", number);
	else if (pack_decode_content(stored + e->stored_offset_bytes, e->stored_bytes, e->encoding,
			 e->raw_bytes, e->raw_checksum, &content) == -EBADMSG)
		dump_problem(dump, "body %" PRIu32 " cannot be decoded", number);
}

static void print(struct dump *dump, const struct pack_index *index, uint64_t object_bytes)
{
	json_t *root = json_object(), *bodies;

	dump_set_text(root, "object", "pack");
	dump_set_text(root, "key", dump->key);
	dump_set_number(root, "size_bytes", object_bytes);
	dump_set_number(root, "format_version", index->version);
	dump_set_uuid(root, "id", &index->id);
	dump_set_number(root, "account", index->account);
	dump_set_number(root, "n_bodies", index->n_entries);
	if (dump->records && index->entries != NULL) {
		bodies = json_array();
		for (uint32_t i = 0; i < index->n_entries; i++)
			(void)json_array_append_new(bodies, entry_json(&index->entries[i]));
		(void)json_object_set_new(root, "bodies", bodies);
	}
	(void)json_object_set(root, "problems", dump->problems);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

int dump_pack(struct dump *dump, uint32_t account, const struct uuid *id)
{
	struct pack_index index;
	struct backend_result result;
	const char *problem = NULL;
	size_t needed;
	int r = backend_get_wait(dump->backend, dump->key, 0, PACK_MAX_BYTES + 1, &result);

	if (r < 0)
		return r;
	r = pack_decode_index(
		result.data, result.data_size_bytes, account, id, &index, &needed, &problem);
	if (r == -EAGAIN)
		dump_problem(dump, "the object is shorter than its header and index");
	else if (r == -EBADMSG)
		dump_problem(dump, "%s", problem);
	else if (r == 0 && index.object_bytes != result.object_size_bytes)
		dump_problem(dump, "the object does not have the size that its header says");
	for (uint32_t i = 0; r == 0 && i < index.n_entries; i++)
		check_content(dump, &result, &index.entries[i], i);
	if (r != -ENOMEM)
		print(dump, &index, result.object_size_bytes);
	pack_index_done(&index);
	backend_result_done(&result);
	return r == -ENOMEM ? r : 0;
}
