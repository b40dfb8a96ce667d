#include <config.h>
#include "backends/memory_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/lock.h"

struct object {
	char *key;
	uint8_t *data;
	size_t size_bytes;
	int64_t modified_ms;
	uint64_t generation;
	bool record;
};

struct memory_store {
	char *name;                /* NULL: not shared */
	unsigned int references;   /* stores_lock */
	struct memory_store *next; /* stores_lock */
	struct lock lock;          /* of all below */
	struct object **objects;   /* sorted by key */
	size_t n_objects, capacity;
	uint64_t last_generation;
};

/* The stores that have a name: what memory:// means is a property of the process. */
static struct lock stores_lock = {PTHREAD_MUTEX_INITIALIZER};
static struct memory_store *named_stores; /* stores_lock */

static void object_free(struct object *object)
{
	if (object == NULL)
		return;
	free(object->key);
	free(object->data);
	free(object);
}

int memory_store_new(struct memory_store **ret)
{
	struct memory_store *store = calloc(1, sizeof(*store));

	if (store == NULL)
		return -ENOMEM;
	store->references = 1;
	lock_init(&store->lock);
	*ret = store;
	return 0;
}

static int make_named_locked(const char *name, struct memory_store **ret) REQUIRES(&stores_lock)
{
	struct memory_store *store;
	char *copy = strdup(name);

	if (copy == NULL || memory_store_new(&store) < 0) {
		free(copy);
		return -ENOMEM;
	}
	store->name = copy;
	store->next = named_stores;
	named_stores = store;
	*ret = store;
	return 0;
}

int memory_store_open(const char *name, struct memory_store **ret)
{
	struct memory_store *store;
	int r = 0;

	lock_acquire(&stores_lock);
	for (store = named_stores; store != NULL; store = store->next) {
		if (strcmp(store->name, name) == 0)
			break;
	}
	if (store != NULL) {
		store->references++;
		*ret = store;
	} else {
		r = make_named_locked(name, ret);
	}
	lock_release(&stores_lock);
	return r;
}

static bool drop_reference(struct memory_store *store)
{
	bool is_last;

	lock_acquire(&stores_lock);
	is_last = --store->references == 0;
	for (struct memory_store **p = &named_stores; is_last && *p != NULL; p = &(*p)->next) {
		if (*p == store) {
			*p = store->next;
			break;
		}
	}
	lock_release(&stores_lock);
	return is_last;
}

void memory_store_close(struct memory_store *store)
{
	if (store == NULL || !drop_reference(store))
		return;
	for (size_t i = 0; i < store->n_objects; i++)
		object_free(store->objects[i]);
	free(store->objects);
	free(store->name);
	lock_done(&store->lock);
	free(store);
}

/* The index of the first object whose key is not below `key`. */
static size_t find_locked(const struct memory_store *store, const char *key)
{
	size_t low = 0, high = store->n_objects;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(store->objects[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct object *lookup_locked(const struct memory_store *store, const char *key)
{
	size_t i = find_locked(store, key);

	if (i < store->n_objects && strcmp(store->objects[i]->key, key) == 0)
		return store->objects[i];
	return NULL;
}

static void set_version(const struct object *object, struct backend_result *ret)
{
	snprintf(ret->version.text, sizeof(ret->version.text), "m%" PRIu64, object->generation);
	ret->object_size_bytes = object->size_bytes;
}

static int check_condition(const struct object *existing, const struct backend_condition *condition)
{
	struct backend_result current = {.error = 0};

	if (condition->type == BACKEND_IF_ABSENT)
		return existing == NULL ? 0 : -EEXIST;
	if (condition->type == BACKEND_ALWAYS)
		return 0;
	if (existing == NULL)
		return -ESTALE;
	if (!existing->record)
		return -EOPNOTSUPP;
	set_version(existing, &current);
	return strcmp(current.version.text, condition->version.text) == 0 ? 0 : -ESTALE;
}

static struct object *object_new(const char *key, const struct iovec *parts, int n_parts)
{
	struct object *object = calloc(1, sizeof(*object));
	size_t at = 0;

	if (object == NULL)
		return NULL;
	object->size_bytes = backend_parts_size_bytes(parts, n_parts);
	object->key = strdup(key);
	object->data = malloc(object->size_bytes + 1);
	if (object->key == NULL || object->data == NULL) {
		object_free(object);
		return NULL;
	}
	for (int i = 0; i < n_parts; i++) {
		if (parts[i].iov_len > 0)
			memcpy(object->data + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	object->modified_ms = clock_realtime_ms();
	return object;
}

static int make_room_locked(struct memory_store *store)
{
	size_t capacity = store->capacity == 0 ? 64 : 2 * store->capacity;
	void *grown;

	if (store->n_objects < store->capacity)
		return 0;
	grown = realloc(store->objects, capacity * sizeof(*store->objects));
	if (grown == NULL)
		return -ENOMEM;
	store->objects = grown;
	store->capacity = capacity;
	return 0;
}

/* Puts `object` in its place; *ret_old is what was there. */
static int insert_locked(struct memory_store *store, struct object *object,
	const struct backend_condition *condition, struct object **ret_old)
{
	size_t i = find_locked(store, object->key);
	struct object *existing = lookup_locked(store, object->key);
	int r = check_condition(existing, condition);

	if (r == 0)
		r = make_room_locked(store);
	if (r < 0)
		return r;
	object->generation = ++store->last_generation;
	object->record = condition->type == BACKEND_IF_VERSION || condition->record ||
			 (existing != NULL && existing->record);
	if (existing == NULL) {
		memmove(store->objects + i + 1, store->objects + i,
			(store->n_objects - i) * sizeof(*store->objects));
		store->n_objects++;
	}
	store->objects[i] = object;
	*ret_old = existing;
	return 0;
}

void memory_store_put(struct memory_store *store, const char *key, const struct iovec *parts,
	int n_parts, const struct backend_condition *condition, struct backend_result *ret)
{
	struct object *object = object_new(key, parts, n_parts), *old = NULL;

	if (object == NULL) {
		ret->error = -ENOMEM;
		return;
	}
	lock_acquire(&store->lock);
	ret->error = insert_locked(store, object, condition, &old);
	if (ret->error == 0) {
		set_version(object, ret);
		object = NULL;
	}
	lock_release(&store->lock);
	ret->object_size_bytes = 0;
	object_free(object);
	object_free(old);
}

static int copy_range(
	const struct object *object, uint64_t offset, size_t size_bytes, struct backend_result *ret)
{
	if (offset > object->size_bytes)
		return -ERANGE;
	if (size_bytes > object->size_bytes - offset)
		size_bytes = object->size_bytes - (size_t)offset;
	if (size_bytes == 0)
		return 0;
	ret->data = malloc(size_bytes);
	if (ret->data == NULL)
		return -ENOMEM;
	memcpy(ret->data, object->data + offset, size_bytes);
	ret->data_size_bytes = size_bytes;
	return 0;
}

void memory_store_get(struct memory_store *store, const char *key, uint64_t offset,
	size_t size_bytes, struct backend_result *ret)
{
	struct object *object;

	lock_acquire(&store->lock);
	object = lookup_locked(store, key);
	ret->error = object == NULL ? -ENOENT : copy_range(object, offset, size_bytes, ret);
	if (ret->error == 0)
		set_version(object, ret);
	lock_release(&store->lock);
}

void memory_store_head(struct memory_store *store, const char *key, struct backend_result *ret)
{
	struct object *object;

	lock_acquire(&store->lock);
	object = lookup_locked(store, key);
	ret->error = object == NULL ? -ENOENT : 0;
	if (object != NULL) {
		set_version(object, ret);
		ret->modified_ms = object->modified_ms;
	}
	lock_release(&store->lock);
}

void memory_store_remove(struct memory_store *store, const char *key)
{
	struct object *object;

	lock_acquire(&store->lock);
	object = lookup_locked(store, key);
	if (object != NULL) {
		size_t i = find_locked(store, key);

		store->n_objects--;
		memmove(store->objects + i, store->objects + i + 1,
			(store->n_objects - i) * sizeof(*store->objects));
	}
	lock_release(&store->lock);
	object_free(object);
}

void memory_store_list(struct memory_store *store, const char *prefix, const char *after,
	size_t max_entries, struct backend_result *ret)
{
	size_t prefix_size = strlen(prefix);

	lock_acquire(&store->lock);
	for (size_t i = find_locked(
		     store, after != NULL && strcmp(after, prefix) > 0 ? after : prefix);
		i < store->n_objects && ret->error == 0; i++) {
		const struct object *object = store->objects[i];

		if (after != NULL && strcmp(object->key, after) <= 0)
			continue;
		if (strncmp(object->key, prefix, prefix_size) != 0)
			break;
		if (ret->n_entries == max_entries) {
			ret->continuation = strdup(ret->entries[max_entries - 1].key);
			ret->error = ret->continuation == NULL ? -ENOMEM : 0;
			break;
		}
		ret->error = backend_result_add_entry(
			ret, object->key, object->size_bytes, object->modified_ms);
	}
	lock_release(&store->lock);
}
