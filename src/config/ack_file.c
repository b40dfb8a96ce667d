#include <config.h>
#include "config/ack_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/file_io.h"
#include "util/message.h"

#define WHITE " \t\r"

static int compare(const void *a, const void *b)
{
	const struct ack_file_line *x = a, *y = b;
	int order = strcmp(x->account, y->account);

	return order != 0 ? order : x->number < y->number ? -1 : x->number > y->number;
}

static int check_twice(const struct ack_file *file, const char *path, char **ret_message)
{
	for (size_t i = 1; i < file->n; i++) {
		if (strcmp(file->lines[i - 1].account, file->lines[i].account) == 0)
			return message_set(ret_message, -EINVAL,
				"%s, line %u: account '%s' is in line %u already", path,
				file->lines[i].number, file->lines[i].account,
				file->lines[i - 1].number);
	}
	return 0;
}

/* Without slashes at the ends. */
static char *trim_path(char *path)
{
	size_t n;

	path += strspn(path, "/");
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	return path;
}

/* 1: the line says something. */
static int parse_line(char *line, struct ack_file_line *ret)
{
	char *rest, *account = strtok_r(line, WHITE, &rest), *mode, *more;

	if (account == NULL || account[0] == '#')
		return 0;
	mode = strtok_r(NULL, WHITE, &rest);
	more = strtok_r(NULL, WHITE, &rest);
	account = trim_path(account);
	if (mode == NULL || (more != NULL && more[0] != '#') || account[0] == '\0')
		return -EINVAL;
	ret->remote = strcmp(mode, "remote") == 0;
	if (!ret->remote && strcmp(mode, "local") != 0)
		return -EINVAL;
	ret->account = account;
	return 1;
}

static int add_line(struct ack_file *file, size_t *capacity, const struct ack_file_line *line)
{
	struct ack_file_line *more;

	if (file->n == ACK_FILE_MAX_ACCOUNTS)
		return -EFBIG;
	if (file->n == *capacity) {
		*capacity = *capacity == 0 ? 64 : *capacity * 2;
		more = reallocarray(file->lines, *capacity, sizeof(*more));
		if (more == NULL)
			return -ENOMEM;
		file->lines = more;
	}
	file->lines[file->n++] = *line;
	return 0;
}

static int parse_lines(struct ack_file *file, const char *path, char **ret_message)
{
	char *next = file->text, *line;
	size_t capacity = 0;
	int r = 0;

	for (unsigned int number = 1; r == 0 && (line = strsep(&next, "\n")) != NULL; number++) {
		struct ack_file_line parsed = {.number = number};

		r = parse_line(line, &parsed);
		if (r < 0)
			return message_set(ret_message, r,
				"%s, line %u: expected an account and 'local' or 'remote'", path,
				number);
		r = r > 0 ? add_line(file, &capacity, &parsed) : 0;
	}
	return r < 0 ? message_set(ret_message, r, "%s: %s", path, strerror(-r)) : 0;
}

int ack_file_parse(char *text, const char *path, struct ack_file *ret, char **ret_message)
{
	struct ack_file file = {.text = text};
	int r = parse_lines(&file, path, ret_message);

	if (r == 0 && file.n > 0)
		qsort(file.lines, file.n, sizeof(file.lines[0]), compare);
	if (r == 0)
		r = check_twice(&file, path, ret_message);
	if (r < 0)
		ack_file_done(&file);
	else
		*ret = file;
	return r;
}

int ack_file_load(const char *path, struct ack_file *ret, char **ret_message)
{
	size_t size_bytes;
	char *text;
	int r = file_io_read_file(path, ACK_FILE_MAX_BYTES, &text, &size_bytes);

	if (r == 0 && strlen(text) != size_bytes) {
		free(text);
		r = -EINVAL;
	}
	if (r < 0)
		return message_set(ret_message, r, "the file of option ack_accounts, '%s': %s",
			path, r == -EINVAL ? "it has a NUL" : strerror(-r));
	return ack_file_parse(text, path, ret, ret_message);
}

void ack_file_done(struct ack_file *file)
{
	free(file->text);
	free(file->lines);
	*file = (struct ack_file){0};
}
