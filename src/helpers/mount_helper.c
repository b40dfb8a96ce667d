/*
 * mount.fuse.mailfs: what mount(8) runs for `mount -t fuse.mailfs SOURCE MOUNTPOINT`.
 *
 * mount calls it with letters that mean other things to mailfs (-f fake, -s sloppy), so it is a
 * program of its own: it translates and becomes mailfs, found at its installed path and not
 * through PATH. Its exit status is mount's.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/cleanup.h"

/* As mount(8) has them. */
#define EXIT_USAGE 1
#define EXIT_SYSTEM 2

#define MAX_WORDS 10

struct request {
	const char *source;
	const char *mountpoint;
	const char *options;         /* NULL: none */
	const char *mount_namespace; /* a file of /proc/PID/ns, or NULL */
	bool fake, sloppy, verbose;
};

static int usage(const char *problem, const char *word)
{
	fprintf(stderr,
		"mount.fuse.mailfs: %s%s%s\n"
		"usage: mount.fuse.mailfs URL MOUNTPOINT [-sfnv] [-o OPTIONS] [-t TYPE] [-N NS]\n",
		problem, word != NULL ? " " : "", word != NULL ? word : "");
	return EXIT_USAGE;
}

static bool is_our_type(const char *type)
{
	return strcmp(type, "fuse.mailfs") == 0 || strcmp(type, "mailfs") == 0;
}

static int parse(int argc, char **argv, struct request *request)
{
	int option;

	opterr = 0;
	while ((option = getopt(argc, argv, ":sfnvo:t:N:")) != -1) {
		switch (option) {
		case 's':
			request->sloppy = true;
			break;
		case 'f':
			request->fake = true;
			break;
		case 'n': /* there is no mtab to leave alone */
			break;
		case 'v':
			request->verbose = true;
			break;
		case 'o':
			request->options = optarg;
			break;
		case 't':
			if (!is_our_type(optarg))
				return usage("not our filesystem type:", optarg);
			break;
		case 'N':
			request->mount_namespace = optarg;
			break;
		default:
			return usage("cannot understand", argv[optind - 1]);
		}
	}
	if (argc - optind != 2)
		return usage("a URL and a mountpoint are needed", NULL);
	request->source = argv[optind];
	request->mountpoint = argv[optind + 1];
	return 0;
}

static int enter_namespace(const char *path)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0) {
		fprintf(stderr, "mount.fuse.mailfs: cannot enter mount namespace '%s': %s\n", path,
			strerror(errno));
		return -errno;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct request request = {0};
	const char *words[MAX_WORDS] = {MAILFS_PROGRAM};
	size_t n = 1;

	if (parse(argc, argv, &request) != 0)
		return EXIT_USAGE;
	if (request.sloppy) {
		words[n++] = "-o";
		words[n++] = "sloppy";
	}
	if (request.options != NULL) {
		words[n++] = "-o";
		words[n++] = request.options;
	}
	words[n++] = "--";
	words[n++] = request.source;
	words[n++] = request.mountpoint;
	if (request.verbose) {
		for (size_t i = 0; i < n; i++)
			fprintf(stderr, "%s%s", i == 0 ? "mount.fuse.mailfs: " : " ", words[i]);
		fputc('\n', stderr);
	}
	if (request.fake)
		return EXIT_SUCCESS;
	if (request.mount_namespace != NULL && enter_namespace(request.mount_namespace) < 0)
		return EXIT_SYSTEM;
	execv(words[0], (char *const *)(uintptr_t)words);
	fprintf(stderr, "mount.fuse.mailfs: cannot run '%s': %s\n", words[0], strerror(errno));
	return EXIT_SYSTEM;
}
