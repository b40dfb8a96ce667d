#include <config.h>
#include "util/text_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t text_list_length(char *const *list)
{
	size_t n = 0;

	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

int text_list_append(char ***list, const char *text)
{
	size_t n = text_list_length(*list);
	char *copy, **grown;

	if (n >= TEXT_LIST_MAX_TEXTS)
		return -E2BIG;
	copy = strdup(text);
	grown = copy != NULL ? reallocarray(*list, n + 2, sizeof(**list)) : NULL;
	if (grown == NULL) {
		free(copy);
		return -ENOMEM;
	}
	grown[n] = copy;
	grown[n + 1] = NULL;
	*list = grown;
	return 0;
}

void text_list_remove(char **list, size_t i)
{
	size_t n = text_list_length(list);

	free(list[i]);
	memmove(&list[i], &list[i + 1], (n - i) * sizeof(*list));
}

void text_list_free(char **list)
{
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		free(list[i]);
	free(list);
}
