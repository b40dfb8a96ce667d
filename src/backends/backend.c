/*
 * backend.c: the checked way into every backend, and what all drivers share.
 */
#include <config.h>
#include "backends/backend.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "backends/call_guard.h"
#include "util/clock.h"

static bool key_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool component_is_valid(const char *text, size_t size)
{
	if (size == 0 || size > BACKEND_KEY_COMPONENT_MAX_BYTES)
		return false;
	if (text[0] == '.' && (size == 1 || (size == 2 && text[1] == '.')))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!key_character(text[i]))
			return false;
	}
	return true;
}

bool backend_key_is_valid(const char *key)
{
	if (strnlen(key, BACKEND_KEY_MAX_BYTES + 1) > BACKEND_KEY_MAX_BYTES)
		return false;
	for (;;) {
		size_t size = strcspn(key, "/");

		if (!component_is_valid(key, size))
			return false;
		if (key[size] == '\0')
			return true;
		key += size + 1;
	}
}

/* Whole components must be right; the last one is only the beginning of one. */
bool backend_prefix_is_valid(const char *prefix)
{
	if (strnlen(prefix, BACKEND_KEY_MAX_BYTES + 1) > BACKEND_KEY_MAX_BYTES)
		return false;
	for (;;) {
		size_t size = strcspn(prefix, "/");

		if (prefix[size] == '\0')
			break;
		if (!component_is_valid(prefix, size))
			return false;
		prefix += size + 1;
	}
	for (; *prefix != '\0'; prefix++) {
		if (!key_character(*prefix))
			return false;
	}
	return true;
}

size_t backend_parts_size_bytes(const struct iovec *parts, int n_parts)
{
	size_t total = 0;

	for (int i = 0; i < n_parts; i++) {
		if (__builtin_add_overflow(total, parts[i].iov_len, &total))
			return SIZE_MAX;
	}
	return total;
}

uint64_t backend_deadline_ms(const struct backend_call *call)
{
	return clock_monotonic_ms() + call->timeout_ms;
}

bool backend_is_cancelled(struct backend_cancellation *cancellation)
{
	return cancellation != NULL && atomic_load(&cancellation->is_cancelled);
}

void backend_look_for_cancelled(struct backend *b)
{
	if (b->ops->cancel != NULL)
		b->ops->cancel(b);
}

void backend_cancel(struct backend *b, struct backend_cancellation *cancellation)
{
	atomic_store(&cancellation->is_cancelled, true);
	backend_look_for_cancelled(b);
}

/* The error a call ends with before the driver sees it; `error` is what its arguments give. */
static int check_call(int error, const struct backend_call *call)
{
	if (error == 0 && backend_is_cancelled(call->cancellation))
		return -ECANCELED;
	return error;
}

static int check_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition)
{
	struct backend_capabilities capabilities;

	if (!backend_key_is_valid(key) || n_parts < 0 || (n_parts > 0 && parts == NULL))
		return -EINVAL;
	if (memchr(condition->version.text, '\0', sizeof(condition->version.text)) == NULL)
		return -EINVAL;
	backend_get_capabilities(b, &capabilities);
	if (backend_parts_size_bytes(parts, n_parts) > capabilities.max_object_bytes)
		return -EFBIG;
	if (condition->type == BACKEND_IF_ABSENT && !capabilities.put_if_absent)
		return -EOPNOTSUPP;
	if (condition->type == BACKEND_IF_VERSION && !capabilities.compare_and_swap)
		return -EOPNOTSUPP;
	return 0;
}

void backend_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call)
{
	static const struct backend_condition always = {.type = BACKEND_ALWAYS};
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	int r;

	if (condition == NULL)
		condition = &always;
	r = check_call(check_put(b, key, parts, n_parts, condition), &checked);
	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->put(b, key, parts, n_parts, condition, &checked);
	call_guard_leave(guard);
}

void backend_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	bool is_valid = backend_key_is_valid(key) && offset <= INT64_MAX;
	int r = check_call(is_valid ? 0 : -EINVAL, &checked);

	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->get(b, key, offset, size_bytes, &checked);
	call_guard_leave(guard);
}

void backend_head(struct backend *b, const char *key, const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	int r = check_call(backend_key_is_valid(key) ? 0 : -EINVAL, &checked);

	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->head(b, key, &checked);
	call_guard_leave(guard);
}

static int check_copy(struct backend *b, const char *from, const char *to)
{
	struct backend_capabilities capabilities;

	if (!backend_key_is_valid(from) || !backend_key_is_valid(to))
		return -EINVAL;
	backend_get_capabilities(b, &capabilities);
	return b->ops->copy != NULL && capabilities.copy ? 0 : -EOPNOTSUPP;
}

void backend_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	int r = check_call(check_copy(b, from, to), &checked);

	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->copy(b, from, to, &checked);
	call_guard_leave(guard);
}

void backend_remove(struct backend *b, const char *key, const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	int r = check_call(backend_key_is_valid(key) ? 0 : -EINVAL, &checked);

	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->remove(b, key, &checked);
	call_guard_leave(guard);
}

static int check_remove_many(struct backend *b, const char *const *keys, size_t n_keys)
{
	struct backend_capabilities capabilities;

	backend_get_capabilities(b, &capabilities);
	if (n_keys > capabilities.max_delete_many)
		return -EINVAL;
	for (size_t i = 0; i < n_keys; i++) {
		if (!backend_key_is_valid(keys[i]))
			return -EINVAL;
	}
	return 0;
}

/* The default of remove_many: one remove for each key, gathered. */
struct removal {
	struct backend_call call;
	atomic_size_t left;
	atomic_bool failed, is_cancelled;
};

static void one_removed(struct backend_result *result, void *arg)
{
	struct removal *removal = arg;
	int error = 0;

	if (result->error == -ECANCELED)
		atomic_store(&removal->is_cancelled, true);
	else if (result->error < 0)
		atomic_store(&removal->failed, true);
	if (atomic_fetch_sub(&removal->left, 1) != 1)
		return;
	if (atomic_load(&removal->failed))
		error = -EIO;
	else if (atomic_load(&removal->is_cancelled))
		error = -ECANCELED;
	backend_complete_error(&removal->call, error);
	free(removal);
}

static void remove_one_by_one(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call)
{
	struct removal *removal = calloc(1, sizeof(*removal));
	struct backend_call each = *call;

	if (removal == NULL) {
		b->ops->answer(b, -ENOMEM, call);
		return;
	}
	removal->call = *call;
	atomic_init(&removal->left, n_keys);
	each.done = one_removed;
	each.arg = removal;
	for (size_t i = 0; i < n_keys; i++)
		b->ops->remove(b, keys[i], &each);
}

void backend_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	int r = check_call(check_remove_many(b, keys, n_keys), &checked);

	if (r < 0 || n_keys == 0)
		b->ops->answer(b, r, &checked);
	else if (b->ops->remove_many != NULL)
		b->ops->remove_many(b, keys, n_keys, &checked);
	else
		remove_one_by_one(b, keys, n_keys, &checked);
	call_guard_leave(guard);
}

void backend_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call)
{
	struct backend_call checked;
	struct call_guard *guard = call_guard_enter(b, call, &checked);
	bool is_valid = backend_prefix_is_valid(prefix) && max_entries > 0 &&
			max_entries <= BACKEND_LIST_MAX_ENTRIES;
	int r = check_call(is_valid ? 0 : -EINVAL, &checked);

	if (r < 0)
		b->ops->answer(b, r, &checked);
	else
		b->ops->list(b, prefix, continuation, max_entries, &checked);
	call_guard_leave(guard);
}

int backend_space(struct backend *b, struct backend_space *ret)
{
	return b->ops->space(b, ret);
}

void backend_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	b->ops->get_capabilities(b, ret);
}

void backend_complete(const struct backend_call *call, struct backend_result *result)
{
	call->done(result, call->arg);
	backend_result_done(result);
}

void backend_complete_error(const struct backend_call *call, int error)
{
	struct backend_result result = {.error = error};

	backend_complete(call, &result);
}

void backend_result_done(struct backend_result *result)
{
	free(result->data);
	for (size_t i = 0; i < result->n_entries; i++)
		free(result->entries[i].key);
	free(result->entries);
	free(result->continuation);
	result->data = NULL;
	result->data_size_bytes = 0;
	result->entries = NULL;
	result->n_entries = 0;
	result->continuation = NULL;
}

int backend_result_add_entry(
	struct backend_result *result, const char *key, uint64_t size_bytes, int64_t modified_ms)
{
	size_t n = result->n_entries;
	char *copy;

	/* The capacity is the next power of two. */
	if (n == 0 || (n & (n - 1)) == 0) {
		void *grown =
			realloc(result->entries, (n == 0 ? 1 : 2 * n) * sizeof(*result->entries));

		if (grown == NULL)
			return -ENOMEM;
		result->entries = grown;
	}
	copy = strdup(key);
	if (copy == NULL)
		return -ENOMEM;
	result->entries[n] = (struct backend_entry){
		.key = copy, .size_bytes = size_bytes, .modified_ms = modified_ms};
	result->n_entries++;
	return 0;
}

void backend_shutdown(struct backend *b)
{
	if (!atomic_exchange(&b->is_shut_down, true))
		b->ops->shutdown(b);
}

void backend_free(struct backend *b)
{
	if (b == NULL)
		return;
	backend_shutdown(b);
	b->ops->free(b);
}
