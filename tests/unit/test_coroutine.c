#include <config.h>
#include "check_main.h"

#include "util/coroutine.h"

#include <stdlib.h>
#include <string.h>

#define STACK_BYTES (64 << 10)
#define N_MANY 100

struct work {
	struct coroutine *c;
	int steps, n_pauses;
	char text[32];
};

/* Uses its stack before and after each pause. */
static void work(void *arg)
{
	struct work *w = arg;
	char text[32];

	memcpy(text, w->text, sizeof(text));
	for (int i = 0; i < w->n_pauses; i++) {
		w->steps++;
		coroutine_pause(w->c);
		ck_assert_str_eq(text, w->text);
	}
	w->steps += 100;
}

START_TEST(test_pauses_and_goes_on)
{
	struct work w = {.n_pauses = 3, .text = "one"};

	ck_assert_int_eq(coroutine_new(STACK_BYTES, &w.c), 0);
	ck_assert(!coroutine_is_busy(w.c));
	coroutine_start(w.c, work, &w);
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(w.steps, i);
		ck_assert(coroutine_is_busy(w.c));
		coroutine_resume(w.c);
	}
	ck_assert_int_eq(w.steps, 103);
	ck_assert(!coroutine_is_busy(w.c));
	coroutine_free(w.c);
}
END_TEST

START_TEST(test_is_used_again)
{
	struct work w = {.n_pauses = 0, .text = "two"};

	ck_assert_int_eq(coroutine_new(STACK_BYTES, &w.c), 0);
	for (int i = 1; i <= 1000; i++) {
		coroutine_start(w.c, work, &w);
		ck_assert_int_eq(w.steps, 100 * i);
	}
	coroutine_free(w.c);
	coroutine_free(NULL);
}
END_TEST

START_TEST(test_many_take_turns)
{
	static struct work w[N_MANY];

	for (int i = 0; i < N_MANY; i++) {
		w[i].n_pauses = i;
		w[i].text[0] = (char)('a' + i % 26);
		ck_assert_int_eq(coroutine_new(STACK_BYTES, &w[i].c), 0);
		coroutine_start(w[i].c, work, &w[i]);
	}
	for (int round = 0; round < N_MANY; round++) {
		for (int i = N_MANY - 1; i >= 0; i--) {
			if (coroutine_is_busy(w[i].c))
				coroutine_resume(w[i].c);
		}
	}
	for (int i = 0; i < N_MANY; i++) {
		ck_assert(!coroutine_is_busy(w[i].c));
		ck_assert_int_eq(w[i].steps, 100 + i);
		coroutine_free(w[i].c);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("coroutine");
	TCase *tc = tcase_create("coroutine");

	tcase_add_test(tc, test_pauses_and_goes_on);
	tcase_add_test(tc, test_is_used_again);
	tcase_add_test(tc, test_many_take_turns);
	suite_add_tcase(suite, tc);
	return suite;
}
