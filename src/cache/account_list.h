/*
 * account_list.h: which accounts the root account's names lead to.
 */
#ifndef MAILFS_CACHE_ACCOUNT_LIST_H
#define MAILFS_CACHE_ACCOUNT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;

/* 1: the account's first directory is in the store; 0; errors of the store. */
int account_list_has(struct node *node, uint32_t account);

/* How many accounts have records in the store. One seek for each: for figures, now and then. */
uint64_t account_list_count(struct node *node);

/* Accounts that a name in the root account leads to, and that are neither here nor known to be
 * elsewhere (adoption.h). *ret: malloc()ed, also when there are none. Reads all names of the root
 * account; before anything is served. -ENOMEM, errors of the store. */
int account_list_missing(struct node *node, uint32_t **ret, size_t *ret_n);

#endif
