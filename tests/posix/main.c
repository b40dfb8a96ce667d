/* posix-suite: checks that a directory behaves as POSIX and Linux say. Speaks TAP. */
#include <config.h>

#include "groups.h"
#include "tree.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct test_group *const groups[] = {&group_path, &group_open, &group_link,
	&group_rename, &group_dir, &group_node, &group_name, &group_owner, &group_matrix,
	&group_time, &group_truncate, &group_orphan, &group_data, &group_space, &group_mmap,
	&group_lock, &group_xattr, &group_readdir, &group_scan, &group_fsx, &group_race,
	&group_concurrent, &group_copy, &group_class};

static int usage(FILE *out)
{
	fputs("usage: posix-suite [-k PATTERN] DIR      run the cases in fresh sub-directories of "
	      "DIR\n"
	      "       posix-suite -l [-k PATTERN]       list them\n"
	      "       posix-suite --prepare DIR         build a tree in DIR\n"
	      "       posix-suite --verify DIR          check that it is still exactly so\n"
	      "PATTERN is a part of a case's name (group.case). Exit status: 0 all well, 1 a case\n"
	      "failed, 2 wrong usage or no such directory. Cases that need root skip without it.\n",
		out);
	return 2;
}

int main(int argc, char **argv)
{
	const char *pattern = NULL, *mode = NULL;
	bool list = false;
	int i = 1;
	for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		if (strcmp(argv[i], "-l") == 0)
			list = true;
		else if (strcmp(argv[i], "-k") == 0 && i + 1 < argc)
			pattern = argv[++i];
		else if (strcmp(argv[i], "--prepare") == 0 || strcmp(argv[i], "--verify") == 0)
			mode = argv[i];
		else if (strcmp(argv[i], "--help") == 0)
			return usage(stdout) * 0;
		else
			return usage(stderr);
	}
	if (list && i == argc) {
		runner_list(groups, COUNT_OF(groups), pattern);
		return 0;
	}
	if (list || i != argc - 1)
		return usage(stderr);
	if (mode != NULL)
		return tree_main(mode + 2, argv[i]);
	int failed = runner_run(groups, COUNT_OF(groups), pattern, argv[i]);
	return failed < 0 ? 2 : failed > 0;
}
