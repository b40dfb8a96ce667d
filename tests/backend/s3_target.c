#include <config.h>
#include "s3_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/registry.h"
#include "backends/retry_backend.h"
#include "util/cleanup.h"
#include "util/uuid.h"

#define MAX_OPTIONS 32

bool s3_target_retries;
static char store_url[1024];

static struct backend *open_url(const char *url)
{
	const char *text = getenv("MAILFS_TEST_S3_OPTIONS");
	CLEANUP_FREE char *copy = strdup(text != NULL ? text : "");
	CLEANUP_FREE char *message = NULL;
	const char *options[MAX_OPTIONS + 1];
	struct backend *b = NULL;
	char *rest = NULL;
	size_t n = 0;

	for (char *o = strtok_r(copy, ",", &rest); o != NULL && n < MAX_OPTIONS;
		o = strtok_r(NULL, ",", &rest))
		options[n++] = o;
	options[n] = NULL;
	if (backend_open_url(url, options, &b, &message) < 0)
		fprintf(stderr, "cannot open %s: %s\n", url, message);
	if (b != NULL && s3_target_retries)
		ck_assert_int_eq(retry_backend_new(b, NULL, &b), 0);
	return b;
}

static struct backend *open_again(void)
{
	return open_url(store_url);
}

static struct backend *open_new(void)
{
	struct uuid uuid;
	char name[UUID_TEXT_BYTES];

	ck_assert_int_eq(uuid_generate(&uuid), 0);
	uuid_format(&uuid, name);
	snprintf(store_url, sizeof(store_url), "%s/%s", getenv("MAILFS_TEST_S3_URL"), name);
	return open_again();
}

static void remove_page(struct backend *b, struct backend_result *page)
{
	for (size_t i = 0; i < page->n_entries; i++)
		ck_assert_int_eq(backend_remove_wait(b, page->entries[i].key), 0);
}

static void clean(void)
{
	struct backend *b = open_again();
	bool is_empty = false;

	ck_assert_ptr_nonnull(b);
	while (!is_empty) {
		struct backend_result page;

		ck_assert_int_eq(backend_list_wait(b, "", NULL, 1000, &page), 0);
		remove_page(b, &page);
		is_empty = page.continuation == NULL;
		backend_result_done(&page);
	}
	backend_free(b);
}

const struct battery_target s3_target = {
	.open = open_new,
	.open_again = open_again,
	.clean = clean,
	.is_unsure = true,
};

bool s3_target_is_there(void)
{
	const char *url = getenv("MAILFS_TEST_S3_URL");

	if (url != NULL && *url != '\0')
		return true;
	printf("1..0 # SKIP MAILFS_TEST_S3_URL is not set: there is no S3 store to test with\n");
	return false;
}
