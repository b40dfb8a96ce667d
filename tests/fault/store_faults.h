/*
 * store_faults.h: what any driver that speaks to a server must survive, with the fault proxy in
 * between and the retry wrapper on top, as in a mount. A test program defines a target and adds
 * the cases.
 *
 * For each operation and each fault: every call ends within its deadline, in success or in a clean
 * error; no acknowledged object is missing or different; no wrong byte is returned. The faults that
 * pass strike each of the requests that an operation makes, one after the other.
 */
#ifndef MAILFS_TESTS_FAULT_STORE_FAULTS_H
#define MAILFS_TESTS_FAULT_STORE_FAULTS_H

#include <check.h>
#include "backends/backend.h"
#include "proxy/proxy.h"

struct store_target {
	const struct proxy_protocol *protocol;
	/* The server's port, which the proxy forwards to. */
	uint16_t (*upstream_port)(void);
	/* The driver alone, on the server at this port; a failure ends the test. */
	struct backend *(*open)(uint16_t port);
	/* A damaged answer to a get of a whole object is found out by the driver. */
	bool detects_damage;
	/* What else can go wrong, as rules without an operation ("status=503"); ends with NULL. */
	const char *const *refusals;
};

extern const struct store_target *store_target;

/* Faults on the way. */
void store_faults_add_cases(Suite *suite);

/* Damage, and the checksums of body objects. */
void store_faults_add_damage_case(Suite *suite);

/* The server is killed by the command in MAILFS_TEST_SERVER_KILL, and started again by the one in
 * MAILFS_TEST_SERVER_RESTART. */
void store_faults_add_restart_case(Suite *suite);

/* Environment variable, or the end of the test. */
const char *store_faults_environment(const char *name);

#endif
