/*
 * dump_record.h: one record of a section as JSON, decoded as far as it is understood
 * (doc/format-metadata.md).
 */
#ifndef MAILFS_ADMIN_DUMP_RECORD_H
#define MAILFS_ADMIN_DUMP_RECORD_H

#include <jansson.h>
#include "replication/section.h"

/* A new reference; NULL without memory. */
json_t *dump_record_json(const struct section_record *record);

#endif
