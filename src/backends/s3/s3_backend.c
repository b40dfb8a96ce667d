#include <config.h>
#include "backends/s3/s3_backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/s3/s3_internal.h"
#include "util/message.h"

#define DEFAULT_REGION "us-east-1"

static void begin_answer(struct s3_call *call)
{
	s3_call_complete(call, 0);
}

static void s3_answer_call(struct backend *b, int error, const struct backend_call *call)
{
	struct s3_backend *s3 = (struct s3_backend *)(void *)b;
	struct s3_call *c = s3_call_new(s3, "", begin_answer, call);

	if (c == NULL)
		return;
	if (call_queue_fail(s3->loop.queue, &c->queued, error))
		return;
	free(c);
	backend_complete_error(call, -ECANCELED);
}

static int s3_space(struct backend *b, struct backend_space *ret)
{
	(void)b, (void)ret;
	return -EOPNOTSUPP;
}

static void s3_get_capabilities(struct backend *b, struct backend_capabilities *ret)
{
	(void)b;
	*ret = (struct backend_capabilities){
		.put_if_absent = true,
		.compare_and_swap = true,
		.copy = true,
		.local = false,
		.max_object_bytes = S3_MAX_OBJECT_BYTES,
		.max_delete_many = S3_MAX_DELETE_KEYS,
	};
}

static void s3_cancel(struct backend *b)
{
	call_queue_look_for_cancelled(((struct s3_backend *)(void *)b)->loop.queue);
}

static void s3_shutdown(struct backend *b)
{
	s3_loop_stop((struct s3_backend *)(void *)b);
}

static void s3_free(struct backend *b)
{
	struct s3_backend *s3 = (struct s3_backend *)(void *)b;

	s3_keeper_free(s3->keeper); /* its thread wakes the loop */
	s3_loop_free(&s3->loop);
	s3_options_done(&s3->options);
	free(s3);
}

static const struct backend_ops s3_ops = {
	.name = "s3",
	.answer = s3_answer_call,
	.put = s3_put,
	.get = s3_get,
	.head = s3_head,
	.copy = s3_copy,
	.remove = s3_remove,
	.remove_many = s3_remove_many,
	.list = s3_list,
	.space = s3_space,
	.get_capabilities = s3_get_capabilities,
	.cancel = s3_cancel,
	.shutdown = s3_shutdown,
	.free = s3_free,
};

static struct s3_backend *new_backend(void)
{
	struct s3_backend *s3 = calloc(1, sizeof(*s3));

	if (s3 == NULL)
		return NULL;
	s3->base.ops = &s3_ops;
	list_init(&s3->loop.active);
	list_init(&s3->loop.parked);
	list_init(&s3->loop.failed);
	list_init(&s3->loop.idle);
	atomic_init(&s3->etag_form, S3_ETAG_UNKNOWN);
	return s3;
}

/* The option's region, that of the environment or the profile, or the default: then it may turn
 * out to be another. */
static int take_location(
	struct s3_backend *s3, const char *rest, bool *ret_is_region_given, char **ret_message)
{
	char region[S3_LOCATION_REGION_MAX_BYTES + 1] = DEFAULT_REGION;
	const char *chosen = s3->options.region;

	*ret_is_region_given = chosen != NULL;
	if (chosen == NULL) {
		if (!s3_credentials_find_region(s3->options.profile, region, sizeof(region)))
			memcpy(region, DEFAULT_REGION, sizeof(DEFAULT_REGION));
		chosen = region;
	}
	return s3_location_parse(rest, &s3->options, chosen, &s3->location, ret_message);
}

static int start(struct s3_backend *s3, const char *rest, char **ret_message)
{
	bool is_region_given;
	int r = take_location(s3, rest, &is_region_given, ret_message);

	if (r == 0)
		r = s3_keeper_new(s3->options.profile, s3->options.credentials_file, &s3->keeper,
			ret_message);
	if (r < 0)
		return r;
	r = s3_loop_start(s3);
	if (r < 0)
		return message_set(ret_message, r, "cannot start the S3 backend: %s", strerror(-r));
	return s3_check(s3, is_region_given, ret_message);
}

int s3_backend_open(
	const char *rest, const char *const *options, struct backend **ret, char **ret_message)
{
	struct s3_backend *s3 = new_backend();
	int r;

	if (s3 == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(s3);
		return message_set(ret_message, -ENOMEM, "out of memory");
	}
	r = s3_options_take(options, &s3->options, ret_message);
	if (r == 0)
		r = start(s3, rest, ret_message);
	if (r < 0) {
		backend_free(&s3->base);
		return r;
	}
	*ret = &s3->base;
	return 0;
}

bool s3_backend_has_option(const char *option)
{
	return s3_options_has(option);
}
