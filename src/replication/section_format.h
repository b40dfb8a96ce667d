/*
 * section_format.h: what section.c writes and section_reader.c reads; for these two only.
 */
#ifndef MAILFS_REPLICATION_SECTION_FORMAT_H
#define MAILFS_REPLICATION_SECTION_FORMAT_H

/* The second byte of a record. */
enum section_operation {
	SECTION_PUT = 1,
	SECTION_REMOVE = 2,
};

#endif
