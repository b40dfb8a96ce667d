#include <config.h>
#include "journal_model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cache/node_private.h"
#include "replication/segment.h"
#include "util/codec.h"

#define OBJECT_MAX_BYTES (64 << 20)

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return false;
}

void journal_model_done(struct journal_model *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->records[i].value);
	free(m->records);
	*m = (struct journal_model){.records = NULL};
}

static int compare(enum store_table table, const struct key *key, const struct model_record *r)
{
	size_t shorter = key->size_bytes < r->key.size_bytes ? key->size_bytes : r->key.size_bytes;
	int c;

	if (table != r->table)
		return table < r->table ? -1 : 1;
	c = memcmp(key->bytes, r->key.bytes, shorter);
	return c != 0 ? c
		      : (key->size_bytes > r->key.size_bytes) -
				(key->size_bytes < r->key.size_bytes);
}

/* The first that is not before. */
static size_t place_of(const struct journal_model *m, enum store_table table, const struct key *key)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(table, key, &m->records[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct model_record *journal_model_find(
	const struct journal_model *m, enum store_table table, const struct key *key)
{
	size_t at = place_of(m, table, key);

	return at < m->n && compare(table, key, &m->records[at]) == 0 ? &m->records[at] : NULL;
}

static void remove_places(struct journal_model *m, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		free(m->records[i].value);
	if (to < m->n)
		memmove(m->records + from, m->records + to, (m->n - to) * sizeof(*m->records));
	m->n -= to - from;
}

static struct model_record *insert(struct journal_model *m, size_t at)
{
	if (m->n == m->capacity) {
		m->capacity = m->capacity > 0 ? 2 * m->capacity : 1024;
		m->records = realloc(m->records, m->capacity * sizeof(*m->records));
	}
	memmove(m->records + at + 1, m->records + at, (m->n - at) * sizeof(*m->records));
	m->records[at] = (struct model_record){.value = NULL};
	m->n++;
	return &m->records[at];
}

static struct key whole_key(uint32_t account, const uint8_t *key, size_t key_bytes)
{
	struct key ret;
	struct encoder e = encoder_over(ret.bytes, sizeof(ret.bytes));

	encode_u32(&e, account);
	encode_bytes(&e, key, key_bytes);
	ret.size_bytes = e.size_bytes;
	return ret;
}

/* Whether it made a difference. */
static bool apply(struct journal_model *m, uint32_t account, const struct section_record *r)
{
	enum store_table table = r->table == SECTION_META ? STORE_META : STORE_DATA;
	struct key key = whole_key(account, r->key, r->key_bytes);
	size_t at = place_of(m, table, &key), end = at;
	bool is_there = journal_model_find(m, table, &key) != NULL;
	struct model_record *record;

	if (r->to != NULL) {
		struct key to = whole_key(account, r->to, r->to_bytes);

		end = place_of(m, table, &to);
		m->n_whole += r->key[0] == 0 && table == STORE_META;
	} else {
		end += is_there;
	}
	if (r->is_removal) {
		remove_places(m, at, end);
		return end > at;
	}
	if (is_there && m->records[at].value_bytes == r->value_bytes &&
		memcmp(m->records[at].value, r->value, r->value_bytes) == 0)
		return false;
	record = is_there ? &m->records[at] : insert(m, at);
	free(record->value);
	*record = (struct model_record){table, key, malloc(r->value_bytes + 1), r->value_bytes};
	memcpy(record->value, r->value, r->value_bytes);
	return true;
}

static bool apply_section(struct journal_model *m, const struct directory_entry *entry,
	const uint8_t *object, size_t object_bytes)
{
	struct section_reader reader;
	struct section_record record;
	const char *problem = NULL;

	if (entry->offset_bytes + entry->section.stored_bytes > object_bytes)
		return wrong("a section is beyond the end of its object");
	if (section_reader_open(&reader, &entry->section, object + entry->offset_bytes,
		    entry->section.stored_bytes, &problem) < 0)
		return wrong("a section is bad: %s", problem);
	while (section_reader_next(&reader, &record)) {
		m->last_records++;
		m->last_redundant += !apply(m, entry->account, &record) && !record.is_removal;
	}
	section_reader_close(&reader);
	return true;
}

static bool check_previous(struct journal_model *m, const struct segment *s)
{
	const struct directory *d = &s->directory;

	for (uint32_t i = 0; i < d->n_entries; i++) {
		const struct directory_entry *e = &d->entries[i];
		uint64_t *latest = &m->latest[e->account % 64];

		if (i > 0 && d->entries[i - 1].account == e->account)
			continue;
		if (e->has_previous != (*latest != 0) ||
			(e->has_previous && e->previous.sequence != *latest))
			return wrong("segment %llu, account %u: the previous one is %llu, not %llu",
				(unsigned long long)s->position.sequence, e->account,
				(unsigned long long)*latest,
				(unsigned long long)e->previous.sequence);
		*latest = s->position.sequence;
	}
	return true;
}

static int get(struct backend *backend, const struct position *at, uint16_t part,
	struct backend_result *ret)
{
	char key[POSITION_SEGMENT_KEY_BYTES];

	position_segment_key(at, part, key);
	return backend_get_wait(backend, key, 0, OBJECT_MAX_BYTES, ret);
}

static bool apply_part(struct journal_model *m, const struct segment *s, uint16_t part,
	const struct backend_result *object)
{
	for (uint32_t i = 0; i < s->directory.n_entries; i++) {
		if (s->directory.entries[i].part == part &&
			!apply_section(
				m, &s->directory.entries[i], object->data, object->data_size_bytes))
			return false;
	}
	return true;
}

static bool apply_parts(struct journal_model *m, const struct segment *s, struct backend *backend)
{
	for (uint32_t part = 1; part <= s->n_parts; part++) {
		struct backend_result object;
		bool good;

		if (get(backend, &s->position, (uint16_t)part, &object) < 0)
			return wrong("part %u is missing", part);
		good = apply_part(m, s, (uint16_t)part, &object);
		backend_result_done(&object);
		if (!good)
			return false;
		m->n_parts++;
	}
	return true;
}

static bool apply_segment(struct journal_model *m, const struct position *at,
	const struct backend_result *object, struct backend *backend)
{
	struct segment s;
	const char *problem = NULL;
	size_t needed;
	bool good;

	if (segment_decode(object->data, object->data_size_bytes, at, &s, &needed, &problem) < 0)
		return wrong("a segment is bad: %s", problem);
	if (s.previous_checksum != m->previous_checksum) {
		segment_done(&s);
		return wrong("the chain is broken");
	}
	m->last_records = m->last_redundant = 0;
	good = check_previous(m, &s) && apply_parts(m, &s, backend) && apply_part(m, &s, 0, object);
	m->previous_checksum = s.facts.head_checksum;
	m->n_segments++;
	segment_done(&s);
	return good;
}

bool journal_model_replay(struct journal_model *m, struct backend *backend, const struct uuid *node,
	uint64_t incarnation)
{
	struct position at = {.node = *node, .incarnation = incarnation};
	struct backend_result object;
	bool good = true;
	int r;

	while (good) {
		at.sequence = m->n_segments + 1;
		r = get(backend, &at, 0, &object);
		if (r < 0)
			return r == -ENOENT ? true : wrong("get: %s", strerror(-r));
		good = apply_segment(m, &at, &object, backend);
		backend_result_done(&object);
	}
	return false;
}

/* ---- comparison */

static bool same_as(const struct journal_model *m, enum store_table table,
	const struct store_iterator *it, size_t i)
{
	size_t key_bytes, value_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	const uint8_t *value = store_iterator_value(it, &value_bytes);
	const struct model_record *r = i < m->n ? &m->records[i] : NULL;
	struct key k = {.size_bytes = key_bytes};

	memcpy(k.bytes, key, key_bytes);
	if (r == NULL || compare(table, &k, r) != 0)
		return wrong("the store's key of account %u and type %c (table %d) is not the "
			     "journal's %zuth of %zu",
			key[3], key[4], (int)table, i, m->n);
	if (r->value_bytes != value_bytes || memcmp(r->value, value, value_bytes) != 0)
		return wrong("account %u, type %c: another value", key[3], key[4]);
	return true;
}

bool journal_model_equals(const struct journal_model *m, struct node *node)
{
	struct key from = key_account_begin(0), to = key_account_begin(KEY_NODE_SECTION);
	bool good = true;
	size_t i = 0;

	for (int table = 0; good && table < STORE_TABLES; table++) {
		struct store_iterator *it =
			store_iterator_new(node->store, (enum store_table)table, &from, &to);

		for (; good && store_iterator_valid(it); store_iterator_next(it), i++)
			good = same_as(m, (enum store_table)table, it, i);
		store_iterator_free(it);
	}
	return good && i < m->n ? wrong("the journal has %zu records more", m->n - i) : good;
}
