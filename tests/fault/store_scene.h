/*
 * store_scene.h: a backend that reaches its server through the fault proxy, another one that does
 * so directly, and one call of each operation to try on them.
 */
#ifndef MAILFS_TESTS_FAULT_STORE_SCENE_H
#define MAILFS_TESTS_FAULT_STORE_SCENE_H

#include "store_faults.h"
#include "util/lock.h"

/* More than a packet, and no multiple of anything. */
#define SCENE_OBJECT_BYTES 8205
#define SCENE_RANGE_OFFSET 4000
#define SCENE_RANGE_BYTES 2000
#define SCENE_N_LISTED 3

/* An attempt that hangs is given up after this. */
#ifdef MAILFS_SANITIZED
#define SCENE_ATTEMPT_MS 1500
#else
#define SCENE_ATTEMPT_MS 250
#endif

enum scene_operation {
	SCENE_PUT,
	SCENE_PUT_IF_ABSENT,
	SCENE_SWAP,
	SCENE_GET,
	SCENE_GET_RANGE,
	SCENE_HEAD,
	SCENE_LIST,
	SCENE_REMOVE,
	SCENE_REMOVE_MANY,
	SCENE_N_OPERATIONS,
};

struct scene {
	struct proxy *proxy;
	struct backend *direct;
	struct backend *top; /* retry wrapper over the driver, through the proxy */
};

/* One call, its objects, and what came of it. */
struct scene_call {
	struct scene *scene;
	enum scene_operation operation;
	char prefix[64];
	char keys[SCENE_N_LISTED][96];
	const char *key_pointers[SCENE_N_LISTED];
	uint8_t content[SCENE_OBJECT_BYTES]; /* the new object's */
	struct iovec part;
	struct backend_version version;
	uint64_t begun_ms, took_ms;

	struct lock lock; /* of the two below */
	struct lock_condition changed;
	bool is_done;
	struct backend_result result;
};

void scene_open(struct scene *scene);
void scene_close(struct scene *scene);

void scene_set_rules(struct scene *scene, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

const char *scene_operation_name(enum scene_operation operation);

/* `size` bytes that follow from the seed. */
void scene_fill(uint8_t *data, size_t size, unsigned int seed);

/* Puts the objects that the operation needs, without the proxy. `tag` makes the keys unique. */
void scene_call_prepare(struct scene_call *call, struct scene *scene,
	enum scene_operation operation, const char *tag);

/* The same on the same objects as `first`, with content of its own. */
void scene_call_prepare_rival(
	struct scene_call *call, const struct scene_call *first, unsigned int seed);

void scene_call_start(struct scene_call *call, uint32_t timeout_ms);

/* Waits until it is done; its error. Much later than its deadline is a failure of the test. */
int scene_call_wait(struct scene_call *call, uint32_t timeout_ms);

/* Asserts that the store has what the call, which was successful, says, and that it returned what
 * the store has. `what` is for messages. */
void scene_call_assert_success(struct scene_call *call, const char *what);

/* Whether the first object's content is the one that this call put. */
bool scene_call_is_there(struct scene_call *call);

/* Asserts that nothing but the state before or after the call is there. */
void scene_call_assert_whole(struct scene_call *call, const char *what);

void scene_call_done(struct scene_call *call);

#endif
