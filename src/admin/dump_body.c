#include <config.h>
#include "admin/dump.h"

#include <errno.h>
#include <stdio.h>
#include "cache/body_object.h"
#include "util/cleanup.h"

static void print_header(struct dump *dump, const struct body_object_header *h, uint64_t size_bytes)
{
	json_t *root = json_object();

	dump_set_text(root, "object", "body");
	dump_set_text(root, "key", dump->key);
	dump_set_number(root, "size_bytes", size_bytes);
	dump_set_number(root, "format_version", h->version);
	if (h->encoding <= BODY_OBJECT_ZSTD)
		dump_set_text(root, "encoding", h->encoding == BODY_OBJECT_RAW ? "raw" : "zstd");
	else
		dump_set_number(root, "encoding", h->encoding);
	dump_set_uuid(root, "id", &h->id);
	dump_set_number(root, "content_bytes", h->raw_size_bytes);
	dump_set_number(root, "stored_bytes", h->stored_size_bytes);
	dump_set_hex_number(root, "content_checksum", h->raw_checksum);
	dump_set_hex_number(root, "stored_checksum", h->stored_checksum);
	(void)json_object_set(root, "problems", dump->problems);
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}

int dump_body(struct dump *dump, const struct uuid *id)
{
	const size_t limit = BODY_OBJECT_HEADER_BYTES + (size_t)BODY_OBJECT_MAX_BYTES + 1;
	CLEANUP_FREE void *content = NULL;
	struct body_object_header header;
	struct backend_result result;
	size_t content_bytes = 0;
	const char *problem = NULL;
	int r = backend_get_wait(dump->backend, dump->key, 0, limit, &result);

	if (r < 0)
		return r;
	r = body_object_inspect(result.data, result.data_size_bytes, id, &header, &problem,
		&content, &content_bytes);
	if (r == -EBADMSG)
		dump_problem(dump, "%s", problem);
	if (!dump->content && r != -ENOMEM)
		print_header(dump, &header, result.object_size_bytes);
	else if (r == 0 && content_bytes > 0)
		(void)fwrite(content, 1, content_bytes, stdout);
	backend_result_done(&result);
	return r == -ENOMEM ? r : 0;
}
