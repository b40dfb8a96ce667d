#include <config.h>
#include "util/mount_table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/cleanup.h"

#define MOUNTINFO_PATH "/proc/self/mountinfo"

void mount_entry_done(struct mount_entry *entry)
{
	free(entry->mountpoint);
	free(entry->fstype);
	free(entry->source);
	*entry = (struct mount_entry){0};
}

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

/* A copy of a field with \040 and the like made into the bytes they stand for. */
static char *unescape(const char *field)
{
	char *copy = malloc(strlen(field) + 1), *to = copy;

	if (copy == NULL)
		return NULL;
	while (*field != '\0') {
		if (field[0] == '\\' && is_octal(field + 1)) {
			*to++ = (char)((field[1] - '0') * 64 + (field[2] - '0') * 8 + field[3] -
				       '0');
			field += 4;
		} else {
			*to++ = *field++;
		}
	}
	*to = '\0';
	return copy;
}

/* The fields that matter, as they stand: "36 35 98:0 /root /mountpoint opts… - fstype source …" */
static int parse_fields(char *line, struct mount_entry *ret)
{
	char *rest = line, *field, *mountpoint = NULL, *fstype, *source;

	for (int i = 0; (field = strsep(&rest, " ")) != NULL && strcmp(field, "-") != 0; i++) {
		if (i == 2 && sscanf(field, "%u:%u", &ret->major, &ret->minor) != 2)
			return -EINVAL;
		if (i == 4)
			mountpoint = field;
	}
	fstype = strsep(&rest, " ");
	source = strsep(&rest, " ");
	if (mountpoint == NULL || fstype == NULL || source == NULL)
		return -EINVAL;
	ret->mountpoint = unescape(mountpoint);
	ret->fstype = unescape(fstype);
	ret->source = unescape(source);
	if (ret->mountpoint == NULL || ret->fstype == NULL || ret->source == NULL)
		return -ENOMEM;
	return 0;
}

int mount_table_parse(const char *line, struct mount_entry *ret)
{
	CLEANUP_FREE char *copy = strdup(line);
	struct mount_entry entry = {0};
	int r;

	if (copy == NULL)
		return -ENOMEM;
	copy[strcspn(copy, "\n")] = '\0';
	r = parse_fields(copy, &entry);
	if (r < 0) {
		mount_entry_done(&entry);
		return r;
	}
	*ret = entry;
	return 0;
}

/* False ends the walk. */
typedef bool visit_fn(void *arg, struct mount_entry *entry);

static int walk(visit_fn *visit, void *arg)
{
	CLEANUP_FREE char *line = NULL;
	FILE *file = fopen(MOUNTINFO_PATH, "re");
	size_t capacity = 0;
	bool more = true;

	if (file == NULL)
		return -errno;
	while (more && getline(&line, &capacity, file) >= 0) {
		struct mount_entry entry;

		if (mount_table_parse(line, &entry) < 0)
			continue;
		more = visit(arg, &entry);
		mount_entry_done(&entry);
	}
	(void)fclose(file);
	return 0;
}

struct search {
	const char *mountpoint;
	struct mount_entry found;
};

/* Later mounts cover earlier ones, so the last match stays. */
static bool match_path(void *arg, struct mount_entry *entry)
{
	struct search *search = arg;

	if (strcmp(entry->mountpoint, search->mountpoint) == 0) {
		mount_entry_done(&search->found);
		search->found = *entry;
		*entry = (struct mount_entry){0};
	}
	return true;
}

int mount_table_find(const char *mountpoint, struct mount_entry *ret)
{
	struct search search = {.mountpoint = mountpoint};
	int r = walk(match_path, &search);

	if (r < 0)
		return r;
	if (search.found.mountpoint == NULL)
		return -ENOENT;
	*ret = search.found;
	return 0;
}

struct source_search {
	const char *fstype, *source;
	struct mount_entry found;
	bool several;
};

static bool match_source(void *arg, struct mount_entry *entry)
{
	struct source_search *search = arg;
	struct mount_entry *found = &search->found;

	if (strcmp(entry->fstype, search->fstype) != 0 ||
		strcmp(entry->source, search->source) != 0)
		return true;
	if (found->mountpoint != NULL) {
		/* Another place of the same filesystem (a bind mount) will do. */
		search->several |= found->major != entry->major || found->minor != entry->minor;
		return !search->several;
	}
	*found = *entry;
	*entry = (struct mount_entry){0};
	return true;
}

int mount_table_find_source(const char *fstype, const char *source, struct mount_entry *ret)
{
	struct source_search search = {.fstype = fstype, .source = source};
	int r = walk(match_source, &search);

	if (r == 0 && search.several)
		r = -EEXIST;
	else if (r == 0 && search.found.mountpoint == NULL)
		r = -ENOENT;
	if (r == 0)
		*ret = search.found;
	else
		mount_entry_done(&search.found);
	return r;
}

struct device_count {
	unsigned int major, minor;
	int n;
};

static bool count_device(void *arg, struct mount_entry *entry)
{
	struct device_count *count = arg;

	if (entry->major == count->major && entry->minor == count->minor)
		count->n++;
	return true;
}

int mount_table_count(unsigned int major, unsigned int minor)
{
	struct device_count count = {major, minor, 0};
	int r = walk(count_device, &count);

	return r < 0 ? r : count.n;
}
