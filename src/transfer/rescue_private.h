/*
 * rescue_private.h: what the files of the rescue share.
 */
#ifndef MAILFS_TRANSFER_RESCUE_PRIVATE_H
#define MAILFS_TRANSFER_RESCUE_PRIVATE_H

#include <stddef.h>
#include "transfer/rescue.h"

/* ---- rescue_changed.c */

/* Accounts of the superseded node with changes that no segment has; malloc()ed. */
int rescue_find_changed(
	struct node *old, const struct rescue_options *options, uint32_t **ret, size_t *ret_n);

/* ---- rescue_place.c: where the copy goes */

struct rescue_place {
	struct fs *fs;
	struct node *node;
	uint64_t top; /* .superseded/<name>, with a reference */
	uint32_t entered[2];
	unsigned int n_entered;
	bool is_complete; /* it has been copied before */
};

/* Makes it, or empties it when it is not complete. Loads its account when that is absent. */
int rescue_place_open(const struct rescue_options *options, struct rescue_place *ret);
void rescue_place_close(struct rescue_place *place);

/* The directory at this path below the top, made if it is missing; with a reference. */
int rescue_place_directory(struct rescue_place *place, const char *path, uint64_t *ret);
int rescue_place_write_file(
	struct rescue_place *place, const char *name, const char *text, size_t size_bytes);

#endif
