/*
 * text_list.h: a growing list of texts, each malloc()ed, that ends with NULL.
 *
 * A list that is NULL is empty.
 */
#ifndef MAILFS_UTIL_TEXT_LIST_H
#define MAILFS_UTIL_TEXT_LIST_H

#include <stddef.h>

#define TEXT_LIST_MAX_TEXTS 1000

/* Appends a copy. -ENOMEM; -E2BIG above TEXT_LIST_MAX_TEXTS. */
int text_list_append(char ***list, const char *text);

/* Removes and frees the i-th; those behind it move up. */
void text_list_remove(char **list, size_t i);

size_t text_list_length(char *const *list);

void text_list_free(char **list);

#endif
