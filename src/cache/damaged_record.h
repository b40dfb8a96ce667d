/*
 * damaged_record.h: what is said when a record of the node section cannot be understood.
 *
 * Such a record stays where it is, and everybody passes over it: the node serves all the rest.
 */
#ifndef MAILFS_CACHE_DAMAGED_RECORD_H
#define MAILFS_CACHE_DAMAGED_RECORD_H

#include "cache/store.h"

/* Logs as an error the record that the iterator is at, key and value in hexadecimal, with `what` it
 * was and what follows from that. */
void damaged_record_say(const struct store_iterator *it, const char *what);

#endif
