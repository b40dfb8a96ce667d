#include <config.h>
#include "battery_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GETS 50

const struct battery_target *battery_target;
struct backend *battery_backend;

static void set_up(void)
{
	battery_backend = battery_target->open();
	ck_assert_ptr_nonnull(battery_backend);
}

static void tear_down(void)
{
	backend_free(battery_backend);
	battery_target->clean();
}

TCase *battery_case(const char *name, double timeout_s)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_set_timeout(tc, timeout_s);
	return tc;
}

void battery_add_cases(Suite *suite)
{
	suite_add_tcase(suite, battery_basic_case());
	suite_add_tcase(suite, battery_copy_case());
	suite_add_tcase(suite, battery_list_case());
	suite_add_tcase(suite, battery_limits_case());
	suite_add_tcase(suite, battery_cancel_case());
	suite_add_tcase(suite, battery_race_case());
	if (battery_target->open_again != NULL)
		suite_add_tcase(suite, battery_process_case());
}

int battery_put(struct backend *b, const char *key, const char *text,
	const struct backend_condition *condition, struct backend_version *ret_version)
{
	struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
	struct backend_result result;
	int r = backend_put_wait(b, key, &part, 1, condition, &result);

	if (r == 0 && ret_version != NULL)
		*ret_version = result.version;
	backend_result_done(&result);
	return r;
}

int battery_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret)
{
	int r = -EIO;

	for (int i = 0; i < MAX_GETS; i++) {
		r = backend_get_wait(b, key, offset, size_bytes, ret);
		if (r != -EIO || !battery_target->is_unsure)
			break;
	}
	return r;
}

void battery_assert_is(struct backend *b, const char *key, const char *text)
{
	struct backend_result result;

	ck_assert_int_eq(backend_get_wait(b, key, 0, SIZE_MAX, &result), 0);
	ck_assert_uint_eq(result.data_size_bytes, strlen(text));
	ck_assert_uint_eq(result.object_size_bytes, strlen(text));
	if (*text != '\0')
		ck_assert_mem_eq(result.data, text, strlen(text));
	backend_result_done(&result);
}

void battery_gate_init(struct battery_gate *gate, size_t n)
{
	*gate = (struct battery_gate){.n_left = n};
	lock_init(&gate->lock);
	lock_condition_init(&gate->changed);
}

void battery_gate_pass(struct backend_result *result, void *arg)
{
	struct battery_gate *gate = arg;

	lock_acquire(&gate->lock);
	gate->n_ok += result->error == 0;
	if (result->error < 0)
		gate->last_error = result->error;
	if (--gate->n_left == 0)
		lock_condition_signal(&gate->changed);
	lock_release(&gate->lock);
}

void battery_gate_wait(struct battery_gate *gate)
{
	lock_acquire(&gate->lock);
	while (gate->n_left > 0)
		lock_condition_wait(&gate->changed, &gate->lock);
	lock_release(&gate->lock);
	lock_condition_done(&gate->changed);
	lock_done(&gate->lock);
}
