/* Assertions: one line on the report descriptor, then the end of the process. */
#include <config.h>

#include "harness.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int report_fd = -1;

void harness_init(int fd)
{
	report_fd = fd;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static const char *error_name(int err)
{
	const char *name = err == 0 ? "no error" : strerrorname_np(err);
	return name != NULL ? name : "unknown errno";
}

static _Noreturn void report(char kind, const char *text)
{
	char line[1024];
	int len = snprintf(line, sizeof(line), "%c%s", kind, text);
	if (len > (int)sizeof(line) - 1)
		len = (int)sizeof(line) - 1;
	for (int i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	}
	line[len] = '\n';
	ssize_t done = write(report_fd, line, (size_t)len + 1);
	_exit(done > 0 ? 1 : 2);
}

void harness_fail(const char *file, int line, const char *format, ...)
{
	char text[800], where[900];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(where, sizeof(where), "%s (%s:%d)", text, base_name(file), line);
	report('F', where);
}

void harness_skip(const char *format, ...)
{
	char text[800];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report('S', text);
}

int harness_ok(int result, const char *what, const char *file, int line)
{
	if (result == -1)
		harness_fail(file, line, "%s gave %s", what, error_name(errno));
	return result;
}

off_t harness_okl(off_t result, const char *what, const char *file, int line)
{
	if (result == -1)
		harness_fail(file, line, "%s gave %s", what, error_name(errno));
	return result;
}

void harness_fails(
	long result, int got, int want, int other, const char *what, const char *file, int line)
{
	if (result == -1 && (got == want || got == other))
		return;
	if (result != -1)
		harness_fail(file, line, "%s succeeded (%ld), wanted %s", what, result,
			error_name(want));
	harness_fail(file, line, "%s gave %s, wanted %s", what, error_name(got), error_name(want));
}

void harness_eq(long long a, long long b, const char *a_text, const char *b_text, const char *file,
	int line)
{
	if (a != b)
		harness_fail(file, line, "%s is %lld, wanted %s = %lld", a_text, a, b_text, b);
}

void harness_eq_str(const char *a, const char *b, const char *what, const char *file, int line)
{
	if (strcmp(a, b) != 0)
		harness_fail(file, line, "%s is \"%s\", wanted \"%s\"", what, a, b);
}

void harness_eq_mem(
	const void *a, const void *b, size_t len, const char *what, const char *file, int line)
{
	const uint8_t *x = a, *y = b;
	for (size_t i = 0; i < len; i++) {
		if (x[i] != y[i])
			harness_fail(file, line, "%s: byte %zu of %zu is 0x%02x, wanted 0x%02x",
				what, i, len, x[i], y[i]);
	}
}
