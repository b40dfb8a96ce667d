/*
 * control_kit.h: a control server over a node and a replicator that do what the test says, and a
 * client without mercy. Aborts the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_UNIT_CONTROL_KIT_H
#define MAILFS_TESTS_UNIT_CONTROL_KIT_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "control/server.h"

#define ANSWER_MAX_BYTES 65536

struct node {
	_Atomic int flush_result;
	_Atomic uint64_t evict_keep_bytes;
	_Atomic int n_flushes;
};

/* A volume with accounts u1 to u40, of which u40 is on the backend only. */
#define N_ACCOUNTS 40
#define NOBODYS_PID 4123123
#define IN_USE 7 /* u7 is held open */

struct replicator {
	_Atomic int result;     /* of the next jobs */
	_Atomic int bad;        /* the account that fails */
	_Atomic bool never;     /* jobs go on until they are stopped */
	_Atomic int n_running;  /* jobs */
	_Atomic int n_stopped;  /* because they were told to */
	_Atomic int n_accounts; /* of the last job, -1: all */
	_Atomic bool checkpoint;
	_Atomic uint32_t timeout_ms;
	_Atomic uint64_t evicted; /* a bit for each account */
	_Atomic uint64_t dropped; /* from the kernel's caches */
};

extern struct node control_kit_node;
extern struct replicator control_kit_replicator;
extern struct backend_chain control_kit_chain;
extern const struct control_subject control_kit_subject;
extern struct control_server *control_kit_server; /* a test that stops it sets it NULL */
extern char control_kit_directory[PATH_MAX / 2];
extern char control_kit_socket[PATH_MAX];

/* Checked fixture. */
void control_kit_set_up(void);
void control_kit_clean_up(void);

int control_kit_connect(void);

/* Sends the bytes and gives the status line's number, 0 when there was no answer. `answer` has
 * ANSWER_MAX_BYTES. */
int control_kit_send(const void *bytes, size_t size_bytes, char *answer);
int control_kit_request(const char *method, const char *path, const char *body, char *answer);

/* The JSON in an answer, a new reference. */
json_t *control_kit_body(char *answer);

/* Asks for long work: the last line, and how many said how far it is. */
json_t *control_kit_work(const char *path, const char *body, int *ret_beats);
json_t *control_kit_result(const char *path, const char *body);
void control_kit_check_fails(const char *path, const char *body, const char *error);
void control_kit_check_refused(const char *method, const char *path, const char *body, int status);

json_int_t control_kit_number(const json_t *root, const char *name);
void control_kit_check_text(const json_t *root, const char *name, const char *expected);

#endif
