/*
 * account_set.h: the accounts that a request is about, by name and number.
 */
#ifndef MAILFS_CONTROL_ACCOUNT_SET_H
#define MAILFS_CONTROL_ACCOUNT_SET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fs/fs.h"

#define ACCOUNT_SET_MAX (1 << 20)

struct account_set {
	uint32_t *numbers;
	char **names; /* the i-th of both are of one account */
	size_t n, room;
};

/* Appends. -E2BIG above ACCOUNT_SET_MAX, -ENOMEM. */
int account_set_add(struct account_set *set, const char *name, uint32_t account);

/* From a JSON array of names; twice the same counts once. -EINVAL: no array of texts; -ENOENT, …:
 * there is no such account; *ret_message, malloc()ed, says which. The caller frees the set also
 * after a failure. */
int account_set_resolve(
	struct fs *fs, const json_t *names, struct account_set *set, char **ret_message);

/* All accounts but the root account. */
int account_set_all(struct fs *fs, struct account_set *set);

/* NULL: it is not in the set. */
const char *account_set_name(const struct account_set *set, uint32_t account);

void account_set_done(struct account_set *set);

/* A name as a JSON text also when it is no UTF-8: then with question marks. */
json_t *account_set_json_name(const char *name);

#endif
