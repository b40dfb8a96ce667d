/*
 * ack_file.h: which accounts have an acknowledgement of their own: the file of option ack_accounts.
 *
 * A line is an account, as its path below the mountpoint, white space, and `local` or `remote`.
 * Empty lines and what begins with # do not count. An account may be there once.
 */
#ifndef MAILFS_CONFIG_ACK_FILE_H
#define MAILFS_CONFIG_ACK_FILE_H

#include <stdbool.h>
#include <stddef.h>

#define ACK_FILE_MAX_BYTES (1U << 24)
#define ACK_FILE_MAX_ACCOUNTS 100000

struct ack_file_line {
	const char *account; /* within the file's text */
	bool remote;
	unsigned int number; /* of the line */
};

struct ack_file {
	char *text;
	struct ack_file_line *lines;
	size_t n;
};

/* -EINVAL: *ret_message (malloc()ed) names file and line; errors of reading it. ack_file_done(). */
int ack_file_load(const char *path, struct ack_file *ret, char **ret_message);

/* From a text, which it owns afterwards in any case; `path` is for messages. */
int ack_file_parse(char *text, const char *path, struct ack_file *ret, char **ret_message);
void ack_file_done(struct ack_file *file);

#endif
