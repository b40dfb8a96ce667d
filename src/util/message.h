/*
 * message.h: sentences for the user that travel beside an error code.
 *
 * Functions that can fail in ways a user has to understand have a last parameter
 * `char **ret_message`; on failure it holds a malloc()ed sentence that says what, where and what to
 * do. The caller frees it.
 */
#ifndef MAILFS_UTIL_MESSAGE_H
#define MAILFS_UTIL_MESSAGE_H

/* Sets *ret_message and returns `error`, so that `return message_fail(…)` says both; without memory
 * *ret_message is NULL and -ENOMEM comes back. */
int message_fail(char **ret_message, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
