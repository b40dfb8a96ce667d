#include <config.h>
#include "config/mount_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "config/option_list.h"
#include "config/option_table.h"
#include "util/cleanup.h"
#include "util/message.h"
#include "util/text_list.h"

static const char help_text[] =
	"usage: mailfs URL MOUNTPOINT [-f] [-d] [-o OPTION[,OPTION]...]\n"
	"\n"
	"Mounts the mail volume at URL (made by 'mailfs-admin format URL').\n"
	"\n"
	"  -f             stay in the foreground, log to standard error\n"
	"  -d             as -f, and trace every request\n"
	"  -V, --version  print the version\n"
	"  -h, --help     print this\n"
	"\n"
	"options behind -o:\n"
	"  state=DIR                  local state (default: /var/lib/mailfs/VOLUME-UUID)\n"
	"  ack=local|remote           where a change is when fsync() returns: this machine's\n"
	"                             disk, or the backend (default remote; for file: local)\n"
	"  ack_accounts=FILE          accounts with another: lines of ACCOUNT local|remote\n"
	"  backlog_size=SIZE          what the backend may lack before changes are refused,\n"
	"  backlog_age=DURATION       and how old that may be (default 4G, 1d)\n"
	"  cache_size=SIZE            local copies of mail bodies, e.g. 20G\n"
	"  memory=SIZE                caches in memory, e.g. 512M\n"
	"  commit_interval=DURATION   when what nobody syncs is on the backend (default 1s)\n"
	"  commit_window=DURATION     how long a commit gathers others (default 2ms)\n"
	"  commit_timeout=DURATION    with ack=remote: after which fsync() fails (default 10m)\n"
	"  retention=DURATION         how long the backend keeps what was replaced (default 0)\n"
	"  umount_timeout=DURATION    how long the end may wait for the backend (default 30s)\n"
	"  sync=mail|strict           strict: every fsync() commits by itself (default mail)\n"
	"  noxattr                    no extended attributes, and fewer requests for it\n"
	"  threads=N                  threads that serve requests\n"
	"  log_level=LEVEL            error, warning, info or debug (default info)\n"
	"  faults=RULES               make calls of the backend fail or wait, to debug\n"
	"  failpoint=NAME[:N]         die at a named step, to test what that leaves\n"
	"  allow_other, allow_root    let other users, or root, in\n"
	"  ro, noatime, nodev, nosuid, noexec and others of mount(8)\n"
	"  and those of the URL's backend: mailfs-backends(7)\n"
	"\n"
	"See mailfs(8).\n";

/* `take` each option of the list; the first failure ends it. */
static int take_list(struct mount_options *o, const char *list, char **ret_message)
{
	for (;;) {
		CLEANUP_FREE char *option = NULL;
		int r = option_list_next(&list, &option);

		if (r < 0)
			return message_set(ret_message, r,
				"the list of options behind -o ends in a lone backslash");
		if (option == NULL)
			return 0;
		r = option_table_take(o, option, ret_message);
		if (r < 0)
			return r;
	}
}

/* ---- the command line */

static int take_positional(struct mount_options *o, int n, char **words, char **ret_message)
{
	static const char hint[] =
		"usage: mailfs URL MOUNTPOINT [-o OPTIONS]; 'mailfs -h' says more";

	if (n == 0)
		return message_set(
			ret_message, -EINVAL, "no URL and no mountpoint given; %s", hint);
	if (n == 1)
		return message_set(
			ret_message, -EINVAL, "no mountpoint given for '%s'; %s", words[0], hint);
	if (n > 2)
		return message_set(
			ret_message, -EINVAL, "one word too many: '%s'; %s", words[2], hint);
	if (*words[0] == '\0' || *words[1] == '\0')
		return message_set(ret_message, -EINVAL, "the %s is empty; %s",
			*words[0] == '\0' ? "URL" : "mountpoint", hint);
	o->url = strdup(words[0]);
	o->mountpoint = strdup(words[1]);
	if (o->url == NULL || o->mountpoint == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	return 0;
}

/* `word` is the one that getopt stopped at; in it, optopt is the flag in question, if any. */
static int refuse_flag(const char *word, const char *what, char **ret_message)
{
	char flag[3] = {'-', (char)optopt, '\0'};

	return message_set(ret_message, -EINVAL, "%s '%s'; 'mailfs -h' lists the flags", what,
		optopt != 0 ? flag : word);
}

static int take_flag(struct mount_options *o, int flag, const char *word, char **ret_message)
{
	switch (flag) {
	case 'o':
		return take_list(o, optarg, ret_message);
	case 'd':
		o->debug = true;
		o->foreground = true;
		return 0;
	case 'f':
		o->foreground = true;
		return 0;
	case 'h':
		o->action = MOUNT_ACTION_HELP;
		return 0;
	case 'V':
		o->action = MOUNT_ACTION_VERSION;
		return 0;
	case ':':
		return refuse_flag(word, "no options behind", ret_message);
	default:
		return refuse_flag(word, "unknown flag", ret_message);
	}
}

static int parse(int argc, char **argv, struct mount_options *o, char **ret_message)
{
	static const struct option long_options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int flag, r;

	optind = 0;
	opterr = 0;
	while ((flag = getopt_long(argc, argv, ":o:dfhV", long_options, NULL)) != -1) {
		r = take_flag(o, flag, argv[optind - 1], ret_message);
		if (r < 0 || o->action != MOUNT_ACTION_MOUNT)
			return r;
	}
	r = take_positional(o, argc - optind, argv + optind, ret_message);
	if (r == 0 && o->debug)
		o->log_level = LOG_LEVEL_DEBUG;
	return r;
}

int mount_options_parse(int argc, char **argv, struct mount_options *ret, char **ret_message)
{
	struct mount_options o = {
		.commit_interval_ms = MOUNT_OPTIONS_DEFAULT_COMMIT_INTERVAL_MS,
		.commit_window_ms = MOUNT_OPTIONS_DEFAULT_COMMIT_WINDOW_MS,
		.commit_timeout_ms = MOUNT_OPTIONS_DEFAULT_COMMIT_TIMEOUT_MS,
		.umount_timeout_ms = MOUNT_OPTIONS_DEFAULT_UMOUNT_TIMEOUT_MS,
		.log_level = LOG_LEVEL_INFO,
	};
	int r;

	*ret_message = NULL;
	r = option_list_append(&o.fuse_options, "default_permissions");
	if (r == 0)
		r = parse(argc, argv, &o, ret_message);
	if (r < 0) {
		mount_options_done(&o);
		return r;
	}
	*ret = o;
	return 0;
}

void mount_options_done(struct mount_options *options)
{
	free(options->url);
	free(options->mountpoint);
	free(options->state_directory);
	free(options->fuse_options);
	free(options->user_options);
	text_list_free(options->backend_options);
	free(options->faults);
	free(options->failpoint);
	free(options->ack_accounts);
	*options = (struct mount_options){0};
}

const char *mount_options_help(void)
{
	return help_text;
}
