/*
 * open_options.h: the options with which a backend is opened.
 *
 * They are the same for `mailfs-admin format -o …` and for the mount: "name=value" or "name". A
 * driver has a table of those it knows. *ret_message is a sentence for the user, as in registry.h.
 */
#ifndef MAILFS_BACKENDS_OPEN_OPTIONS_H
#define MAILFS_BACKENDS_OPEN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct open_option {
	const char *name;
	const char *values; /* for messages, e.g. "URL"; NULL: a flag without a value */
	/* Sets a field of `target` (value NULL for a flag); -EINVAL or -ERANGE: the value is none;
	 * -ENOMEM. The value must not be kept. */
	int (*set)(void *target, const char *value);
};

/* options: NULL, or ends with NULL. -EINVAL for an option that is unknown, lacks its value or has a
 * bad one; -ENOMEM. `scheme` ("s3") is for messages. */
int open_options_take(const struct open_option *table, size_t n_table, const char *scheme,
	const char *const *options, void *target, char **ret_message);

/* Whether the table has the name of this option ("name" or "name=value"). */
bool open_options_has(const struct open_option *table, size_t n_table, const char *option);

/* Frees *field and puts a copy of the value there; for the functions of a table. -ENOMEM; -EINVAL
 * when it is empty. */
int open_options_set_text(char **field, const char *value);

/* A number from min to max. -EINVAL, -ERANGE. */
int open_options_set_number(uint32_t *field, const char *value, uint32_t min, uint32_t max);

#endif
