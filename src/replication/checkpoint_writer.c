#include <config.h>
#include "replication/checkpoint_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replication/checkpoint.h"
#include "replication/put_window.h"
#include "util/failpoint.h"
#include "util/list.h"

/* Keys of the store begin with the account's number, those of sections do not. */
#define ACCOUNT_BYTES 4

struct checkpoint_writer {
	struct checkpoint_writer_options options;
	struct section_builder *builder;
	struct put_window *window;
	struct list_node ended; /* of struct written */
};

/* One checkpoint, until its result was taken. */
struct written {
	struct list_node node;
	unsigned int n_left; /* puts */
	bool is_whole;       /* the checkpoint itself was begun, or will not be */
	struct checkpoint_writer_result result;
};

/* The one that is being made. */
struct making {
	struct checkpoint_writer *writer;
	const struct checkpoint_writer_request *request;
	struct written *written;
	struct checkpoint checkpoint;
	struct section *pile; /* owned, with what they hold: of the next object */
	size_t n_piled, capacity;
	uint64_t pile_bytes;
	uint16_t n_parts;
	struct key first_key; /* held back until there is another record; first_bytes 0: none is */
	uint8_t first_value[64];
	size_t first_bytes;
};

/* ---- objects */

static void settle(struct checkpoint_writer *w, struct written *written)
{
	if (written->is_whole && written->n_left == 0)
		list_append(&w->ended, &written->node);
}

/* What puts have come to. */
static void collect(struct checkpoint_writer *w)
{
	struct written *written;
	int error;

	while ((written = put_window_take(w->window, &error)) != NULL) {
		written->n_left--;
		if (written->result.error == 0)
			written->result.error = error;
		settle(w, written);
	}
}

/* Moves the pile into the directory; *ret are the blocks that it points to. */
static int empty_pile(struct making *m, uint16_t part, void ***ret)
{
	void **contents = calloc(m->n_piled + 1, sizeof(*contents));
	int r = contents == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < m->n_piled; i++)
		r = directory_add(
			&m->checkpoint.directory, m->request->account, part, NULL, &m->pile[i]);
	if (r < 0) {
		free(contents);
		return r;
	}
	for (size_t i = 0; i < m->n_piled; i++)
		contents[i] = m->pile[i].stored;
	*ret = contents;
	return 0;
}

static void forget_pile(struct making *m, bool is_owned)
{
	for (size_t i = 0; is_owned && i < m->n_piled; i++)
		section_done(&m->pile[i]);
	m->n_piled = 0;
	m->pile_bytes = 0;
}

static int admit(const struct making *m, uint64_t bytes)
{
	const struct checkpoint_writer_options *o = &m->writer->options;

	return o->admit != NULL ? o->admit(o->arg, bytes) : 0;
}

/* The pile becomes the object `part`. Parts replace what an earlier attempt left: nothing names
 * that. */
static int put_pile(struct making *m, uint16_t part)
{
	const struct checkpoint_writer_request *q = m->request;
	enum backend_condition_type type =
		part > 0 || m->writer->options.plain_puts ? BACKEND_ALWAYS : BACKEND_IF_ABSENT;
	char key[POSITION_CHECKPOINT_KEY_BYTES];
	struct frame frame = {.head = NULL};
	void **contents = NULL;
	size_t n = m->n_piled;
	uint64_t bytes;
	int r = empty_pile(m, part, &contents);

	if (r == 0)
		r = part > 0 ? checkpoint_encode_part(&m->checkpoint, part, &frame)
			     : checkpoint_encode(&m->checkpoint, &frame);
	bytes = frame.size_bytes;
	if (r == 0)
		r = admit(m, bytes);
	if (r < 0) {
		free(contents);
		frame_done(&frame);
		return r;
	}
	forget_pile(m, false);
	position_checkpoint_part_key(q->account, q->number, part, key);
	m->written->n_left++;
	r = put_window_put(m->writer->window, key, type, &frame, contents, n, m->written);
	if (r < 0)
		m->written->n_left--;
	m->written->result.bytes += bytes;
	return r;
}

static int put_part(struct making *m)
{
	int r = m->n_parts == DIRECTORY_MAX_PARTS ? -EFBIG : put_pile(m, ++m->n_parts);

	collect(m->writer);
	failpoint("checkpoint_writer.part");
	return r == 0 ? m->written->result.error : r;
}

/* ---- sections */

static int end_section(struct making *m)
{
	uint64_t part_bytes = m->writer->options.part_bytes;
	struct section section, *bigger;
	size_t capacity = m->capacity > 0 ? 2 * m->capacity : 8;
	int r;

	if (section_builder_content_bytes(m->writer->builder) == 0)
		return 0;
	if (m->n_piled == m->capacity) {
		bigger = reallocarray(m->pile, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		m->pile = bigger;
		m->capacity = capacity;
	}
	r = section_builder_finish(m->writer->builder, &section);
	if (r == 0 && m->n_piled > 0 && m->pile_bytes + section.info.stored_bytes > part_bytes) {
		r = put_part(m);
		if (r < 0)
			section_done(&section);
	}
	if (r < 0)
		return r;
	m->pile[m->n_piled++] = section;
	m->pile_bytes += section.info.stored_bytes;
	return 0;
}

static int add(struct making *m, const struct cut_record *record)
{
	struct section_builder *builder = m->writer->builder;
	enum section_table table = record->table == STORE_META ? SECTION_META : SECTION_DATA;
	const uint8_t *key = record->key + ACCOUNT_BYTES;
	size_t key_bytes = record->key_bytes - ACCOUNT_BYTES;
	int r = section_builder_put(
		builder, table, key, key_bytes, record->value, record->value_bytes);

	if (r != -ENOSPC)
		return r;
	r = end_section(m);
	return r == 0 ? section_builder_put(
				builder, table, key, key_bytes, record->value, record->value_bytes)
		      : r;
}

/* An account that was removed has the record of its numbers left, which then is nothing either. It
 * is the first of all. */
static int take(void *arg, const struct cut_record *record)
{
	struct making *m = arg;
	struct cut_record first = {.table = STORE_META, .value = m->first_value};
	int r = 0;

	if (record->table == STORE_META && record->key[ACCOUNT_BYTES] == KEY_ACCOUNT &&
		record->value_bytes <= sizeof(m->first_value)) {
		m->first_key = key_account(m->request->account);
		memcpy(m->first_value, record->value, record->value_bytes);
		m->first_bytes = record->value_bytes;
		return 0;
	}
	if (m->first_bytes > 0) {
		first.key = m->first_key.bytes;
		first.key_bytes = m->first_key.size_bytes;
		first.value_bytes = m->first_bytes;
		m->first_bytes = 0;
		r = add(m, &first);
	}
	return r == 0 ? add(m, record) : r;
}

/* ---- one checkpoint */

/* The checkpoint makes its parts exist, so it comes when they are there. */
static int wait_for_parts(struct making *m)
{
	if (m->n_parts == 0)
		return 0;
	put_window_drain(m->writer->window);
	collect(m->writer);
	failpoint("checkpoint_writer.parts");
	return m->written->result.error;
}

static int make(struct making *m)
{
	int r = cut_each_of_account(m->request->cut, m->request->account, take, m);

	if (r == 0)
		r = end_section(m);
	if (r == 0)
		r = wait_for_parts(m);
	if (r < 0)
		return r;
	m->written->result.n_sections = m->checkpoint.directory.n_entries + (uint32_t)m->n_piled;
	m->written->result.n_parts = m->n_parts;
	return put_pile(m, 0);
}

int checkpoint_writer_begin(
	struct checkpoint_writer *w, const struct checkpoint_writer_request *request)
{
	struct written *written = calloc(1, sizeof(*written));
	struct making m = {.writer = w, .request = request, .written = written};
	int r;

	if (written == NULL)
		return -ENOMEM;
	written->result.arg = request->arg;
	m.checkpoint = (struct checkpoint){.volume = w->options.volume,
		.account = request->account,
		.number = request->number,
		.created_ms = request->cut_ms,
		.position = request->position};
	failpoint("checkpoint_writer.begin");
	r = make(&m);
	collect(w); /* before is_whole: it would not be seen to settle twice */
	if (r < 0 && written->result.error == 0)
		written->result.error = r;
	written->is_whole = true;
	settle(w, written);
	section_builder_clear(w->builder);
	forget_pile(&m, true);
	free(m.pile);
	checkpoint_done(&m.checkpoint);
	return 0;
}

/* ---- results */

bool checkpoint_writer_take(struct checkpoint_writer *w, struct checkpoint_writer_result *ret)
{
	struct list_node *node;
	struct written *written;

	collect(w);
	node = list_take_first(&w->ended);
	if (node == NULL)
		return false;
	written = LIST_ENTRY(node, struct written, node);
	*ret = written->result;
	free(written);
	return true;
}

void checkpoint_writer_drain(struct checkpoint_writer *w)
{
	put_window_drain(w->window);
}

void checkpoint_writer_cancel(struct checkpoint_writer *w)
{
	put_window_cancel(w->window);
}

/* ---- life */

struct checkpoint_writer *checkpoint_writer_new(const struct checkpoint_writer_options *options)
{
	struct checkpoint_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->options = *options;
	if (w->options.part_bytes == 0)
		w->options.part_bytes = CHECKPOINT_WRITER_PART_BYTES;
	list_init(&w->ended);
	w->builder = section_builder_new();
	w->window = put_window_new(
		options->backend, CHECKPOINT_WRITER_WINDOW_BYTES, CHECKPOINT_WRITER_PUTS_IN_FLIGHT);
	if (w->builder == NULL || w->window == NULL) {
		checkpoint_writer_free(w);
		return NULL;
	}
	return w;
}

void checkpoint_writer_free(struct checkpoint_writer *w)
{
	struct checkpoint_writer_result result;

	if (w == NULL)
		return;
	if (w->window != NULL) {
		checkpoint_writer_drain(w);
		while (checkpoint_writer_take(w, &result))
			;
	}
	put_window_free(w->window);
	section_builder_free(w->builder);
	free(w);
}

int checkpoint_writer_write(const struct checkpoint_writer_options *options,
	const struct checkpoint_writer_request *request, struct checkpoint_writer_result *ret)
{
	struct checkpoint_writer *w = checkpoint_writer_new(options);
	int r = w == NULL ? -ENOMEM : checkpoint_writer_begin(w, request);

	if (r == 0) {
		checkpoint_writer_drain(w);
		(void)checkpoint_writer_take(w, ret);
		r = ret->error;
	}
	checkpoint_writer_free(w);
	return r;
}
