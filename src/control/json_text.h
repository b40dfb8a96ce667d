/*
 * json_text.h: the text of an answer.
 */
#ifndef MAILFS_CONTROL_JSON_TEXT_H
#define MAILFS_CONTROL_JSON_TEXT_H

#include <jansson.h>

/* The text of `root`, malloc()ed, for people to read too and ending in a newline; gives the
 * reference to `root` back. NULL when memory is short, also when `root` is NULL for that reason. */
char *control_json_text(json_t *root);

#endif
