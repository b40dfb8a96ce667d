/*
 * log_scan.h: what has changed since a cut, when the notes of it are gone: after a restart.
 *
 * Read from the store's own log. Where that does not reach back far enough, every account is marked
 * whole. Needs a node with node_options.journal; may run beside operations.
 */
#ifndef MAILFS_CACHE_LOG_SCAN_H
#define MAILFS_CACHE_LOG_SCAN_H

#include <stdbool.h>
#include <stdint.h>

struct node;

/* Notes all changes behind this number (cut_store_sequence()); what only came or went as a copy of
 * what the backend has is none. *ret_is_whole: the log did not suffice. Blocks for the disk.
 * -ENOMEM, -EIO. */
int log_scan_note(struct node *node, uint64_t after_sequence, bool *ret_is_whole);

/* Marks every account that there is. */
int log_scan_note_all(struct node *node);

#endif
