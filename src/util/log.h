/*
 * log.h: messages for the administrator.
 *
 * They go to standard error and, once log_use_syslog() was called, to syslog's mail facility. One
 * message is one line. Never log mail content, credentials or signed URLs. Library code logs at
 * LOG_LEVEL_DEBUG only; whoever gives up logs once.
 */
#ifndef MAILFS_UTIL_LOG_H
#define MAILFS_UTIL_LOG_H

#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* From now on messages go to syslog under this name as well as to standard error if that is still
 * open to somebody (keep_stderr). */
void log_use_syslog(const char *program, bool keep_stderr);

void log_message(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...) log_message(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_message(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                             \
	do {                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                  \
			log_message(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)

#endif
