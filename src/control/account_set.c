#include <config.h>
#include "control/account_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fs/account_names.h"
#include "util/message.h"

#define FIRST_ROOM 64

static int grow(struct account_set *set)
{
	size_t room = set->room > 0 ? 2 * set->room : FIRST_ROOM;
	uint32_t *numbers = reallocarray(set->numbers, room, sizeof(*numbers));
	char **names;

	if (numbers == NULL)
		return -ENOMEM;
	set->numbers = numbers;
	names = reallocarray(set->names, room, sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	set->names = names;
	set->room = room;
	return 0;
}

int account_set_add(struct account_set *set, const char *name, uint32_t account)
{
	int r = 0;

	if (set->n >= ACCOUNT_SET_MAX)
		return -E2BIG;
	if (set->n == set->room)
		r = grow(set);
	if (r < 0)
		return r;
	set->names[set->n] = strdup(name);
	if (set->names[set->n] == NULL)
		return -ENOMEM;
	set->numbers[set->n++] = account;
	return 0;
}

static int add_named(struct fs *fs, const char *name, struct account_set *set, char **ret_message)
{
	uint32_t account = 0;
	int r = account_names_find(fs, name, &account);

	if (r == -ENOENT)
		return message_set(ret_message, r, "there is no account '%s'", name);
	if (r == -EINVAL)
		return message_set(ret_message, r,
			"'%s' is no name of an account of this volume: accounts are named by their "
			"directories, as user or domain/user",
			name);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot look up account '%s': %s", name, strerror(-r));
	r = account_set_name(set, account) == NULL ? account_set_add(set, name, account) : 0;
	return r < 0 ? message_set(ret_message, r, "too many accounts") : 0;
}

int account_set_resolve(
	struct fs *fs, const json_t *names, struct account_set *set, char **ret_message)
{
	const json_t *name;
	size_t i;

	if (!json_is_array(names))
		return message_set(ret_message, -EINVAL, "\"accounts\" is no list of names");
	json_array_foreach(names, i, name)
	{
		int r = json_is_string(name)
				? add_named(fs, json_string_value(name), set, ret_message)
				: message_set(
					  ret_message, -EINVAL, "\"accounts\" is no list of names");

		if (r < 0)
			return r;
	}
	return 0;
}

struct listing {
	struct account_set *set;
	int error;
};

static bool add_listed(void *arg, const char *name, uint32_t account)
{
	struct listing *listing = arg;

	listing->error = account_set_add(listing->set, name, account);
	return listing->error == 0;
}

int account_set_all(struct fs *fs, struct account_set *set)
{
	struct listing listing = {.set = set};
	int r = account_names_list(fs, add_listed, &listing);

	return listing.error < 0 ? listing.error : r;
}

const char *account_set_name(const struct account_set *set, uint32_t account)
{
	for (size_t i = 0; i < set->n; i++) {
		if (set->numbers[i] == account)
			return set->names[i];
	}
	return NULL;
}

void account_set_done(struct account_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		free(set->names[i]);
	free(set->names);
	free(set->numbers);
	*set = (struct account_set){.n = 0};
}

json_t *account_set_json_name(const char *name)
{
	json_t *text = json_string(name);
	char *copy = text == NULL ? strdup(name) : NULL;

	if (copy != NULL) {
		for (char *c = copy; *c != '\0'; c++)
			*c = (*c & 0x80) != 0 ? '?' : *c;
		text = json_string(copy);
		free(copy);
	}
	return text;
}
