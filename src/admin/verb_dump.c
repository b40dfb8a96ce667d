#include <config.h>
#include "admin/verb.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "admin/dump.h"
#include "backends/backend_chain.h"
#include "backends/registry.h"
#include "cache/body_object.h"
#include "cache/pack.h"
#include "replication/owner.h"
#include "util/cleanup.h"
#include "util/text_list.h"

struct dump_arguments {
	struct verb_arguments common; /* a URL, and the key */
	bool content, records;
};

/* What an object is, which its key says, and what has to be known of it. */
enum kind {
	KIND_NONE,
	KIND_VOLUME,
	KIND_OWNER,
	KIND_BODY,
	KIND_PACK,
	KIND_SEGMENT, /* or a part of one */
	KIND_CHECKPOINT,
};

struct object {
	enum kind kind;
	struct uuid id; /* of a body or pack */
	struct position position;
	uint16_t part;
	uint32_t account;
	uint64_t number; /* of a checkpoint; the epoch */
};

static struct object object_of(const char *key)
{
	struct object o = {.kind = KIND_NONE};
	uint64_t account;

	if (strcmp(key, "volume.json") == 0)
		o.kind = KIND_VOLUME;
	else if (owner_parse_key(key, &o.number))
		o.kind = KIND_OWNER;
	else if (body_object_parse_key(key, &account, &o.id))
		o.kind = KIND_BODY;
	else if (pack_parse_key(key, &account, &o.id) && account <= UINT32_MAX)
		o = (struct object){.kind = KIND_PACK, .id = o.id, .account = (uint32_t)account};
	else if (position_parse_segment_key(key, &o.position, &o.part))
		o.kind = KIND_SEGMENT;
	else if (position_parse_checkpoint_part_key(key, &o.account, &o.number, &o.part))
		o.kind = KIND_CHECKPOINT;
	return o;
}

/* ---- the command line */

static enum admin_status check_kind(const struct dump_arguments *arguments)
{
	const struct verb_arguments *common = &arguments->common;
	enum kind kind = object_of(common->words[0]).kind;

	if (kind == KIND_NONE)
		return verb_usage(common->verb,
			"'%s' is no key of an object that can be shown: volume.json, owner/..., "
			"accounts/..., "
			"journal/... as a listing has them",
			common->words[0]);
	if (arguments->content && kind != KIND_BODY)
		return verb_usage(common->verb, "--content is for bodies");
	if (arguments->records && kind != KIND_PACK && kind != KIND_SEGMENT &&
		kind != KIND_CHECKPOINT)
		return verb_usage(
			common->verb, "--records is for packs, segments, parts and checkpoints");
	return ADMIN_OK;
}

/* ---- doing it */

static int show(struct dump *dump)
{
	struct object o = object_of(dump->key);

	switch (o.kind) {
	case KIND_VOLUME:
		return dump_volume(dump);
	case KIND_OWNER:
		return dump_owner(dump, o.number);
	case KIND_BODY:
		return dump_body(dump, &o.id);
	case KIND_PACK:
		return dump_pack(dump, o.account, &o.id);
	case KIND_SEGMENT:
		return dump_segment(dump, &o.position, o.part);
	case KIND_CHECKPOINT:
		return dump_checkpoint(dump, o.account, o.number, o.part);
	case KIND_NONE:
		break;
	}
	return -EINVAL;
}

static enum admin_status show_from(const struct dump_arguments *arguments, struct backend *backend)
{
	struct dump dump = {.backend = backend,
		.key = arguments->common.words[0],
		.content = arguments->content,
		.records = arguments->records,
		.problems = json_array()};
	enum admin_status status = ADMIN_OK;
	int r = show(&dump);

	if (r == -ENOENT)
		status = verb_fail("there is no '%s' at '%s'", dump.key, arguments->common.target);
	else if (r < 0)
		status = verb_fail("cannot read '%s': %s", dump.key, strerror(-r));
	else if (dump.problems == NULL || json_array_size(dump.problems) > 0)
		status = ADMIN_FAILED;
	if (fflush(stdout) != 0 || ferror(stdout))
		status = verb_fail("cannot write: %s", strerror(errno));
	json_decref(dump.problems);
	return status;
}

static enum admin_status open_and_show(const struct dump_arguments *arguments)
{
	const char *const *options = (const char *const *)arguments->common.backend_options;
	enum admin_status status = check_kind(arguments);
	struct backend_chain chain = {.backend = NULL};
	CLEANUP_FREE char *message = NULL;
	struct backend *driver;
	int r;

	if (status != ADMIN_OK)
		return status;
	r = backend_open_url(arguments->common.target, options, &driver, &message);
	if (r == 0)
		r = backend_chain_build(driver, NULL, &chain, &message);
	if (r < 0)
		status = verb_fail("%s", message != NULL ? message : strerror(-r));
	else
		status = show_from(arguments, chain.backend);
	backend_chain_done(&chain);
	return status;
}

static enum admin_status run(const struct admin_verb *verb, int argc, char **argv)
{
	static const char *const wanted[] = {"URL", "KEY", NULL};
	struct dump_arguments arguments = {
		.common = {.verb = verb, .wanted = wanted, .takes_backend_options = true}};
	const struct verb_option options[] = {
		{.name = "content", .flag = &arguments.content},
		{.name = "records", .flag = &arguments.records},
		{.name = NULL},
	};
	enum admin_status status;
	bool done;

	arguments.common.options = options;
	status = verb_parse(&arguments.common, argc, argv, &done);
	if (!done)
		status = open_and_show(&arguments);
	text_list_free(arguments.common.backend_options);
	return status;
}

const struct admin_verb verb_dump = {
	.name = "dump",
	.arguments = "[-o OPTIONS] [--content | --records] URL KEY",
	.summary = "Shows one object of the volume at URL as JSON, and checks it.",
	.help = "  -o OPTIONS  options of the backend: mailfs-backends(7)\n"
		"  --content   of a body: nothing but its content, as it is\n"
		"  --records   of a segment, a part or a checkpoint: each record, too\n"
		"\n"
		"KEY is the object's name as a listing of the store has it, below the volume's\n"
		"prefix: volume.json, owner/EPOCH, accounts/HASH/ACCOUNT/body/ID, "
		"journal/NODE/INCARNATION/\n"
		"SEQUENCE, ... The volume need not be mounted and is not changed. What is wrong "
		"with\n"
		"the object is said, and the status is 1; what could be read is shown all the "
		"same.\n",
	.run = run,
};
