#include <config.h>
#include "store_scene.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/retry_backend.h"
#include "util/clock.h"

#define OLD_SEED 1
#define NEW_SEED 2
#define MAX_RULES_BYTES 512
/* What a busy machine may add to a deadline. */
#ifdef MAILFS_SANITIZED
#define SLACK_MS 10000
#else
#define SLACK_MS 3000
#endif

const struct store_target *store_target;

const char *store_faults_environment(const char *name)
{
	const char *value = getenv(name);

	ck_assert_msg(value != NULL, "%s is not set: run this through its script", name);
	return value;
}

/* What a mount does with its probe: what a driver learns of its store from a put, it knows then. */
static void put_once(struct backend *b)
{
	struct iovec part = {(void *)(uintptr_t) "x", 1};
	struct backend_result result;

	ck_assert_int_eq(backend_put_wait(b, "faults/first", &part, 1, NULL, &result), 0);
	backend_result_done(&result);
}

void scene_open(struct scene *scene, uint32_t attempt_ms)
{
	const struct retry_backend_options quick = {
		.initial_pause_ms = 5,
		.max_pause_ms = 100,
		.attempt_timeout_ms = attempt_ms,
	};

	ck_assert_int_eq(
		proxy_new(store_target->protocol, store_target->upstream_port(), &scene->proxy), 0);
	scene->direct = store_target->open(store_target->upstream_port());
	ck_assert_int_eq(retry_backend_new(
				 store_target->open(proxy_port(scene->proxy)), &quick, &scene->top),
		0);
	put_once(scene->top);
}

void scene_close(struct scene *scene)
{
	backend_free(scene->top);
	backend_free(scene->direct);
	proxy_free(scene->proxy);
}

void scene_set_rules(struct scene *scene, const char *format, ...)
{
	char text[MAX_RULES_BYTES], *message = NULL;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ck_assert_msg(proxy_set_rules(scene->proxy, text, &message) == 0, "%s", message);
}

const char *scene_operation_name(enum scene_operation operation)
{
	static const char *const names[SCENE_N_OPERATIONS] = {"put", "put if absent",
		"compare and swap", "get", "get of a range", "head", "list", "remove",
		"remove of many"};

	return names[operation];
}

void scene_fill(uint8_t *data, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)rand_r(&seed);
}

static void put_old(struct scene_call *call, const char *key, bool record)
{
	const struct backend_condition condition = {.type = BACKEND_ALWAYS, .record = record};
	struct iovec part = {call->content, sizeof(call->content)};
	struct backend_result result;

	scene_fill(call->content, sizeof(call->content), OLD_SEED);
	ck_assert_int_eq(
		backend_put_wait(call->scene->direct, key, &part, 1, &condition, &result), 0);
	call->version = result.version;
	backend_result_done(&result);
}

void scene_call_prepare(struct scene_call *call, struct scene *scene,
	enum scene_operation operation, const char *tag)
{
	bool is_new = operation == SCENE_PUT_IF_ABSENT;
	bool has_many = operation == SCENE_LIST || operation == SCENE_REMOVE_MANY;

	*call = (struct scene_call){.scene = scene, .operation = operation};
	lock_init(&call->lock);
	lock_condition_init(&call->changed);
	snprintf(call->prefix, sizeof(call->prefix), "faults/%s-%d", tag, operation);
	for (int i = 0; i < SCENE_N_LISTED; i++) {
		snprintf(call->keys[i], sizeof(call->keys[i]), "%s/key-%d", call->prefix, i);
		call->key_pointers[i] = call->keys[i];
		if (!is_new && (i == 0 || has_many))
			put_old(call, call->keys[i], operation == SCENE_SWAP);
	}
	scene_fill(call->content, sizeof(call->content), NEW_SEED);
	call->part = (struct iovec){call->content, sizeof(call->content)};
}

void scene_call_prepare_rival(
	struct scene_call *call, const struct scene_call *first, unsigned int seed)
{
	*call = (struct scene_call){.scene = first->scene,
		.operation = first->operation,
		.version = first->version,
		.part = {call->content, sizeof(call->content)}};
	lock_init(&call->lock);
	lock_condition_init(&call->changed);
	memcpy(call->keys[0], first->keys[0], sizeof(call->keys[0]));
	scene_fill(call->content, sizeof(call->content), seed);
}

static void done(struct backend_result *result, void *arg)
{
	struct scene_call *call = arg;

	lock_acquire(&call->lock);
	call->result = *result;
	result->data = NULL;
	result->entries = NULL;
	result->n_entries = 0;
	result->continuation = NULL;
	call->took_ms = clock_monotonic_ms() - call->begun_ms;
	call->is_done = true;
	lock_condition_signal(&call->changed);
	lock_release(&call->lock);
}

static void start_put(struct scene_call *call, const struct backend_call *how)
{
	struct backend_condition condition = {.type = BACKEND_ALWAYS};

	if (call->operation == SCENE_PUT_IF_ABSENT)
		condition.type = BACKEND_IF_ABSENT;
	if (call->operation == SCENE_SWAP) {
		condition.type = BACKEND_IF_VERSION;
		condition.version = call->version;
	}
	backend_put(call->scene->top, call->keys[0], &call->part, 1, &condition, how);
}

void scene_call_start(struct scene_call *call, uint32_t timeout_ms)
{
	struct backend *top = call->scene->top;
	const struct backend_call how = {
		.priority = BACKEND_COMMIT, .timeout_ms = timeout_ms, .done = done, .arg = call};

	backend_result_done(&call->result);
	call->result = (struct backend_result){0};
	call->is_done = false;
	call->begun_ms = clock_monotonic_ms();
	switch (call->operation) {
	case SCENE_GET:
		backend_get(top, call->keys[0], 0, SCENE_OBJECT_BYTES + 1, &how);
		break;
	case SCENE_GET_RANGE:
		backend_get(top, call->keys[0], SCENE_RANGE_OFFSET, SCENE_RANGE_BYTES, &how);
		break;
	case SCENE_HEAD:
		backend_head(top, call->keys[0], &how);
		break;
	case SCENE_LIST:
		backend_list(top, call->prefix, NULL, SCENE_N_LISTED + 1, &how);
		break;
	case SCENE_REMOVE:
		backend_remove(top, call->keys[0], &how);
		break;
	case SCENE_REMOVE_MANY:
		backend_remove_many(top, call->key_pointers, SCENE_N_LISTED, &how);
		break;
	default:
		start_put(call, &how);
	}
}

int scene_call_wait(struct scene_call *call, uint32_t timeout_ms)
{
	uint64_t end_ms = call->begun_ms + timeout_ms + SLACK_MS;
	int r = 0;

	lock_acquire(&call->lock);
	while (!call->is_done && r == 0)
		r = lock_condition_wait_until(&call->changed, &call->lock, end_ms);
	lock_release(&call->lock);
	ck_assert_msg(call->is_done, "%s is not done %d ms after its deadline of %u ms",
		scene_operation_name(call->operation), SLACK_MS, timeout_ms);
	return call->result.error;
}

/* Of a busy radosgw with broken uploads: it answers 500 to a plain get now and then. */
#define LOOKS 20
#define LOOK_PAUSE_MS 100

/* What is there, without proxy or wrapper. */
static int look(struct scene_call *call, const char *key, struct backend_result *ret)
{
	int r = -EIO;

	for (int i = 0; i < LOOKS && r == -EIO; i++) {
		if (i > 0)
			clock_sleep_ms(LOOK_PAUSE_MS);
		r = backend_get_wait(call->scene->direct, key, 0, SCENE_OBJECT_BYTES + 1, ret);
	}
	return r;
}

/* 'o': the old content; 'n': the new; '-': there is no object. All else ends the test. */
static char state_of(struct scene_call *call, const char *key, const char *what)
{
	uint8_t old[SCENE_OBJECT_BYTES];
	struct backend_result result;
	int r = look(call, key, &result);
	char state = '?';

	scene_fill(old, sizeof(old), OLD_SEED);
	if (r == -ENOENT)
		state = '-';
	else if (r == 0 && result.data_size_bytes == SCENE_OBJECT_BYTES &&
		 memcmp(result.data, old, sizeof(old)) == 0)
		state = 'o';
	else if (r == 0 && result.data_size_bytes == SCENE_OBJECT_BYTES &&
		 memcmp(result.data, call->content, sizeof(call->content)) == 0)
		state = 'n';
	ck_assert_msg(state != '?', "%s, %s: %s is damaged: error %d, %zu bytes", what,
		scene_operation_name(call->operation), key, r, result.data_size_bytes);
	backend_result_done(&result);
	return state;
}

static void assert_states(struct scene_call *call, const char *allowed, const char *what)
{
	bool has_many = call->operation == SCENE_LIST || call->operation == SCENE_REMOVE_MANY;

	for (int i = 0; i < (has_many ? SCENE_N_LISTED : 1); i++) {
		char state = state_of(call, call->keys[i], what);

		ck_assert_msg(strchr(allowed, state) != NULL,
			"%s, %s: the object is '%c' where one of '%s' must be", what,
			scene_operation_name(call->operation), state, allowed);
	}
}

static void assert_data(struct scene_call *call, size_t offset, size_t size, const char *what)
{
	const char *name = scene_operation_name(call->operation);
	uint8_t old[SCENE_OBJECT_BYTES];

	scene_fill(old, sizeof(old), OLD_SEED);
	ck_assert_msg(call->result.data_size_bytes == size, "%s, %s: %zu bytes instead of %zu",
		what, name, call->result.data_size_bytes, size);
	ck_assert_msg(memcmp(call->result.data, old + offset, size) == 0, "%s, %s: wrong bytes",
		what, name);
	ck_assert_msg(call->result.object_size_bytes == SCENE_OBJECT_BYTES,
		"%s, %s: the object's size is wrong", what, name);
}

static void assert_listed(struct scene_call *call, const char *what)
{
	ck_assert_msg(call->result.n_entries == SCENE_N_LISTED, "%s, list: %zu entries", what,
		call->result.n_entries);
	for (size_t i = 0; i < SCENE_N_LISTED; i++) {
		ck_assert_msg(strcmp(call->result.entries[i].key, call->keys[i]) == 0,
			"%s, list: %s instead of %s", what, call->result.entries[i].key,
			call->keys[i]);
		ck_assert_uint_eq(call->result.entries[i].size_bytes, SCENE_OBJECT_BYTES);
	}
}

void scene_call_assert_success(struct scene_call *call, const char *what)
{
	switch (call->operation) {
	case SCENE_GET:
		assert_data(call, 0, SCENE_OBJECT_BYTES, what);
		break;
	case SCENE_GET_RANGE:
		assert_data(call, SCENE_RANGE_OFFSET, SCENE_RANGE_BYTES, what);
		break;
	case SCENE_HEAD:
		ck_assert_msg(call->result.object_size_bytes == SCENE_OBJECT_BYTES,
			"%s, head: size %llu", what,
			(unsigned long long)call->result.object_size_bytes);
		break;
	case SCENE_LIST:
		assert_listed(call, what);
		break;
	case SCENE_REMOVE:
	case SCENE_REMOVE_MANY:
		assert_states(call, "-", what);
		break;
	default:
		assert_states(call, "n", what);
	}
}

bool scene_call_is_there(struct scene_call *call)
{
	struct backend_result result;
	bool is_there;

	ck_assert_int_eq(look(call, call->keys[0], &result), 0);
	is_there = result.data_size_bytes == SCENE_OBJECT_BYTES &&
		   memcmp(result.data, call->content, SCENE_OBJECT_BYTES) == 0;
	backend_result_done(&result);
	return is_there;
}

void scene_call_assert_whole(struct scene_call *call, const char *what)
{
	static const char *const allowed[SCENE_N_OPERATIONS] = {
		[SCENE_PUT] = "on",
		[SCENE_PUT_IF_ABSENT] = "-n",
		[SCENE_SWAP] = "on",
		[SCENE_GET] = "o",
		[SCENE_GET_RANGE] = "o",
		[SCENE_HEAD] = "o",
		[SCENE_LIST] = "o",
		[SCENE_REMOVE] = "-o",
		[SCENE_REMOVE_MANY] = "-o",
	};

	assert_states(call, allowed[call->operation], what);
}

void scene_call_done(struct scene_call *call)
{
	backend_result_done(&call->result);
	lock_condition_done(&call->changed);
	lock_done(&call->lock);
}
