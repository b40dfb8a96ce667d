/*
 * dump_sections.c: segments, their parts, and checkpoints. They are read as a node would: the head
 * first, then section by section, so that large ones need little memory; and printed as they are
 * read.
 */
#include <config.h>
#include "admin/dump.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "admin/dump_record.h"
#include "replication/checkpoint.h"
#include "replication/segment.h"

/* What these kinds of objects are to this file. */
struct head {
	uint16_t part; /* number of the object among those of its segment */
	json_t *fields;
	struct directory directory;
	struct frame_facts facts;
};

/* Which object it should be. */
struct wanted {
	int (*decode)(const struct wanted *wanted, const struct backend_result *beginning,
		struct head *ret, size_t *ret_needed_bytes, const char **ret_problem);
	struct position position;
	uint16_t part;
	uint32_t account;
	uint64_t number;
};

static void set_position(json_t *to, const struct position *position)
{
	dump_set_uuid(to, "node", &position->node);
	dump_set_hex_number(to, "incarnation", position->incarnation);
	dump_set_hex_number(to, "sequence", position->sequence);
}

static void set_type(json_t *to, uint8_t type)
{
	if (type == SEGMENT_CHANGES)
		dump_set_text(to, "type", "changes");
	else if (type == SEGMENT_SEAL)
		dump_set_text(to, "type", "seal");
	else
		dump_set_number(to, "type", type);
}

/* ---- heads: the fields are set from what stands there, then everything is checked */

static int decode_segment(const struct wanted *wanted, const struct backend_result *beginning,
	struct head *ret, size_t *ret_needed_bytes, const char **ret_problem)
{
	struct segment segment;
	uint16_t version;
	int r;

	segment_peek(beginning->data, beginning->data_size_bytes, &segment, &version);
	dump_set_text(ret->fields, "object", "segment");
	dump_set_number(ret->fields, "format_version", version);
	set_type(ret->fields, segment.type);
	set_position(ret->fields, &segment.position);
	dump_set_time(ret->fields, "created", segment.created_ms);
	dump_set_hex_number(ret->fields, "previous_checksum", segment.previous_checksum);
	if (segment.type == SEGMENT_SEAL)
		dump_set_uuid(ret->fields, "taker", &segment.taker);
	dump_set_number(ret->fields, "parts", segment.n_parts);
	r = segment_decode(beginning->data, beginning->data_size_bytes, &wanted->position, &segment,
		ret_needed_bytes, ret_problem);
	if (r == 0) {
		ret->directory = segment.directory;
		ret->facts = segment.facts;
	}
	return r;
}

static int decode_part(const struct wanted *wanted, const struct backend_result *beginning,
	struct head *ret, size_t *ret_needed_bytes, const char **ret_problem)
{
	struct segment_part part;
	uint16_t version;
	int r;

	segment_peek_part(beginning->data, beginning->data_size_bytes, &part, &version);
	dump_set_text(ret->fields, "object", "part");
	dump_set_number(ret->fields, "format_version", version);
	set_position(ret->fields, &part.position);
	dump_set_number(ret->fields, "part", part.part);
	r = segment_decode_part(beginning->data, beginning->data_size_bytes, &wanted->position,
		wanted->part, &part, ret_needed_bytes, ret_problem);
	if (r == 0) {
		ret->directory = part.directory;
		ret->facts = part.facts;
	}
	return r;
}

static int decode_checkpoint(const struct wanted *wanted, const struct backend_result *beginning,
	struct head *ret, size_t *ret_needed_bytes, const char **ret_problem)
{
	struct checkpoint checkpoint;
	json_t *position = json_object();
	uint16_t version;
	int r;

	checkpoint_peek(beginning->data, beginning->data_size_bytes, &checkpoint, &version);
	dump_set_text(ret->fields, "object", "checkpoint");
	dump_set_number(ret->fields, "format_version", version);
	dump_set_uuid(ret->fields, "volume", &checkpoint.volume);
	dump_set_number(ret->fields, "account", checkpoint.account);
	dump_set_hex_number(ret->fields, "number", checkpoint.number);
	dump_set_time(ret->fields, "created", checkpoint.created_ms);
	set_position(position, &checkpoint.position);
	(void)json_object_set_new(ret->fields, "position", position);
	dump_set_number(ret->fields, "parts", checkpoint.n_parts);
	r = checkpoint_decode(beginning->data, beginning->data_size_bytes, wanted->account,
		wanted->number, &checkpoint, ret_needed_bytes, ret_problem);
	if (r == 0) {
		ret->directory = checkpoint.directory;
		ret->facts = checkpoint.facts;
	}
	return r;
}

static int decode_checkpoint_part(const struct wanted *wanted,
	const struct backend_result *beginning, struct head *ret, size_t *ret_needed_bytes,
	const char **ret_problem)
{
	struct checkpoint_part part;
	uint16_t version;
	int r;

	checkpoint_peek_part(beginning->data, beginning->data_size_bytes, &part, &version);
	dump_set_text(ret->fields, "object", "checkpoint part");
	dump_set_number(ret->fields, "format_version", version);
	dump_set_uuid(ret->fields, "volume", &part.volume);
	dump_set_number(ret->fields, "account", part.account);
	dump_set_hex_number(ret->fields, "number", part.number);
	dump_set_number(ret->fields, "part", part.part);
	r = checkpoint_decode_part(beginning->data, beginning->data_size_bytes, wanted->account,
		wanted->number, wanted->part, &part, ret_needed_bytes, ret_problem);
	if (r == 0) {
		ret->directory = part.directory;
		ret->facts = part.facts;
	}
	return r;
}

/* A part of the object; beyond its end there is nothing, which is no error here. */
static int get(struct dump *dump, uint64_t offset, size_t size_bytes, struct backend_result *ret)
{
	int r = backend_get_wait(dump->backend, dump->key, offset, size_bytes, ret);

	if (r != -ERANGE)
		return r;
	*ret = (struct backend_result){.error = 0};
	return 0;
}

/* One try with this much of the object. */
static int try_head(struct dump *dump, const struct wanted *wanted, size_t size_bytes,
	struct head *ret, size_t *ret_needed_bytes)
{
	struct backend_result beginning;
	const char *problem = NULL;
	int r = get(dump, 0, size_bytes, &beginning);

	if (r < 0)
		return r;
	*ret = (struct head){.part = wanted->part, .fields = json_object()};
	r = wanted->decode(wanted, &beginning, ret, ret_needed_bytes, &problem);
	dump_set_text(ret->fields, "key", dump->key);
	dump_set_number(ret->fields, "size_bytes", beginning.object_size_bytes);
	if (r == -EAGAIN && *ret_needed_bytes <= beginning.object_size_bytes)
		json_decref(ret->fields);
	else if (r == -EAGAIN || r == -EBADMSG)
		dump_problem(dump, "%s", problem);
	else if (r == 0 && ret->facts.object_bytes != beginning.object_size_bytes)
		dump_problem(dump, "it has %" PRIu64 " bytes and should have %" PRIu64,
			beginning.object_size_bytes, ret->facts.object_bytes);
	if (r == -EAGAIN && *ret_needed_bytes > beginning.object_size_bytes)
		r = -EBADMSG;
	backend_result_done(&beginning);
	return r;
}

/* 0: *ret has all; -EBADMSG: the fields only; else nothing. */
static int get_head(struct dump *dump, const struct wanted *wanted, struct head *ret)
{
	size_t needed = 0;
	int r = try_head(dump, wanted, FRAME_FIRST_READ_BYTES, ret, &needed);

	if (r == -EAGAIN)
		r = try_head(dump, wanted, needed, ret, &needed);
	if (r == 0) {
		dump_set_number(ret->fields, "head_bytes", ret->facts.head_bytes);
		dump_set_hex_number(ret->fields, "head_checksum", ret->facts.head_checksum);
	}
	return r == -EAGAIN ? -EIO : r; /* it changed between the two */
}

/* ---- sections */

static json_t *section_json(const struct directory_entry *entry)
{
	const struct section_info *info = &entry->section;
	json_t *to = json_object(), *previous;

	dump_set_number(to, "account", entry->account);
	dump_set_number(to, "part", entry->part);
	if (entry->has_previous) {
		previous = json_object();
		set_position(previous, &entry->previous);
		(void)json_object_set_new(to, "previous", previous);
	}
	dump_set_number(to, "offset_bytes", entry->offset_bytes);
	dump_set_text(to, "encoding", info->encoding == SECTION_RAW ? "raw" : "zstd");
	dump_set_number(to, "content_bytes", info->content_bytes);
	dump_set_number(to, "stored_bytes", info->stored_bytes);
	dump_set_number(to, "n_records", info->n_records);
	dump_set_hex_number(to, "content_checksum", info->content_checksum);
	dump_set_hex_number(to, "stored_checksum", info->stored_checksum);
	return to;
}

static void print_records(struct section_reader *reader)
{
	struct section_record record;
	const char *separator = "\n";

	fputs(", \"records\": [", stdout);
	for (; section_reader_next(reader, &record); separator = ",\n") {
		json_t *json = dump_record_json(&record);

		printf("%s      ", separator);
		(void)json_dumpf(json, stdout, 0);
		json_decref(json);
	}
	fputs("]", stdout);
}

/* Gets, checks and perhaps prints the content. */
static int print_content(struct dump *dump, const struct directory_entry *entry, uint32_t index)
{
	struct backend_result stored;
	struct section_reader reader;
	const char *problem = NULL;
	int r = get(dump, entry->offset_bytes, entry->section.stored_bytes, &stored);

	if (r < 0)
		return r;
	r = section_reader_open(
		&reader, &entry->section, stored.data, stored.data_size_bytes, &problem);
	if (r == -EBADMSG) {
		dump_problem(dump, "section %" PRIu32 ", of account %" PRIu32 ": %s", index,
			entry->account, problem);
		fputs(", \"good\": false", stdout);
		r = 0;
	} else if (r == 0) {
		fputs(", \"good\": true", stdout);
		if (dump->records)
			print_records(&reader);
		section_reader_close(&reader);
	}
	backend_result_done(&stored);
	return r;
}

static int print_sections(struct dump *dump, const struct head *head)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < head->directory.n_entries; i++) {
		const struct directory_entry *entry = &head->directory.entries[i];
		json_t *json = section_json(entry);

		fputs(i == 0 ? "\n    {" : ",\n    {", stdout);
		(void)json_dumpf(json, stdout, JSON_EMBED);
		json_decref(json);
		if (entry->part == head->part)
			r = print_content(dump, entry, i);
		putchar('}');
	}
	return r;
}

static void print_problems(const struct dump *dump)
{
	fputs(",\n  \"problems\": ", stdout);
	(void)json_dumpf(dump->problems, stdout, 0);
	fputs("\n}\n", stdout);
}

static int dump_sections(struct dump *dump, const struct wanted *wanted)
{
	struct head head = {.fields = NULL};
	int r = get_head(dump, wanted, &head);

	if (r < 0 && r != -EBADMSG) {
		json_decref(head.fields);
		return r;
	}
	fputs("{", stdout);
	(void)json_dumpf(head.fields, stdout, JSON_EMBED | JSON_INDENT(2));
	json_decref(head.fields);
	if (r == 0) {
		fputs(",\n  \"sections\": [", stdout);
		r = print_sections(dump, &head);
		putchar(']');
		if (r < 0)
			dump_problem(dump, "%s", strerror(-r));
	}
	print_problems(dump);
	directory_done(&head.directory);
	return 0;
}

int dump_segment(struct dump *dump, const struct position *position, uint16_t part)
{
	struct wanted wanted = {.decode = part == 0 ? decode_segment : decode_part,
		.position = *position,
		.part = part};

	return dump_sections(dump, &wanted);
}

int dump_checkpoint(struct dump *dump, uint32_t account, uint64_t number, uint16_t part)
{
	struct wanted wanted = {.decode = part == 0 ? decode_checkpoint : decode_checkpoint_part,
		.account = account,
		.number = number,
		.part = part};

	return dump_sections(dump, &wanted);
}
