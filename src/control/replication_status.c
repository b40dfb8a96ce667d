#include <config.h>
#include "control/replication_status.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include "control/account_set.h"

/* Under their names in JSON; a metric is mailfs_replication_<name>, a counter's with _total. */
static const struct figure {
	const char *name;
	const char *help;
	bool counter;
	size_t offset;
} figures_table[] = {
#define FIGURE(name, field, counter, help)                                      \
	{                                                                       \
		name, help, counter, offsetof(struct replicator_figures, field) \
	}
	FIGURE("epoch", epoch, false, "Epoch of this node's ownership."),
	FIGURE("incarnation", incarnation, false, "Incarnation of the node's journal."),
	FIGURE("last_segment", journal.last_sequence, false, "Number of the last whole segment."),
	FIGURE("lag_ms", journal.lag_ms, false, "Age of the oldest change not on the backend."),
	FIGURE("lag_bytes", journal.lag_bytes, false, "Changes not on the backend, about."),
	FIGURE("segments_in_flight", journal.in_flight, false, "Segments on their way."),
	FIGURE("puts_running", journal.puts_running, false, "Puts of segments and their parts."),
	FIGURE("segments_put", journal.segments, true, "Segments written."),
	FIGURE("parts_put", journal.parts, true, "Parts of segments written."),
	FIGURE("segment_bytes_put", journal.bytes, true, "Bytes of segments and parts written."),
	FIGURE("put_failures", journal.failures, true, "Failed attempts to put a segment."),
	FIGURE("segment_memory_bytes", journal.memory_bytes, false,
		"Content of segments in flight."),
	FIGURE("accounts_here", accounts_here, false, "Accounts on this node."),
	FIGURE("accounts_absent", accounts_absent, false, "Accounts on the backend only."),
	FIGURE("accounts_loading", accounts_loading, false, "Accounts on their way here."),
	FIGURE("accounts_failed", accounts_failed, false, "Accounts that could not be loaded."),
	FIGURE("checkpoints_written", checkpoints, true, "Checkpoints written."),
	FIGURE("checkpoint_bytes_written", checkpoint_bytes, true, "Bytes of checkpoints written."),
	FIGURE("segments_removed", segments_removed, true,
		"Segments removed because nobody needs them."),
	FIGURE("checkpoints_removed", checkpoints_removed, true,
		"Checkpoints removed because there are newer ones."),
	FIGURE("journal_segments", journal_segments, false, "Segments on the backend."),
	FIGURE("journal_bytes", journal_bytes, false, "Bytes of segments on the backend."),
#undef FIGURE
};

#define N_FIGURES (sizeof(figures_table) / sizeof(figures_table[0]))

static const struct failure {
	const char *name;
	const char *metric;
	const char *help;
	size_t offset;
} failures_table[] = {
	{"error", "ended", "The journal was sealed by another node: nothing is written any more.",
		offsetof(struct replicator_figures, journal.error)},
	{"last_error", "failing", "The last attempt to write to the journal failed.",
		offsetof(struct replicator_figures, journal.last_error)},
	{"background_error", "background_failing", "The last checkpoint or removal failed.",
		offsetof(struct replicator_figures, background_error)},
};

#define N_FAILURES (sizeof(failures_table) / sizeof(failures_table[0]))

static uint64_t figure_value(const struct replicator_figures *figures, const struct figure *figure)
{
	uint64_t value;

	memcpy(&value, (const char *)figures + figure->offset, sizeof(value));
	return value;
}

static int failure_value(const struct replicator_figures *figures, const struct failure *failure)
{
	int value;

	memcpy(&value, (const char *)figures + failure->offset, sizeof(value));
	return value;
}

json_t *control_error_name(int error)
{
	const char *name = strerrorname_np(-error);

	if (error == 0)
		return json_null();
	return name != NULL ? json_string(name) : json_sprintf("errno %d", -error);
}

json_t *control_replication_json(const struct replicator_figures *figures)
{
	json_t *root = json_object();

	for (size_t i = 0; i < N_FIGURES; i++)
		(void)json_object_set_new(root, figures_table[i].name,
			json_integer((json_int_t)figure_value(figures, &figures_table[i])));
	for (size_t i = 0; i < N_FAILURES; i++)
		(void)json_object_set_new(root, failures_table[i].name,
			control_error_name(failure_value(figures, &failures_table[i])));
	return root;
}

static void print_head(
	FILE *out, const char *name, const char *suffix, const char *type, const char *help)
{
	fprintf(out,
		"# HELP mailfs_replication_%s%s %s\n# TYPE mailfs_replication_%s%s %s\n"
		"mailfs_replication_%s%s ",
		name, suffix, help, name, suffix, type, name, suffix);
}

void control_replication_metrics(FILE *out, const struct replicator_figures *figures)
{
	for (size_t i = 0; i < N_FIGURES; i++) {
		const struct figure *figure = &figures_table[i];

		print_head(out, figure->name, figure->counter ? "_total" : "",
			figure->counter ? "counter" : "gauge", figure->help);
		fprintf(out, "%" PRIu64 "\n", figure_value(figures, figure));
	}
	for (size_t i = 0; i < N_FAILURES; i++) {
		print_head(out, failures_table[i].metric, "", "gauge", failures_table[i].help);
		fprintf(out, "%d\n", failure_value(figures, &failures_table[i]) != 0 ? 1 : 0);
	}
}

/* ---- one account */

static const char *place_name(const struct replicator_account *account)
{
	switch (account->place) {
	case REPLICATOR_HERE:
		return "here";
	case REPLICATOR_ABSENT:
		return "absent";
	case REPLICATOR_LOADING:
		return "loading";
	case REPLICATOR_FAILED:
		return "failed";
	}
	return "unknown";
}

json_t *control_account_json(
	const struct control_subject *subject, const char *name, uint32_t account)
{
	struct replicator_account a = {.account = account};
	bool known = subject->replicator != NULL &&
		     replicator_get_account(subject->replicator, account, &a);
	json_t *root = json_pack("{s:o, s:I, s:s}", "name", account_set_json_name(name), "account",
		(json_int_t)account, "place", known ? place_name(&a) : "unknown");

	if (root == NULL || !known)
		return root;
	(void)json_object_set_new(root, "pending_ms", json_integer((json_int_t)a.pending_ms));
	(void)json_object_set_new(root, "pending_bytes", json_integer((json_int_t)a.pending_bytes));
	(void)json_object_set_new(root, "tail_bytes", json_integer((json_int_t)a.tail_bytes));
	(void)json_object_set_new(root, "tail_segments", json_integer((json_int_t)a.tail_segments));
	(void)json_object_set_new(root, "idle_ms", json_integer((json_int_t)a.idle_ms));
	(void)json_object_set_new(
		root, "checkpoint", json_integer((json_int_t)a.checkpoint_number));
	(void)json_object_set_new(root, "local_bytes",
		json_integer((json_int_t)node_account_bytes(subject->node, account)));
	(void)json_object_set_new(root, "error", control_error_name(a.error));
	return root;
}
