#include <config.h>
#include "backends/open_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/message.h"
#include "util/parse_number.h"

static int refuse_unknown(const struct open_option *table, size_t n_table, const char *scheme,
	const char *option, char **ret_message)
{
	char known[1024] = "";
	size_t used = 0;

	for (size_t i = 0; i < n_table; i++) {
		int n = snprintf(known + used, sizeof(known) - used, "%s%s%s%s",
			used > 0 ? ", " : "", table[i].name, table[i].values != NULL ? "=" : "",
			table[i].values != NULL ? table[i].values : "");

		if (n < 0 || (size_t)n >= sizeof(known) - used)
			break;
		used += (size_t)n;
	}
	if (used == 0)
		return message_set(ret_message, -EINVAL,
			"unknown option '%s'; %s:// URLs have no options", option, scheme);
	return message_set(ret_message, -EINVAL, "unknown option '%s'; options of %s:// URLs: %s",
		option, scheme, known);
}

static int take(const struct open_option *known, const char *option, const char *value,
	void *target, char **ret_message)
{
	int r;

	if (known->values == NULL && value != NULL)
		return message_set(ret_message, -EINVAL, "option '%s' takes no value", known->name);
	if (known->values != NULL && value == NULL)
		return message_set(ret_message, -EINVAL, "option '%s' needs a value: %s=%s",
			known->name, known->name, known->values);
	r = known->set(target, value);
	if (r == -ENOMEM)
		return message_set(ret_message, r, "out of memory");
	if (r < 0)
		return message_set(ret_message, -EINVAL, "bad value in option '%s': expected %s=%s",
			option, known->name, known->values != NULL ? known->values : "");
	return 0;
}

static const struct open_option *find(
	const struct open_option *table, size_t n_table, const char *option)
{
	size_t length = strcspn(option, "=");

	for (size_t i = 0; i < n_table; i++) {
		if (strlen(table[i].name) == length && strncmp(table[i].name, option, length) == 0)
			return &table[i];
	}
	return NULL;
}

bool open_options_has(const struct open_option *table, size_t n_table, const char *option)
{
	return find(table, n_table, option) != NULL;
}

int open_options_take(const struct open_option *table, size_t n_table, const char *scheme,
	const char *const *options, void *target, char **ret_message)
{
	for (size_t i = 0; options != NULL && options[i] != NULL; i++) {
		const struct open_option *known = find(table, n_table, options[i]);
		const char *value = strchr(options[i], '=');
		int r;

		if (known == NULL)
			return refuse_unknown(table, n_table, scheme, options[i], ret_message);
		r = take(known, options[i], value != NULL ? value + 1 : NULL, target, ret_message);
		if (r < 0)
			return r;
	}
	return 0;
}

int open_options_set_text(char **field, const char *value)
{
	char *copy;

	if (*value == '\0')
		return -EINVAL;
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

int open_options_set_number(uint32_t *field, const char *value, uint32_t min, uint32_t max)
{
	uint64_t number;
	int r = parse_number_u64(value, max, &number);

	if (r < 0)
		return r;
	if (number < min)
		return -ERANGE;
	*field = (uint32_t)number;
	return 0;
}
