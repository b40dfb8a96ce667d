#include <config.h>
#include "config/option_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int option_list_next(const char **position, char **ret)
{
	const char *text = *position;
	char *option;
	size_t n = 0;

	while (*text == ',')
		text++;
	if (*text == '\0') {
		*position = text;
		*ret = NULL;
		return 0;
	}
	option = malloc(strlen(text) + 1);
	if (option == NULL)
		return -ENOMEM;
	for (; *text != '\0' && *text != ','; text++) {
		if (*text == '\\' && *++text == '\0') {
			free(option);
			return -EINVAL;
		}
		option[n++] = *text;
	}
	option[n] = '\0';
	*position = text;
	*ret = option;
	return 0;
}

int option_list_append(char **list, const char *option)
{
	size_t used = *list != NULL ? strlen(*list) : 0;
	char *grown, *end;

	if (used + 2 * strlen(option) + 2 > OPTION_LIST_MAX_BYTES)
		return -E2BIG;
	grown = realloc(*list, used + 2 * strlen(option) + 2);
	if (grown == NULL)
		return -ENOMEM;
	end = grown + used;
	if (used > 0)
		*end++ = ',';
	for (; *option != '\0'; option++) {
		if (*option == ',' || *option == '\\')
			*end++ = '\\';
		*end++ = *option;
	}
	*end = '\0';
	*list = grown;
	return 0;
}
