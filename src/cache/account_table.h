/*
 * account_table.h: allocation of inode and account numbers.
 *
 * A number is never given out twice, also across crashes: numbers are reserved in the store in
 * chunks before the first of a chunk is used. Gaps are harmless.
 */
#ifndef MAILFS_CACHE_ACCOUNT_TABLE_H
#define MAILFS_CACHE_ACCOUNT_TABLE_H

#include <stdint.h>

struct account_table;
struct node;

struct account_table *account_table_new(struct node *node);
void account_table_free(struct account_table *table);

/* A new inode number of the account. -ENOSPC when the account has used them all. */
int account_table_allocate_ino(struct account_table *table, uint32_t account, uint64_t *ret);

/* A new account number. Its root directory is KEY_INO_LOCAL_ROOT, which is never allocated. */
int account_table_create(struct account_table *table, uint32_t *ret);

/* The account's record was written by somebody else: it is read anew when it is needed. */
void account_table_forget(struct account_table *table, uint32_t account);

#endif
