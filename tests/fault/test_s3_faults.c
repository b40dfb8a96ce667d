/*
 * test_s3_faults.c: the S3 driver against a server on which everything goes wrong. Run by the
 * scripts s3-faults and s3-restart.
 */
#include <config.h>
#include "check_main.h"
#include "store_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backends/registry.h"
#include "util/parse_number.h"

static uint16_t upstream_port(void)
{
	const char *endpoint = store_faults_environment("S3_ENDPOINT");
	uint64_t port = 0;

	ck_assert_int_eq(parse_number_u64(strrchr(endpoint, ':') + 1, UINT16_MAX, &port), 0);
	return (uint16_t)port;
}

static struct backend *open_store(uint16_t port)
{
	const char *options[] = {NULL, "path_style", NULL};
	char endpoint[64], url[128], *message = NULL;
	struct backend *b = NULL;

	snprintf(endpoint, sizeof(endpoint), "endpoint=http://127.0.0.1:%u", port);
	options[0] = endpoint;
	snprintf(url, sizeof(url), "s3://%s/store", store_faults_environment("S3_BUCKET"));
	ck_assert_msg(backend_open_url(url, options, &b, &message) == 0, "%s", message);
	return b;
}

static const char *const refusals[] = {
	"status=500",
	"status=500:after",
	"status=503",
	"status=503:after",
	"status=429",
	NULL,
};

static const struct store_target s3 = {
	.protocol = &proxy_http,
	.upstream_port = upstream_port,
	.open = open_store,
	.detects_damage = true,
	.refusals = refusals,
};

Suite *test_suite(void)
{
	Suite *suite = suite_create("s3_faults");

	store_target = &s3;
	store_faults_add_cases(suite);
	store_faults_add_damage_case(suite);
	store_faults_add_restart_case(suite);
	return suite;
}
