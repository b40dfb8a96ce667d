#include <config.h>
#include "control/status.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "control/backend_status.h"
#include "control/json_text.h"
#include "control/replication_status.h"
#include "util/clock.h"

enum figure_type {
	FIGURE_COUNTER, /* only grows */
	FIGURE_GAUGE,
};

/* The figures under their name in JSON; a metric is mailfs_<name>, a counter's with _total. */
static const struct figure {
	const char *name;
	const char *help;
	enum figure_type type;
	size_t offset;
} figures_table[] = {
#define FIGURE(name, type, help)                                       \
	{                                                              \
#name, help, type, offsetof(struct node_figures, name) \
	}
	FIGURE(commits, FIGURE_COUNTER, "Synced group commits."),
	FIGURE(sync_requests, FIGURE_COUNTER, "Syncs and publishes that programs asked for."),
	FIGURE(syncs_covered, FIGURE_COUNTER, "Syncs that an earlier commit had covered."),
	FIGURE(remote_waits, FIGURE_COUNTER, "Syncs that waited for the backend."),
	FIGURE(syncs_elided, FIGURE_COUNTER, "Syncs left to the one that follows."),
	FIGURE(body_cache_bytes, FIGURE_GAUGE, "Local copies of mail bodies."),
	FIGURE(body_cache_limit_bytes, FIGURE_GAUGE, "Limit of the local copies."),
	FIGURE(dirty_files, FIGURE_GAUGE, "Bodies not yet on the backend."),
	FIGURE(oldest_dirty_ms, FIGURE_GAUGE, "Age of the oldest body not yet on the backend."),
	FIGURE(objects_put, FIGURE_COUNTER, "Objects written to the backend."),
	FIGURE(objects_put_bytes, FIGURE_COUNTER, "Bytes written to the backend."),
	FIGURE(objects_fetched, FIGURE_COUNTER, "Reads from the backend."),
	FIGURE(objects_fetched_bytes, FIGURE_COUNTER, "Bytes read from the backend."),
	FIGURE(objects_removed, FIGURE_COUNTER, "Objects removed from the backend."),
	FIGURE(packs_put, FIGURE_COUNTER, "Packs of small bodies written to the backend."),
	FIGURE(packs_put_bytes, FIGURE_COUNTER, "Bytes of these packs."),
	FIGURE(bodies_packed, FIGURE_COUNTER, "Small bodies that went into packs."),
	FIGURE(packs_rewritten, FIGURE_COUNTER, "Packs whose live content was copied into others."),
	FIGURE(bodies_evicted, FIGURE_COUNTER, "Local copies dropped."),
	FIGURE(free_disk_bytes, FIGURE_GAUGE, "Free space on the state directory's disk."),
	FIGURE(backlog_bytes, FIGURE_GAUGE, "Changed here and not on the backend."),
	FIGURE(backlog_age_ms, FIGURE_GAUGE, "Age of the oldest of that."),
	FIGURE(backlog_refused, FIGURE_COUNTER, "Changes refused because of the backlog."),
#undef FIGURE
};

#define N_FIGURES (sizeof(figures_table) / sizeof(figures_table[0]))

static uint64_t figure_value(const struct node_figures *figures, const struct figure *figure)
{
	uint64_t value;

	memcpy(&value, (const char *)figures + figure->offset, sizeof(value));
	return value;
}

static const char *ack_name(enum node_ack ack)
{
	return ack == NODE_ACK_REMOTE ? "remote" : "local";
}

/* ---- JSON */

static json_t *figures_json(const struct node_figures *figures)
{
	json_t *root = json_object();

	for (size_t i = 0; i < N_FIGURES; i++) {
		uint64_t value = figure_value(figures, &figures_table[i]);

		(void)json_object_set_new(
			root, figures_table[i].name, json_integer((json_int_t)value));
	}
	(void)json_object_set_new(
		root, "backend_error", control_error_name(figures->backend_error));
	(void)json_object_set_new(root, "store_error", control_error_name(figures->store_error));
	(void)json_object_set_new(root, "backlog_is_full", json_boolean(figures->backlog_is_full));
	(void)json_object_set_new(root, "is_fenced", json_boolean(figures->is_fenced));
	return root;
}

static void add_count(void *arg, const char *opcode, uint64_t count)
{
	(void)json_object_set_new(arg, opcode, json_integer((json_int_t)count));
}

int control_status_json(
	const struct control_subject *subject, const struct node_figures *figures, char **ret)
{
	struct replicator_figures replication;
	json_t *counts = json_object();
	json_t *root;
	char *text;

	if (subject->count_requests != NULL)
		subject->count_requests(subject->source, add_count, counts);
	root = json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "version",
		PACKAGE_VERSION, "pid", (int)getpid(), "url", subject->url, "volume_uuid",
		subject->volume_uuid, "node_uuid", subject->node_uuid, "mountpoint",
		subject->mountpoint, "state_directory", subject->state_directory, "ack",
		ack_name(subject->ack), "uptime_ms",
		(json_int_t)(clock_monotonic_ms() - subject->started_ms), "commits",
		(json_int_t)figures->commits, "figures", figures_json(figures), "fuse_requests",
		counts);
	if (root != NULL && subject->backend != NULL)
		(void)json_object_set_new(root, "backend", control_backend_json(subject->backend));
	if (root != NULL && subject->replicator != NULL) {
		replicator_get_figures(subject->replicator, &replication);
		(void)json_object_set_new(
			root, "replication", control_replication_json(&replication));
	}
	text = control_json_text(root);
	if (text == NULL)
		return -ENOMEM;
	*ret = text;
	return 0;
}

/* ---- Prometheus */

static void print_metric(
	FILE *out, const char *name, const char *suffix, bool counter, const char *help)
{
	fprintf(out, "# HELP mailfs_%s%s %s\n# TYPE mailfs_%s%s %s\n", name, suffix, help, name,
		suffix, counter ? "counter" : "gauge");
}

static void print_figure(FILE *out, const struct node_figures *figures, const struct figure *figure)
{
	bool counter = figure->type == FIGURE_COUNTER;
	const char *suffix = counter ? "_total" : "";

	print_metric(out, figure->name, suffix, counter, figure->help);
	fprintf(out, "mailfs_%s%s %" PRIu64 "\n", figure->name, suffix,
		figure_value(figures, figure));
}

static void print_flag(FILE *out, const char *name, bool value, const char *help)
{
	print_metric(out, name, "", false, help);
	fprintf(out, "mailfs_%s %d\n", name, value ? 1 : 0);
}

static void print_count(void *arg, const char *opcode, uint64_t count)
{
	fprintf(arg, "mailfs_fuse_requests_total{opcode=\"%s\"} %" PRIu64 "\n", opcode, count);
}

static void print_metrics(
	FILE *out, const struct control_subject *subject, const struct node_figures *figures)
{
	struct replicator_figures replication;

	print_metric(out, "info", "", false, "Which mailfs this is.");
	fprintf(out, "mailfs_info{version=\"%s\",volume=\"%s\",node=\"%s\",ack=\"%s\"} 1\n",
		PACKAGE_VERSION, subject->volume_uuid, subject->node_uuid, ack_name(subject->ack));
	print_metric(out, "uptime_ms", "", false, "Since the start of the daemon.");
	fprintf(out, "mailfs_uptime_ms %" PRIu64 "\n", clock_monotonic_ms() - subject->started_ms);
	for (size_t i = 0; i < N_FIGURES; i++)
		print_figure(out, figures, &figures_table[i]);
	print_flag(out, "backend_failed", figures->backend_error != 0,
		"The last call of the backend failed.");
	print_flag(out, "store_failed", figures->store_error != 0,
		"The local store takes no more changes.");
	print_flag(out, "backlog_is_full", figures->backlog_is_full,
		"Changes are refused until the backend has more of them.");
	print_flag(out, "is_fenced", figures->is_fenced,
		"Another node has taken over: nothing can be changed here any more.");
	print_metric(out, "fuse_requests", "_total", true, "Requests of the kernel answered.");
	if (subject->count_requests != NULL)
		subject->count_requests(subject->source, print_count, out);
	if (subject->backend != NULL)
		control_backend_metrics(out, subject->backend);
	if (subject->replicator != NULL) {
		replicator_get_figures(subject->replicator, &replication);
		control_replication_metrics(out, &replication);
	}
}

int control_status_metrics(
	const struct control_subject *subject, const struct node_figures *figures, char **ret)
{
	char *text = NULL;
	size_t size_bytes;
	FILE *out = open_memstream(&text, &size_bytes);

	if (out == NULL)
		return -ENOMEM;
	print_metrics(out, subject, figures);
	if (fclose(out) != 0) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}
