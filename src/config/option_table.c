#include <config.h>
#include "config/option_table.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/option_list.h"
#include "util/cleanup.h"
#include "util/message.h"
#include "util/parse_number.h"
#include "util/text_list.h"

/* Sets one field from `value`; -EINVAL or -ERANGE when the value is not one. */
typedef int set_fn(struct mount_options *options, const char *value);

/* Given to the kernel through libfuse. */
static const char *const kernel_options[] = {"allow_other", "allow_root", "ro", "rw", "dev",
	"nodev", "suid", "nosuid", "exec", "noexec", "async", "sync", "dirsync", "noatime",
	"context=*", "fscontext=*", "defcontext=*", "rootcontext=*", "max_read=*"};

/* For libmount's table of user-space options, where umount(8) and findmnt(8) find them. */
static const char *const user_options[] = {"_netdev"};

/* Meant for mount(8), systemd or another filesystem, or true anyway. Patterns of fnmatch(). */
static const char *const swallowed_options[] = {"nofail", "fail", "auto", "noauto", "user",
	"user=*", "nouser", "users", "owner", "group", "defaults", "default_permissions", "atime",
	"relatime", "norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime",
	"diratime", "nodiratime", "iversion", "noiversion", "mand", "nomand", "silent", "loud",
	"nonempty", "comment=*", "x-*", "X-*", "fsname=*", "subtype=*", "uhelper=*", "helper=*"};

static int replace_string(char **field, char *value)
{
	if (value == NULL)
		return -ENOMEM;
	free(*field);
	*field = value;
	return 0;
}

/* ---- options with a value */

static int set_state(struct mount_options *o, const char *value)
{
	CLEANUP_FREE char *directory = NULL;
	char *path = NULL;

	if (*value == '\0')
		return -EINVAL;
	if (*value == '/')
		return replace_string(&o->state_directory, strdup(value));
	directory = getcwd(NULL, 0);
	if (directory == NULL)
		return -EINVAL;
	if (asprintf(&path, "%s/%s", directory, value) < 0)
		return -ENOMEM;
	return replace_string(&o->state_directory, path);
}

static int set_ack(struct mount_options *o, const char *value)
{
	if (strcmp(value, "local") == 0)
		o->ack = MOUNT_ACK_LOCAL;
	else if (strcmp(value, "remote") == 0)
		o->ack = MOUNT_ACK_REMOTE;
	else
		return -EINVAL;
	return 0;
}

/* A size of 0 would mean "the default" further on, so it is refused here. */
static int set_size(const char *value, uint64_t *field)
{
	uint64_t size_bytes;
	int r = parse_number_size_bytes(value, &size_bytes);

	if (r < 0)
		return r;
	if (size_bytes == 0)
		return -ERANGE;
	*field = size_bytes;
	return 0;
}

static int set_ack_accounts(struct mount_options *o, const char *value)
{
	return *value == '\0' ? -EINVAL : replace_string(&o->ack_accounts, strdup(value));
}

static int set_backlog_size(struct mount_options *o, const char *value)
{
	return set_size(value, &o->backlog_size_bytes);
}

static int set_cache_size(struct mount_options *o, const char *value)
{
	return set_size(value, &o->cache_size_bytes);
}

static int set_memory(struct mount_options *o, const char *value)
{
	return set_size(value, &o->memory_bytes);
}

static int set_duration(const char *value, uint64_t max_ms, uint64_t *field)
{
	uint64_t ms;
	int r = parse_number_duration_ms(value, &ms);

	if (r < 0)
		return r;
	if (ms > max_ms)
		return -ERANGE;
	*field = ms;
	return 0;
}

static int set_commit_interval(struct mount_options *o, const char *value)
{
	return set_duration(value, MOUNT_OPTIONS_MAX_COMMIT_INTERVAL_MS, &o->commit_interval_ms);
}

static int set_commit_window(struct mount_options *o, const char *value)
{
	return set_duration(value, MOUNT_OPTIONS_MAX_COMMIT_WINDOW_MS, &o->commit_window_ms);
}

/* Without any time nothing could be acknowledged. */
static int set_commit_timeout(struct mount_options *o, const char *value)
{
	uint64_t ms = 0;
	int r = set_duration(value, MOUNT_OPTIONS_MAX_COMMIT_TIMEOUT_MS, &ms);

	if (r == 0 && ms == 0)
		r = -ERANGE;
	if (r == 0)
		o->commit_timeout_ms = ms;
	return r;
}

static int set_backlog_age(struct mount_options *o, const char *value)
{
	uint64_t ms = 0;
	int r = set_duration(value, MOUNT_OPTIONS_MAX_BACKLOG_AGE_MS, &ms);

	if (r == 0 && ms == 0)
		r = -ERANGE;
	if (r == 0)
		o->backlog_age_ms = ms;
	return r;
}

static int set_retention(struct mount_options *o, const char *value)
{
	return set_duration(value, MOUNT_OPTIONS_MAX_RETENTION_MS, &o->retention_ms);
}

static int set_umount_timeout(struct mount_options *o, const char *value)
{
	return set_duration(value, MOUNT_OPTIONS_MAX_UMOUNT_TIMEOUT_MS, &o->umount_timeout_ms);
}

static int set_sync(struct mount_options *o, const char *value)
{
	if (strcmp(value, "mail") == 0)
		o->strict_sync = false;
	else if (strcmp(value, "strict") == 0)
		o->strict_sync = true;
	else
		return -EINVAL;
	return 0;
}

static int set_threads(struct mount_options *o, const char *value)
{
	uint64_t n;
	int r = parse_number_u64(value, MOUNT_OPTIONS_MAX_THREADS, &n);

	if (r < 0)
		return r;
	if (n == 0)
		return -ERANGE;
	o->threads = (unsigned int)n;
	return 0;
}

static int set_log_level(struct mount_options *o, const char *value)
{
	static const char *const names[] = {
		[LOG_LEVEL_ERROR] = "error",
		[LOG_LEVEL_WARNING] = "warning",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(value, names[i]) == 0) {
			o->log_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_faults(struct mount_options *o, const char *value)
{
	return *value == '\0' ? -EINVAL : replace_string(&o->faults, strdup(value));
}

static int set_failpoint(struct mount_options *o, const char *value)
{
	return *value == '\0' ? -EINVAL : replace_string(&o->failpoint, strdup(value));
}

static const struct {
	const char *name;
	const char *values; /* for messages */
	set_fn *set;
} valued_options[] = {
	{"state", "DIR", set_state},
	{"ack", "local|remote", set_ack},
	{"ack_accounts", "FILE", set_ack_accounts},
	{"backlog_age", "DURATION from 1ms to 366d, e.g. 1d", set_backlog_age},
	{"backlog_size", "SIZE, e.g. 4G", set_backlog_size},
	{"cache_size", "SIZE, e.g. 20G", set_cache_size},
	{"memory", "SIZE, e.g. 512M", set_memory},
	{"commit_interval", "DURATION up to 1h, e.g. 1s", set_commit_interval},
	{"commit_window", "DURATION up to 1s, e.g. 2ms", set_commit_window},
	{"commit_timeout", "DURATION from 1ms to 1h, e.g. 30s", set_commit_timeout},
	{"retention", "DURATION up to 3650d, e.g. 7d", set_retention},
	{"umount_timeout", "DURATION up to 1d, e.g. 30s", set_umount_timeout},
	{"sync", "mail|strict", set_sync},
	{"threads", "1 to 256", set_threads},
	{"failpoint", "NAME or NAME:N", set_failpoint},
	{"faults", "RULES, see mailfs(8)", set_faults},
	{"log_level", "error|warning|info|debug", set_log_level},
};

/* ---- one option */

static bool matches(const char *option, const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (fnmatch(patterns[i], option, 0) == 0)
			return true;
	}
	return false;
}

#define MATCHES(option, patterns) matches(option, patterns, sizeof(patterns) / sizeof(patterns[0]))

/* 1: it was one of ours; 0: not ours. */
static int take_valued(struct mount_options *o, const char *option, char **ret_message)
{
	size_t length = strcspn(option, "=");

	for (size_t i = 0; i < sizeof(valued_options) / sizeof(valued_options[0]); i++) {
		int r;

		if (strlen(valued_options[i].name) != length ||
			strncmp(option, valued_options[i].name, length) != 0)
			continue;
		if (option[length] == '\0')
			return message_set(ret_message, -EINVAL, "option '%s' needs a value: %s=%s",
				option, option, valued_options[i].values);
		r = valued_options[i].set(o, option + length + 1);
		if (r == -ENOMEM)
			return message_set(ret_message, r, "out of memory");
		if (r < 0)
			return message_set(ret_message, -EINVAL,
				"bad value in option '%s': expected %s=%s", option,
				valued_options[i].name, valued_options[i].values);
		return 1;
	}
	return 0;
}

static int append(char **list, const char *option, char **ret_message)
{
	int r = option_list_append(list, option);

	return r < 0 ? message_set(ret_message, r, "the list of options is too long") : 0;
}

int option_table_take(struct mount_options *o, const char *option, char **ret_message)
{
	int r;

	if (MATCHES(option, kernel_options))
		return append(&o->fuse_options, option, ret_message);
	if (MATCHES(option, user_options))
		return append(&o->user_options, option, ret_message);
	r = take_valued(o, option, ret_message);
	if (r != 0)
		return r < 0 ? r : 0;
	if (MATCHES(option, swallowed_options))
		return 0;
	if (strcmp(option, "noxattr") == 0 || strcmp(option, "xattr") == 0) {
		o->no_xattrs = option[0] == 'n';
		return 0;
	}
	if (strcmp(option, "sloppy") == 0) {
		o->sloppy = true;
		return 0;
	}
	if (strcmp(option, "remount") == 0)
		return message_set(ret_message, -EINVAL,
			"a mounted volume cannot be remounted; unmount it and mount it again");
	r = text_list_append(&o->backend_options, option);
	return r < 0 ? message_set(ret_message, r, "the list of options is too long") : 0;
}
