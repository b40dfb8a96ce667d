#include <config.h>
#include "journal_kit.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/memory_backend.h"
#include "cache/cut.h"
#include "cache/node_private.h"
#include "replication/checkpoint_writer.h"
#include "replication/segment.h"
#include "util/clock.h"

/* ---- the writer */

static void use_store(struct node_fixture *f, const char *store)
{
	backend_free(f->backend);
	ck_assert_int_eq(memory_backend_open(store, &f->backend), 0);
	f->options.backend = f->backend;
	f->options.journal = true;
	f->options.commit_interval_ms = 600000; /* bodies go when they are told to */
}

static void open_writer(struct journal_kit *kit)
{
	char *message;

	ck_assert_int_eq(node_open(&kit->fixture.options, &kit->fixture.node, &message), 0);
	ck_assert_int_eq(fs_open(kit->fixture.node, &kit->fixture.fs), 0);
}

void journal_kit_init(struct journal_kit *kit, const char *store)
{
	*kit = (struct journal_kit){.section_records = 7};
	ck_assert_int_eq(uuid_generate(&kit->volume), 0);
	ck_assert_int_eq(uuid_generate(&kit->next.node), 0);
	kit->next.incarnation = 1;
	kit->next.sequence = 1;
	node_fixture_init(&kit->fixture);
	use_store(&kit->fixture, store);
	open_writer(kit);
}

void journal_kit_done(struct journal_kit *kit)
{
	node_fixture_done(&kit->fixture);
}

struct section_list {
	struct section_builder *builder;
	struct section sections[4096];
	unsigned int n, n_records, max_records;
};

static void end_section(struct section_list *list)
{
	if (section_builder_content_bytes(list->builder) == 0)
		return;
	ck_assert_uint_lt(list->n, 4096);
	ck_assert_int_eq(section_builder_finish(list->builder, &list->sections[list->n++]), 0);
	list->n_records = 0;
}

static int take(void *arg, const struct cut_record *record)
{
	struct section_list *list = arg;
	enum section_table table = record->table == STORE_META ? SECTION_META : SECTION_DATA;
	const uint8_t *key = record->key + 4;
	size_t key_bytes = record->key_bytes - 4;

	if (record->to != NULL)
		ck_assert_int_eq(section_builder_remove_range(list->builder, table, key, key_bytes,
					 record->to + 4, record->to_bytes - 4),
			0);
	else if (record->value == NULL)
		ck_assert_int_eq(section_builder_remove(list->builder, table, key, key_bytes), 0);
	else
		ck_assert_int_eq(section_builder_put(list->builder, table, key, key_bytes,
					 record->value, record->value_bytes),
			0);
	if (++list->n_records == list->max_records)
		end_section(list);
	return 0;
}

static void put_frame(struct journal_kit *kit, struct position *position, uint16_t part,
	const struct frame *frame)
{
	struct backend_condition condition = {.type = BACKEND_IF_ABSENT};
	struct backend_result result;
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(position, part, key);
	ck_assert_int_eq(backend_put_wait(kit->fixture.backend, key, frame->parts, frame->n_parts,
				 &condition, &result),
		0);
	backend_result_done(&result);
}

static void add_account(struct journal_kit *kit, const struct cut *cut, size_t i,
	struct segment *segment, struct section_list *list)
{
	uint32_t account = cut_account(cut, i);
	unsigned int first = list->n;

	ck_assert_uint_lt(account, JOURNAL_KIT_ACCOUNTS);
	if (cut_is_whole(cut, i)) {
		for (int table = 0; table < 2; table++)
			ck_assert_int_eq(section_builder_remove_range(list->builder,
						 (enum section_table)table, "", 1, "\xff", 1),
				0);
	}
	ck_assert_int_eq(cut_each(cut, i, take, list), 0);
	end_section(list);
	for (unsigned int s = first; s < list->n; s++)
		ck_assert_int_eq(directory_add(&segment->directory, account,
					 kit->uses_parts ? (uint16_t)(s % 2) : 0,
					 kit->has_latest[account] ? &kit->latest[account] : NULL,
					 &list->sections[s]),
			0);
	if (list->n > first) {
		kit->has_latest[account] = true;
		kit->latest[account] = segment->position;
	}
}

static void put_segment(struct journal_kit *kit, struct segment *segment)
{
	struct frame frame;

	if (directory_last_part(&segment->directory) > 0) {
		ck_assert_int_eq(segment_encode_part(segment, 1, &frame), 0);
		put_frame(kit, &segment->position, 1, &frame);
		frame_done(&frame);
	}
	ck_assert_int_eq(segment_encode(segment, &frame), 0);
	put_frame(kit, &segment->position, 0, &frame);
	kit->previous_checksum = frame.head_checksum;
	frame_done(&frame);
}

static void write_checkpoint(
	struct journal_kit *kit, const struct cut *cut, int64_t cut_ms, uint32_t account)
{
	struct checkpoint_writer_options options = {.backend = kit->fixture.backend,
		.volume = kit->volume,
		.part_bytes = kit->uses_parts ? 512 : 0};
	struct checkpoint_writer_request request = {
		.cut = cut,
		.cut_ms = cut_ms,
		.account = account,
		.number = ++kit->n_checkpoints[account],
		.position = kit->latest[account],
		.arg = kit,
	};
	struct checkpoint_writer_result result;

	ck_assert_int_eq(checkpoint_writer_write(&options, &request, &result), 0);
}

struct position journal_kit_write(struct journal_kit *kit, uint32_t checkpoints)
{
	struct section_list *list = calloc(1, sizeof(*list));
	struct segment segment = {
		.type = SEGMENT_CHANGES,
		.position = kit->next,
		.created_ms = clock_realtime_ms(),
		.previous_checksum = kit->previous_checksum,
	};
	struct cut *cut;

	list->builder = section_builder_new();
	list->max_records = kit->section_records;
	ck_assert_int_eq(cut_take(kit->fixture.node, &cut), 0);
	for (size_t i = 0; i < cut_n_accounts(cut); i++)
		add_account(kit, cut, i, &segment, list);
	put_segment(kit, &segment);
	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++) {
		if (checkpoints >> account & 1)
			write_checkpoint(kit, cut, segment.created_ms, account);
	}
	cut_done(cut);
	segment_done(&segment);
	for (unsigned int i = 0; i < list->n; i++)
		section_done(&list->sections[i]);
	section_builder_free(list->builder);
	free(list);
	kit->next.sequence++;
	return segment.position;
}

struct uuid journal_kit_seal(struct journal_kit *kit)
{
	struct segment seal = {
		.type = SEGMENT_SEAL,
		.position = kit->next,
		.created_ms = clock_realtime_ms(),
		.previous_checksum = kit->previous_checksum,
	};

	ck_assert_int_eq(uuid_generate(&seal.taker), 0);
	put_segment(kit, &seal);
	segment_done(&seal);
	return seal.taker;
}

void journal_kit_take_over(struct journal_kit *kit, struct node_fixture *reader)
{
	struct uuid taker = journal_kit_seal(kit);

	journal_kit_done(kit);
	kit->fixture = *reader;
	kit->next.node = taker;
	kit->next.sequence = 1;
	kit->previous_checksum = 0;
	/* What it has changed since: it has removed files without names. The kit does not read the
	 * store's log, where the journal would find that. */
	(void)journal_kit_write(kit, 0);
	node_fixture_close(&kit->fixture);
	open_writer(kit);
}

/* ---- the reader */

void journal_kit_open_reader(const char *store, struct node_fixture *f)
{
	char *message;

	node_fixture_init(f);
	use_store(f, store);
	ck_assert_int_eq(node_open(&f->options, &f->node, &message), 0);
}

struct wait {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	int pending;
	struct journal_kit_restored *ret;
};

static void note_restored(void *arg, const struct restore_result *result)
{
	struct wait *w = arg;
	struct journal_kit_restored *ret = &w->ret[result->account];

	pthread_mutex_lock(&w->mutex);
	ret->error = result->error;
	ret->result = *result;
	snprintf(ret->message, sizeof(ret->message), "%s",
		result->message != NULL ? result->message : "");
	w->pending--;
	pthread_cond_signal(&w->condition);
	pthread_mutex_unlock(&w->mutex);
}

void journal_kit_restore(struct journal_kit *kit, struct node_fixture *reader, uint32_t accounts,
	bool ends_orphans, struct journal_kit_restored ret[JOURNAL_KIT_ACCOUNTS])
{
	struct wait w = {.mutex = PTHREAD_MUTEX_INITIALIZER,
		.condition = PTHREAD_COND_INITIALIZER,
		.ret = ret};
	struct catalogue_options options = {
		.backend = reader->backend, .priority = BACKEND_READER, .volume = kit->volume};
	struct restore_options how = {.node = reader->node,
		.backend = reader->backend,
		.accepts_uncertain = kit->accepts_uncertain,
		.ends_orphans = ends_orphans};
	struct catalogue *catalogue;
	struct restore *restore;
	char *message;

	ck_assert_int_eq(catalogue_load(&options, &catalogue, &message), 0);
	how.catalogue = catalogue;
	ck_assert_int_eq(restore_new(&how, &restore), 0);
	pthread_mutex_lock(&w.mutex);
	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++) {
		if (!(accounts >> account & 1))
			continue;
		w.pending++;
		ck_assert_int_eq(
			restore_account(restore, account,
				account % 2 ? BACKEND_READER : BACKEND_PREFETCH, note_restored, &w),
			0);
	}
	while (w.pending > 0)
		pthread_cond_wait(&w.condition, &w.mutex);
	pthread_mutex_unlock(&w.mutex);
	restore_stop(restore);
	restore_free(restore);
	catalogue_free(catalogue);
}

void journal_kit_restore_all(struct journal_kit *kit, struct node_fixture *reader)
{
	struct journal_kit_restored results[JOURNAL_KIT_ACCOUNTS];
	uint32_t accounts = 0;

	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++)
		accounts |= (uint32_t)kit->has_latest[account] << account;
	journal_kit_restore(kit, reader, accounts, true, results);
	for (uint32_t account = 0; account < JOURNAL_KIT_ACCOUNTS; account++) {
		if (kit->has_latest[account])
			ck_assert_msg(results[account].error == 0, "account %u: %d %s", account,
				results[account].error, results[account].message);
	}
	ck_assert_int_eq(fs_open(reader->node, &reader->fs), 0);
}

/* ---- comparing */

#define MAX_ENTRIES 2000

struct listing {
	size_t n;
	struct {
		char name[256];
		uint64_t ino, next;
		uint32_t mode;
	} entries[MAX_ENTRIES];
};

static bool add_entry(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	struct listing *listing = arg;

	(void)attributes;
	ck_assert_uint_lt(listing->n, MAX_ENTRIES);
	snprintf(listing->entries[listing->n].name, 256, "%s", name);
	listing->entries[listing->n].ino = ino;
	listing->entries[listing->n].mode = mode;
	listing->entries[listing->n++].next = next;
	return true;
}

static void compare_times(const struct timespec *a, const struct timespec *b)
{
	ck_assert_int_eq(a->tv_sec, b->tv_sec);
	ck_assert_int_eq(a->tv_nsec, b->tv_nsec);
}

static struct fs_attributes compare_attributes(
	struct node_fixture *a, struct node_fixture *b, uint64_t ino)
{
	struct fs_attributes x, y;

	ck_assert_int_eq(fs_getattr(a->fs, ino, &x), 0);
	ck_assert_int_eq(fs_getattr(b->fs, ino, &y), 0);
	ck_assert_uint_eq(x.ino, y.ino);
	ck_assert_uint_eq(x.mode, y.mode);
	ck_assert_uint_eq(x.nlink, y.nlink);
	ck_assert_uint_eq(x.uid, y.uid);
	ck_assert_uint_eq(x.gid, y.gid);
	ck_assert_uint_eq(x.rdev, y.rdev);
	ck_assert_uint_eq(x.size_bytes, y.size_bytes);
	ck_assert_uint_eq(x.allocated_bytes, y.allocated_bytes);
	compare_times(&x.atime, &y.atime);
	compare_times(&x.mtime, &y.mtime);
	compare_times(&x.ctime, &y.ctime);
	return x;
}

static void compare_xattrs(struct node_fixture *a, struct node_fixture *b, uint64_t ino)
{
	char names[2][4096], values[2][4096];
	ssize_t n = fs_listxattr(a->fs, ino, names[0], sizeof(names[0]));

	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(fs_listxattr(b->fs, ino, names[1], sizeof(names[1])), n);
	ck_assert_int_eq(memcmp(names[0], names[1], (size_t)n), 0);
	for (char *name = names[0]; name < names[0] + n; name += strlen(name) + 1) {
		ssize_t size = fs_getxattr(a->fs, ino, name, values[0], sizeof(values[0]));

		ck_assert_int_ge(size, 0);
		ck_assert_int_eq(fs_getxattr(b->fs, ino, name, values[1], sizeof(values[1])), size);
		ck_assert_int_eq(memcmp(values[0], values[1], (size_t)size), 0);
	}
}

static void compare_holes(struct node_fixture *a, struct node_fixture *b, uint64_t ino)
{
	uint64_t at[2] = {0};
	int whence = SEEK_DATA;

	for (;;) {
		int r = fs_lseek(a->fs, ino, at[0], whence, &at[0]);

		ck_assert_int_eq(fs_lseek(b->fs, ino, at[1], whence, &at[1]), r);
		if (r < 0)
			return;
		ck_assert_uint_eq(at[0], at[1]);
		whence = whence == SEEK_DATA ? SEEK_HOLE : SEEK_DATA;
	}
}

static void compare_content(
	struct node_fixture *a, struct node_fixture *b, const struct fs_attributes *attributes)
{
	enum { PIECE = 65536 };
	uint8_t *x = malloc(PIECE), *y = malloc(PIECE);

	compare_holes(a, b, attributes->ino);
	for (uint64_t at = 0; at < attributes->size_bytes; at += PIECE) {
		ssize_t n = node_fixture_read(a->fs, attributes->ino, at, x, PIECE);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(node_fixture_read(b->fs, attributes->ino, at, y, PIECE), n);
		for (ssize_t i = memcmp(x, y, (size_t)n) == 0 ? n : 0; i < n; i++)
			ck_assert_msg(x[i] == y[i], "inode %llx: byte %llu is %02x, not %02x",
				(unsigned long long)attributes->ino,
				(unsigned long long)at + (unsigned long long)i, y[i], x[i]);
	}
	free(x);
	free(y);
}

void journal_kit_compare_below(struct node_fixture *a, struct node_fixture *b, uint64_t ino)
{
	struct fs_attributes attributes = compare_attributes(a, b, ino);
	char targets[2][4096];
	struct listing *x, *y;

	compare_xattrs(a, b, ino);
	if (S_ISREG(attributes.mode))
		compare_content(a, b, &attributes);
	if (S_ISLNK(attributes.mode)) {
		ck_assert_int_eq(fs_readlink(a->fs, ino, targets[0], sizeof(targets[0])), 0);
		ck_assert_int_eq(fs_readlink(b->fs, ino, targets[1], sizeof(targets[1])), 0);
		ck_assert_str_eq(targets[0], targets[1]);
	}
	if (!S_ISDIR(attributes.mode))
		return;
	x = calloc(1, sizeof(*x));
	y = calloc(1, sizeof(*y));
	ck_assert_int_eq(fs_readdir(a->fs, ino, 0, false, add_entry, x), 0);
	ck_assert_int_eq(fs_readdir(b->fs, ino, 0, false, add_entry, y), 0);
	ck_assert_uint_eq(x->n, y->n);
	for (size_t i = 0; i < x->n; i++) {
		ck_assert_str_eq(x->entries[i].name, y->entries[i].name);
		ck_assert_uint_eq(x->entries[i].ino, y->entries[i].ino);
		ck_assert_uint_eq(x->entries[i].mode, y->entries[i].mode);
		ck_assert_uint_eq(x->entries[i].next, y->entries[i].next);
		if (x->entries[i].name[0] != '.')
			journal_kit_compare_below(a, b, x->entries[i].ino);
	}
	free(x);
	free(y);
}

void journal_kit_compare(struct node_fixture *a, struct node_fixture *b)
{
	journal_kit_compare_below(a, b, FS_ROOT_INO);
}
