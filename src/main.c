#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config/mount_options.h"
#include "daemon/backend_options.h"
#include "daemon/background.h"
#include "daemon/startup.h"

#define EXIT_USAGE 2

static int refuse_usage(int error, char *message)
{
	fprintf(stderr, "mailfs: %s\n", message != NULL ? message : strerror(-error));
	free(message);
	return error == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}

static int run_mount(const struct mount_options *options)
{
	struct background background = background_none();
	int r = options->foreground ? 0 : background_fork(&background);

	if (r < 0) {
		fprintf(stderr, "mailfs: cannot start a process: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	return startup_run(options, &background);
}

int main(int argc, char **argv)
{
	struct mount_options options;
	char *message = NULL;
	int status = EXIT_SUCCESS;
	int r = mount_options_parse(argc, argv, &options, &message);

	if (r < 0)
		return refuse_usage(r, message);
	if (options.action == MOUNT_ACTION_MOUNT)
		r = backend_options_check(&options, &message);
	if (r < 0) {
		mount_options_done(&options);
		return refuse_usage(r, message);
	}
	switch (options.action) {
	case MOUNT_ACTION_HELP:
		fputs(mount_options_help(), stdout);
		break;
	case MOUNT_ACTION_VERSION:
		puts("mailfs " PACKAGE_VERSION);
		break;
	case MOUNT_ACTION_MOUNT:
		status = run_mount(&options);
		break;
	}
	mount_options_done(&options);
	return status;
}
