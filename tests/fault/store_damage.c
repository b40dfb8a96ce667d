/*
 * store_damage.c: damage on the way that no protocol notices is found by the checksums of what
 * mailfs stores; and what the driver finds by itself never gets that far.
 */
#include <config.h>
#include "store_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cache/body_object.h"
#include "store_scene.h"

static void put_body(struct scene *scene, const char *key, const struct uuid *id, uint8_t *body)
{
	struct iovec part = {body, SCENE_OBJECT_BYTES};
	struct body_object_buffer *object = malloc(sizeof(*object));
	struct backend_result result;

	scene_fill(body, SCENE_OBJECT_BYTES, 7);
	ck_assert_int_eq(body_object_encode(id, &part, 1, SCENE_OBJECT_BYTES, object), 0);
	ck_assert_int_eq(
		backend_put_wait(scene->direct, key, object->parts, object->n_parts, NULL, &result),
		0);
	backend_result_done(&result);
	body_object_buffer_done(object);
	free(object);
}

/* The whole object, as the cache gets it. */
START_TEST(test_damage_is_found)
{
	static const struct uuid id = {.bytes = {1, 2, 3}};
	uint8_t body[SCENE_OBJECT_BYTES];
	struct backend_result result;
	struct scene scene;
	void *content = NULL;
	size_t size;
	int r;

	scene_open(&scene);
	put_body(&scene, "damage/body", &id, body);
	scene_set_rules(&scene, "%s:times=1:corrupt",
		store_target->protocol == &proxy_http ? "get" : "read");
	ck_assert_int_eq(backend_get_wait(scene.top, "damage/body", 0, 1 << 20, &result), 0);
	ck_assert_uint_eq(proxy_hits(scene.proxy), 1);
	r = body_object_decode(result.data, result.data_size_bytes, &id, &content, &size);
	ck_assert_int_eq(r, store_target->detects_damage ? 0 : -EBADMSG);
	if (r == 0)
		ck_assert(size == SCENE_OBJECT_BYTES && memcmp(content, body, size) == 0);
	free(content);
	backend_result_done(&result);
	scene_close(&scene);
}
END_TEST

void store_faults_add_damage_case(Suite *suite)
{
	TCase *tc = tcase_create("damage");

	tcase_add_test(tc, test_damage_is_found);
	suite_add_tcase(suite, tc);
}
