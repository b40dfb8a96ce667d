/*
 * s3_credentials_file.c: the shared credentials and configuration files of AWS's tools.
 */
#include <config.h>
#include "backends/s3/s3_credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/file_io.h"
#include "util/message.h"

#define LINE_MAX_BYTES 8192
#define SECTION_MAX_BYTES 256
#define PASSWD_BYTES 4096

/* Without the blanks around it. */
static void trim(char *line)
{
	size_t begin = strspn(line, " \t"), size = strlen(line);

	while (size > begin && isspace((unsigned char)line[size - 1]))
		size--;
	memmove(line, line + begin, size - begin);
	line[size - begin] = '\0';
}

/* The next line of *text, trimmed; false at the end. Too long ones are empty. */
static bool next_line(const char **text, char line[LINE_MAX_BYTES])
{
	size_t size = strcspn(*text, "\n");

	if (**text == '\0')
		return false;
	line[0] = '\0';
	if (size < LINE_MAX_BYTES) {
		memcpy(line, *text, size);
		line[size] = '\0';
	}
	trim(line);
	*text += size + ((*text)[size] == '\n');
	return true;
}

static bool is_section(char *line, const char *section)
{
	size_t size = strlen(line);

	if (size < 2 || line[size - 1] != ']')
		return false;
	line[size - 1] = '\0';
	line[0] = ' ';
	trim(line);
	return strcmp(line, section) == 0;
}

bool s3_credentials_ini_value(
	const char *text, const char *section, const char *name, char *ret, size_t size_bytes)
{
	char line[LINE_MAX_BYTES];
	bool inside = false, found = false;

	while (next_line(&text, line)) {
		char *value = strchr(line, '=');

		if (line[0] == '#' || line[0] == ';')
			continue;
		if (line[0] == '[') {
			inside = is_section(line, section);
			continue;
		}
		if (!inside || value == NULL)
			continue;
		*value++ = '\0';
		trim(line);
		trim(value);
		if (strcasecmp(line, name) == 0)
			found = snprintf(ret, size_bytes, "%s", value) < (int)size_bytes &&
				*value != '\0';
	}
	explicit_bzero(line, sizeof(line));
	return found;
}

static int path_in_home(const char *variable, const char *name, char path[PATH_MAX])
{
	const char *value = getenv(variable), *home = getenv("HOME");
	char data[PASSWD_BYTES];
	struct passwd user, *found = NULL;
	int n;

	if (value != NULL && *value != '\0') {
		n = snprintf(path, PATH_MAX, "%s", value);
	} else {
		if (home == NULL || *home == '\0') {
			(void)getpwuid_r(geteuid(), &user, data, sizeof(data), &found);
			home = found != NULL ? found->pw_dir : "";
		}
		n = snprintf(path, PATH_MAX, "%s/.aws/%s", home, name);
	}
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Nobody but us and root may have put it there or read it. */
static int check_is_secret(int fd, const char *path, char **ret_message)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return message_set(ret_message, -errno, "cannot read the credentials file %s: %s",
			path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return message_set(
			ret_message, -EINVAL, "the credentials file %s is no regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return message_set(ret_message, -EPERM,
			"the credentials file %s belongs to another user (uid %u): chown it to the "
			"user that mailfs runs as, or to root",
			path, (unsigned int)st.st_uid);
	if ((st.st_mode & 077) != 0)
		return message_set(ret_message, -EPERM,
			"the credentials file %s may be read or written by others (mode %04o): "
			"chmod 600 %s",
			path, (unsigned int)(st.st_mode & 07777), path);
	if (st.st_size > S3_CREDENTIALS_FILE_MAX_BYTES)
		return message_set(ret_message, -EFBIG,
			"the credentials file %s is larger than %d bytes", path,
			S3_CREDENTIALS_FILE_MAX_BYTES);
	return 0;
}

static int read_secret(const char *path, char text[], size_t size_bytes, char **ret_message)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n;
	int r;

	if (fd < 0 && errno == ENOENT)
		return message_set(ret_message, -ENOENT, "there is no file %s", path);
	if (fd < 0)
		return message_set(ret_message, -errno, "cannot read the credentials file %s: %s",
			path, strerror(errno));
	r = check_is_secret(fd, path, ret_message);
	if (r < 0)
		return r;
	n = file_io_read_at(fd, text, size_bytes - 1, 0);
	if (n < 0)
		return message_set(ret_message, (int)n, "cannot read the credentials file %s: %s",
			path, strerror((int)-n));
	text[n] = '\0';
	return 0;
}

static int take_profile(const char *text, const char *profile, const char *path,
	struct s3_credentials *ret, char **ret_message)
{
	char access_key[S3_CREDENTIALS_ACCESS_KEY_BYTES];
	char secret_key[S3_CREDENTIALS_SECRET_KEY_BYTES];
	char token[S3_CREDENTIALS_TOKEN_BYTES] = "";
	bool has_access = s3_credentials_ini_value(
		text, profile, "aws_access_key_id", access_key, sizeof(access_key));
	bool has_secret = s3_credentials_ini_value(
		text, profile, "aws_secret_access_key", secret_key, sizeof(secret_key));
	int r = -EPROTO;

	(void)s3_credentials_ini_value(text, profile, "aws_session_token", token, sizeof(token));
	if (!has_access && !has_secret)
		return message_set(
			ret_message, -ENOKEY, "%s has no keys in profile '%s'", path, profile);
	if (has_access && has_secret)
		r = s3_credentials_set(ret, access_key, secret_key, token);
	explicit_bzero(secret_key, sizeof(secret_key));
	if (r < 0)
		return message_set(ret_message, -EINVAL,
			"%s: profile '%s' lacks aws_access_key_id or aws_secret_access_key, or one "
			"is malformed",
			path, profile);
	return 0;
}

int s3_credentials_read_file(
	const char *profile, const char *file, struct s3_credentials *ret, char **ret_message)
{
	CLEANUP_FREE char *text = malloc(S3_CREDENTIALS_FILE_MAX_BYTES + 1);
	char path[PATH_MAX];
	int r = text == NULL ? -ENOMEM : 0;

	if (r == 0 && file != NULL)
		r = snprintf(path, sizeof(path), "%s", file) < PATH_MAX ? 0 : -ENAMETOOLONG;
	else if (r == 0)
		r = path_in_home("AWS_SHARED_CREDENTIALS_FILE", "credentials", path);
	if (r < 0)
		return message_set(
			ret_message, r, "cannot read the credentials file: %s", strerror(-r));
	r = read_secret(path, text, S3_CREDENTIALS_FILE_MAX_BYTES + 1, ret_message);
	if (r == -ENOENT)
		return file != NULL ? r : -ENOKEY;
	if (r < 0)
		return r;
	r = take_profile(text, s3_credentials_profile(profile), path, ret, ret_message);
	explicit_bzero(text, S3_CREDENTIALS_FILE_MAX_BYTES + 1);
	return r;
}

bool s3_credentials_find_region(const char *profile, char *ret, size_t size_bytes)
{
	static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
	CLEANUP_FREE char *text = NULL;
	char path[PATH_MAX], section[SECTION_MAX_BYTES];
	size_t text_bytes;

	for (int i = 0; i < 2; i++) {
		const char *value = getenv(variables[i]);

		if (value != NULL && *value != '\0')
			return snprintf(ret, size_bytes, "%s", value) < (int)size_bytes;
	}
	if (path_in_home("AWS_CONFIG_FILE", "config", path) < 0 ||
		file_io_read_file(path, S3_CREDENTIALS_FILE_MAX_BYTES, &text, &text_bytes) < 0)
		return false;
	profile = s3_credentials_profile(profile);
	snprintf(section, sizeof(section), "%s%s",
		strcmp(profile, "default") == 0 ? "" : "profile ", profile);
	return s3_credentials_ini_value(text, section, "region", ret, size_bytes);
}
