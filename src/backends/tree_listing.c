#include <config.h>
#include "backends/tree_listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/tree_layout.h"

void tree_listing_init(struct tree_listing *l, const char *prefix, const char *continuation,
	size_t max_entries, struct backend_result *result)
{
	const char *slash = strrchr(prefix, '/');

	*l = (struct tree_listing){
		.prefix = prefix,
		.after = continuation == NULL ? "" : continuation,
		.max_entries = max_entries,
		.result = result,
	};
	if (slash != NULL)
		memcpy(l->key, prefix, (size_t)(slash - prefix) + 1);
}

bool tree_listing_is_key_name(const struct tree_listing *l, const char *name)
{
	return strlen(l->key) + strnlen(name, BACKEND_KEY_MAX_BYTES + 1) <= BACKEND_KEY_MAX_BYTES &&
	       backend_key_is_valid(name);
}

/* Whether the keys that begin with key + name (all of them, for a directory) are wanted. */
static bool is_wanted(const struct tree_listing *l, const char *name, bool is_directory)
{
	char key[sizeof(l->key) + TREE_NAME_BYTES];
	size_t size = (size_t)snprintf(key, sizeof(key), "%s%s", l->key, name);
	size_t prefix_size = strlen(l->prefix);

	if (strncmp(key, l->prefix, size < prefix_size && is_directory ? size : prefix_size) != 0)
		return false;
	if (strcmp(key, l->after) > 0)
		return true;
	return is_directory && strncmp(key, l->after, size) == 0;
}

static int add(struct tree_names *names, const struct tree_name *template, const char *name)
{
	size_t capacity = names->capacity == 0 ? 64 : 2 * names->capacity;

	if (names->n == names->capacity) {
		struct tree_name *grown = realloc(names->names, capacity * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		names->names = grown;
		names->capacity = capacity;
	}
	names->names[names->n] = *template;
	names->names[names->n].name = strdup(name);
	if (names->names[names->n].name == NULL)
		return -ENOMEM;
	names->n++;
	return 0;
}

int tree_names_keep(struct tree_names *names, const struct tree_name *template)
{
	return add(names, template, template->name);
}

int tree_names_add(
	struct tree_names *names, const struct tree_listing *l, const struct tree_name *template)
{
	char as_directory[BACKEND_KEY_MAX_BYTES + 2];
	int r = 0;

	if (is_wanted(l, template->name, false))
		r = add(names, template, template->name);
	if (r < 0 || !template->is_directory)
		return r;
	snprintf(as_directory, sizeof(as_directory), "%s/", template->name);
	return is_wanted(l, as_directory, true) ? add(names, template, as_directory) : 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct tree_name *)a)->name, ((const struct tree_name *)b)->name);
}

void tree_names_sort(struct tree_names *names)
{
	size_t n = 0;

	if (names->n < 2)
		return;
	qsort(names->names, names->n, sizeof(*names->names), compare_names);
	for (size_t i = 0; i < names->n; i++) {
		if (n > 0 && compare_names(&names->names[n - 1], &names->names[i]) == 0)
			free(names->names[i].name);
		else
			names->names[n++] = names->names[i];
	}
	names->n = n;
}

void tree_names_done(struct tree_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i].name);
	free(names->names);
}

size_t tree_listing_enter(struct tree_listing *l, const char *name)
{
	size_t size = strlen(l->key);

	snprintf(l->key + size, sizeof(l->key) - size, "%s", name);
	return size;
}

void tree_listing_leave(struct tree_listing *l, size_t size)
{
	l->key[size] = '\0';
}

int tree_listing_add(
	struct tree_listing *l, const char *name, uint64_t size_bytes, int64_t modified_ms)
{
	struct backend_result *result = l->result;
	char key[sizeof(l->key) + TREE_NAME_BYTES];

	if (result->n_entries == l->max_entries) {
		l->is_full = true;
		result->continuation = strdup(result->entries[result->n_entries - 1].key);
		return result->continuation == NULL ? -ENOMEM : 0;
	}
	snprintf(key, sizeof(key), "%s%s", l->key, name);
	return backend_result_add_entry(result, key, size_bytes, modified_ms);
}
