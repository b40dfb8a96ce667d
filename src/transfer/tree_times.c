#include <config.h>
#include "transfer/tree_times.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "util/cleanup.h"
#include "util/message.h"
#include "util/parse_number.h"

#define LISTED_MAX 20

const char *tree_times_text(int64_t ms, char text[TREE_TIMES_TEXT_BYTES])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;
	size_t n;

	if (ms < 0 || gmtime_r(&seconds, &parts) == NULL)
		return "?";
	n = strftime(text, TREE_TIMES_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + n, TREE_TIMES_TEXT_BYTES - n, ".%03dZ", (int)(ms % 1000));
	return text;
}

/* ---- parsing */

/* Behind the seconds: ".123". */
static const char *parse_fraction(const char *text, int64_t *ret_ms)
{
	int64_t unit = 100;

	*ret_ms = 0;
	if (*text != '.' && *text != ',')
		return text;
	for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
		*ret_ms += unit * (*text - '0');
	return text;
}

/* "Z", "+01:00", "+0100" or nothing, which is local time. */
static int parse_zone(const char *text, struct tm *parts, int64_t *ret_seconds)
{
	unsigned int hours, minutes;
	int n = 0;

	if (*text == '\0') {
		parts->tm_isdst = -1;
		*ret_seconds = mktime(parts);
		return 0;
	}
	*ret_seconds = timegm(parts);
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return 0;
	if ((*text != '+' && *text != '-') || !isdigit((unsigned char)text[1]) ||
		(sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &n) < 2 &&
			sscanf(text + 1, "%2u%2u%n", &hours, &minutes, &n) < 2) ||
		text[1 + n] != '\0' || hours > 23 || minutes > 59)
		return -EINVAL;
	*ret_seconds += (*text == '+' ? -1 : 1) * (int64_t)(hours * 3600 + minutes * 60);
	return 0;
}

static int parse_iso(const char *text, int64_t *ret_ms)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm parts = {0};
		int64_t seconds, ms = 0;
		const char *rest = strptime(text, formats[i], &parts);

		if (rest == NULL)
			continue;
		if (i < 2)
			rest = parse_fraction(rest, &ms);
		if (parse_zone(rest, &parts, &seconds) == 0) {
			*ret_ms = seconds * 1000 + ms;
			return 0;
		}
	}
	return -EINVAL;
}

int tree_times_parse(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t ago_ms;
	int r;

	if (*text != '-') {
		r = parse_iso(text, ret_ms);
	} else {
		r = parse_number_duration_ms(text + 1, &ago_ms);
		if (r == 0 && ago_ms < (uint64_t)now_ms)
			*ret_ms = now_ms - (int64_t)ago_ms;
		else
			r = -EINVAL;
	}
	return r == 0 && *ret_ms > 0 ? 0 : -EINVAL;
}

/* ---- what there is */

static void list_times(FILE *out, const struct catalogue_times *times)
{
	char text[TREE_TIMES_TEXT_BYTES];
	size_t n = times->n_checkpoints < LISTED_MAX ? times->n_checkpoints : LISTED_MAX;

	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%s", i == 0 ? "; checkpoints: " : ", ",
			tree_times_text(times->checkpoints_ms[i], text));
	if (n < times->n_checkpoints)
		fprintf(out, " and %zu older", times->n_checkpoints - n);
	if (times->n_segments == 0)
		return;
	fprintf(out, "; changes in %zu segments from %s", times->n_segments,
		tree_times_text(times->oldest_segment_ms, text));
	fprintf(out, " to %s", tree_times_text(times->newest_segment_ms, text));
}

static int list_what_there_is(
	const struct catalogue *catalogue, uint32_t account, char **ret, char **ret_message)
{
	struct catalogue_times times;
	size_t size;
	FILE *out;
	int r = catalogue_times(catalogue, account, &times, ret_message);

	if (r < 0)
		return r;
	out = open_memstream(ret, &size);
	if (out == NULL) {
		catalogue_times_done(&times);
		return -ENOMEM;
	}
	list_times(out, &times);
	if (times.n_checkpoints + times.n_segments == 0)
		fprintf(out, "; there is nothing of it on the backend");
	catalogue_times_done(&times);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

int tree_times_complain(const struct catalogue *catalogue, uint32_t account, int64_t not_after_ms,
	char **ret_message)
{
	CLEANUP_FREE char *list = NULL;
	char text[TREE_TIMES_TEXT_BYTES];
	int r;

	*ret_message = NULL;
	r = list_what_there_is(catalogue, account, &list, ret_message);
	if (r < 0)
		return r;
	if (not_after_ms == 0)
		return message_set(
			ret_message, -ENOENT, "account %" PRIu32 " has no state%s", account, list);
	return message_set(ret_message, -ENOENT, "account %" PRIu32 " has no state as old as %s%s",
		account, tree_times_text(not_after_ms, text), list);
}
