#include <config.h>
#include "util/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int message_fail(char **ret_message, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(ret_message, format, arguments) < 0) {
		*ret_message = NULL;
		error = -ENOMEM;
	}
	va_end(arguments);
	return error;
}
