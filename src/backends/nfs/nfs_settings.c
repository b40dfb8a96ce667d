#include <config.h>
#include "backends/nfs/nfs_settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/open_options.h"
#include "util/cleanup.h"
#include "util/message.h"
#include "util/parse_number.h"

#define MAX_ARGUMENTS 16
#define MIN_TIMEOUT_MS 100
#define MAX_TIMEOUT_MS 600000

static int set_version(void *target, const char *value)
{
	return open_options_set_number(&((struct nfs_settings *)target)->version, value, 2, 4);
}

static int set_nfs_port(void *target, const char *value)
{
	return open_options_set_number(&((struct nfs_settings *)target)->nfs_port, value, 1, 65535);
}

static int set_mount_port(void *target, const char *value)
{
	return open_options_set_number(
		&((struct nfs_settings *)target)->mount_port, value, 1, 65535);
}

static int set_uid(void *target, const char *value)
{
	return open_options_set_number(
		&((struct nfs_settings *)target)->uid, value, 0, UINT32_MAX - 1);
}

static int set_gid(void *target, const char *value)
{
	return open_options_set_number(
		&((struct nfs_settings *)target)->gid, value, 0, UINT32_MAX - 1);
}

static int set_timeout(void *target, const char *value)
{
	return open_options_set_number(&((struct nfs_settings *)target)->answer_timeout_ms, value,
		MIN_TIMEOUT_MS, MAX_TIMEOUT_MS);
}

static int set_traverses_mounts(void *target, const char *value)
{
	return open_options_set_number(
		&((struct nfs_settings *)target)->traverses_mounts, value, 0, 1);
}

/* The same twice: as arguments of the URL, and as options. */
static const struct open_option arguments[] = {
	{"version", "3", set_version},
	{"nfsport", "PORT", set_nfs_port},
	{"mountport", "PORT", set_mount_port},
	{"uid", "NUMBER", set_uid},
	{"gid", "NUMBER", set_gid},
	{"timeout", "MILLISECONDS", set_timeout},
	{"auto-traverse-mounts", "0|1", set_traverses_mounts},
};
static const struct open_option option_table[] = {
	{"nfs_version", "3", set_version},
	{"nfs_port", "PORT", set_nfs_port},
	{"nfs_mountport", "PORT", set_mount_port},
	{"nfs_uid", "NUMBER", set_uid},
	{"nfs_gid", "NUMBER", set_gid},
	{"nfs_timeout", "MILLISECONDS", set_timeout},
};
#define N_ARGUMENTS (sizeof(arguments) / sizeof(arguments[0]))
#define N_OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

bool nfs_settings_has_option(const char *option)
{
	return open_options_has(option_table, N_OPTIONS, option);
}

static int say_malformed(const char *rest, const char *what, char **ret_message)
{
	return message_set(ret_message, -EINVAL,
		"nfs://%s: %s: write nfs://SERVER[:PORT]/EXPORTED/DIRECTORY[?ARGUMENT=VALUE&...]",
		rest, what);
}

static int hex_digit(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX; NULL, or what is wrong with the path. Slashes at the end are dropped. */
static const char *take_path(const char *text, size_t size, struct nfs_settings *s)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 1 < size ? hex_digit(text[i + 1]) : -1;
			int low = i + 2 < size ? hex_digit(text[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return "a % in the path is not followed by two hex digits";
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (n + 1 >= NFS_PATH_BYTES)
			return "the path is too long";
		s->path[n++] = c;
	}
	while (n > 1 && s->path[n - 1] == '/')
		n--;
	s->path[n] = '\0';
	return NULL;
}

/* SERVER[:PORT]; NULL, or what is wrong with it. */
static const char *take_server(const char *text, size_t size, struct nfs_settings *s)
{
	const char *name = text, *end = text + size, *port = NULL, *name_end;
	char number[8] = "";
	uint64_t value;

	if (size > 0 && *text == '[') {
		name = text + 1;
		name_end = memchr(text, ']', size);
		if (name_end == NULL)
			return "a ']' is missing behind the IPv6 address";
		port = name_end + 1;
	} else {
		name_end = memchr(text, ':', size);
		if (name_end == NULL)
			name_end = end;
		port = name_end;
	}
	if (name_end == name || name_end - name >= NFS_SERVER_BYTES)
		return "the server's name is missing or too long";
	memcpy(s->server, name, (size_t)(name_end - name));
	s->server[name_end - name] = '\0';
	if (port == end)
		return NULL;
	if (*port != ':' || end - port > (ptrdiff_t)sizeof(number) - 1)
		return "what follows the server is no port";
	memcpy(number, port + 1, (size_t)(end - port - 1));
	if (parse_number_u64(number, 65535, &value) < 0 || value == 0)
		return "what follows the server is no port";
	s->nfs_port = (uint32_t)value;
	return NULL;
}

/* Splits "a=1&b=2" where it lies. */
static int take_arguments(char *text, struct nfs_settings *s, char **ret_message)
{
	const char *list[MAX_ARGUMENTS + 1] = {NULL};
	size_t n = 0;

	for (char *next; text != NULL && *text != '\0'; text = next) {
		next = strchr(text, '&');
		if (next != NULL)
			*next++ = '\0';
		if (n == MAX_ARGUMENTS)
			return message_set(ret_message, -EINVAL, "the URL has too many arguments");
		list[n++] = text;
	}
	return open_options_take(arguments, N_ARGUMENTS, "nfs", list, s, ret_message);
}

static int check_version(const struct nfs_settings *s, char **ret_message)
{
	if (s->version == 3)
		return 0;
	return message_set(ret_message, -EOPNOTSUPP,
		"NFS version %u cannot be used by nfs:// URLs, only version 3; for NFSv4 mount the "
		"export and give the directory as file:///...",
		(unsigned int)s->version);
}

int nfs_settings_read(
	const char *rest, const char *const *options, struct nfs_settings *ret, char **ret_message)
{
	struct nfs_settings s = {.uid = UINT32_MAX,
		.gid = UINT32_MAX,
		.version = 3,
		.answer_timeout_ms = NFS_DEFAULT_ANSWER_TIMEOUT_MS};
	const char *slash = strchr(rest, '/'), *question = strchr(rest, '?'), *wrong;
	CLEANUP_FREE char *query = NULL;
	int r;

	if (slash == NULL || (question != NULL && question < slash))
		return say_malformed(rest, "the path is missing", ret_message);
	wrong = take_server(rest, (size_t)(slash - rest), &s);
	if (wrong == NULL)
		wrong = take_path(
			slash, question != NULL ? (size_t)(question - slash) : strlen(slash), &s);
	if (wrong != NULL)
		return say_malformed(rest, wrong, ret_message);
	query = strdup(question != NULL ? question + 1 : "");
	if (query == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	r = take_arguments(query, &s, ret_message);
	if (r == 0)
		r = open_options_take(option_table, N_OPTIONS, "nfs", options, &s, ret_message);
	if (r == 0)
		r = check_version(&s, ret_message);
	if (r == 0)
		*ret = s;
	return r;
}
