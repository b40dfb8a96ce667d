#include <config.h>

#include "listing.h"
#include "harness.h"
#include "kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

DIR *listing_open(const char *path)
{
	DIR *dir = opendir(path);
	if (dir == NULL)
		FAIL("opendir %s: %m", path);
	return dir;
}

void listing_make_files(unsigned int from, unsigned int to)
{
	char name[32];
	for (unsigned int i = from; i < to; i++) {
		snprintf(name, sizeof(name), "d/f%06u", i);
		OK(close(OK(open(name, O_WRONLY | O_CREAT | O_EXCL, 0644))));
	}
}

long listing_number(const char *name)
{
	return name[0] == 'f' && strlen(name) == 7 ? strtol(name + 1, NULL, 10) : -1;
}

void listing_expect_each_once(const uint8_t *seen, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		if (seen[i] != 1)
			FAIL("f%06u was listed %u times", i, seen[i]);
	}
}

void listing_scan_raw(const char *path, size_t buffer_size, uint8_t *seen, unsigned int count)
{
	uint64_t *buffer = kit_alloc(buffer_size); /* aligned for the records */
	int fd = OK(open(path, O_RDONLY | O_DIRECTORY));
	long n;
	while ((n = syscall(SYS_getdents64, fd, buffer, buffer_size)) > 0) {
		for (long at = 0; at < n;) {
			struct dirent64 *e = (void *)((char *)buffer + at);
			CHECK(e->d_reclen % 8 == 0 && e->d_reclen > 0);
			long number = listing_number(e->d_name);
			if (number >= 0 && number < (long)count)
				seen[number]++;
			at += e->d_reclen;
		}
	}
	if (n < 0)
		FAIL("getdents64: %m");
	OK(close(fd));
	free(buffer);
}
