#include <config.h>
#include "util/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>

#define MESSAGE_MAX_BYTES 2048

/* The one piece of global state: where messages go is a property of the process. */
static _Atomic int current_level = LOG_LEVEL_INFO;
static _Atomic bool to_syslog;
static _Atomic bool to_stderr = true;

void log_set_level(enum log_level level)
{
	atomic_store(&current_level, (int)level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_use_syslog(const char *program, bool keep_stderr)
{
	openlog(program, LOG_PID, LOG_MAIL);
	atomic_store(&to_syslog, true);
	atomic_store(&to_stderr, keep_stderr);
}

static void write_stderr(enum log_level level, const char *text)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	struct timespec now;
	struct tm parts;
	char stamp[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
	fprintf(stderr, "%s.%03ldZ mailfs %s: %s\n", stamp, now.tv_nsec / 1000000, names[level],
		text);
}

void log_message(enum log_level level, const char *format, ...)
{
	static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char text[MESSAGE_MAX_BYTES];
	va_list arguments;

	if (!log_enabled(level))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (atomic_load(&to_stderr))
		write_stderr(level, text);
	if (atomic_load(&to_syslog))
		syslog(priorities[level], "%s", text);
}
