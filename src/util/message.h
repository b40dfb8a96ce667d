/*
 * message.h: sentences for the user that travel up beside an error.
 */
#ifndef MAILFS_UTIL_MESSAGE_H
#define MAILFS_UTIL_MESSAGE_H

/* Sets *ret_message (unless ret_message is NULL) to the malloc()ed text, or to NULL when there is
 * no memory for it, and gives back `error`. */
int message_set(char **ret_message, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
