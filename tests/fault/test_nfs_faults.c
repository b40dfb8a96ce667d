/*
 * test_nfs_faults.c: the NFS driver against a server on which everything goes wrong. Run by the
 * script nfs-faults.
 */
#include <config.h>
#include "check_main.h"
#include "store_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include "backends/registry.h"
#include "util/parse_number.h"

static uint16_t upstream_port(void)
{
	uint64_t port = 0;

	ck_assert_int_eq(
		parse_number_u64(store_faults_environment("NFS_PORT"), UINT16_MAX, &port), 0);
	return (uint16_t)port;
}

/* The mount protocol has a port of its own, and goes there directly. */
static struct backend *open_store(uint16_t port)
{
	char url[512], *message = NULL;
	struct backend *b = NULL;

	snprintf(url, sizeof(url), "nfs://127.0.0.1%s?nfsport=%u&mountport=%s&version=3",
		store_faults_environment("NFS_EXPORT"), port,
		store_faults_environment("NFS_MOUNT_PORT"));
	ck_assert_msg(backend_open_url(url, NULL, &b, &message) == 0, "%s", message);
	return b;
}

static const char *const refusals[] = {
	"status=10008", /* NFS3ERR_JUKEBOX: later; nothing was done, by definition */
	"status=5",     /* NFS3ERR_IO */
	"status=5:after",
	NULL,
};

static const struct store_target nfs = {
	.protocol = &proxy_rpc,
	.upstream_port = upstream_port,
	.open = open_store,
	.detects_damage = false,
	.refusals = refusals,
};

Suite *test_suite(void)
{
	Suite *suite = suite_create("nfs_faults");

	store_target = &nfs;
	store_faults_add_cases(suite);
	store_faults_add_damage_case(suite);
	store_faults_add_restart_case(suite);
	return suite;
}
