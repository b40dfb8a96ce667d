#include <config.h>
#include "util/message.h"

#include <stdarg.h>
#include <stdio.h>

int message_set(char **ret_message, int error, const char *format, ...)
{
	va_list arguments;

	if (ret_message == NULL)
		return error;
	va_start(arguments, format);
	if (vasprintf(ret_message, format, arguments) < 0)
		*ret_message = NULL;
	va_end(arguments);
	return error;
}
