/*
 * option_list.h: the comma list behind -o, taken apart and put together.
 *
 * As in libfuse, a backslash takes the next character literally, so that "\," is a comma inside a
 * value. Empty elements are skipped.
 */
#ifndef MAILFS_CONFIG_OPTION_LIST_H
#define MAILFS_CONFIG_OPTION_LIST_H

#define OPTION_LIST_MAX_BYTES 65536

/* The next option, unescaped and malloc()ed, in *ret (NULL at the end); *position moves behind it.
 * -EINVAL when the text ends in a lone backslash; -ENOMEM. */
int option_list_next(const char **position, char **ret);

/* Appends `option` to the malloc()ed list *list (NULL: a new one), escaping what needs it.
 * -ENOMEM; -E2BIG above OPTION_LIST_MAX_BYTES. *list is unchanged on failure. */
int option_list_append(char **list, const char *option);

#endif
