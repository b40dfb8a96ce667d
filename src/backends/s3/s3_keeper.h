/*
 * s3_keeper.h: keeps the credentials fresh.
 *
 * Credentials that expire are fetched anew by a thread of the keeper, in good time and while the
 * old ones are still in use; and at once when the store has refused them as expired.
 */
#ifndef MAILFS_BACKENDS_S3_S3_KEEPER_H
#define MAILFS_BACKENDS_S3_S3_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/s3/s3_credentials.h"

/* Renewed when less than this, or than half of their life, is left. */
#define S3_KEEPER_MARGIN_MS 600000
/* At least this between two fetches. */
#define S3_KEEPER_PAUSE_MS 1000
#define S3_KEEPER_FAILURE_PAUSE_MS 10000

struct s3_keeper;

/* Fetches them for the first time, which may block for seconds; errors and message as
 * s3_credentials_find(). profile and file are copied. */
int s3_keeper_new(
	const char *profile, const char *file, struct s3_keeper **ret, char **ret_message);

/* From now on `attempted` is called by the keeper's thread after each fetch, also one that failed.
 * Starts that thread if the credentials can be renewed. */
int s3_keeper_start(struct s3_keeper *k, void (*attempted)(void *arg), void *arg);

/* Copies the credentials if they are others than *generation (0: none yet), which is updated. */
void s3_keeper_read(struct s3_keeper *k, uint64_t *generation, struct s3_credentials *ret);

/* Has them fetched, as those of this generation were refused. *ret_attempts is how many fetches
 * there have been: the new ones are there (or not to be had) when there were more. False when they
 * cannot be renewed. */
bool s3_keeper_refuse(struct s3_keeper *k, uint64_t generation, uint64_t *ret_attempts);

uint64_t s3_keeper_attempts(struct s3_keeper *k);

/* Joins the thread, which may take as long as a fetch. NULL is allowed. */
void s3_keeper_free(struct s3_keeper *k);

#endif
