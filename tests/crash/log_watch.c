#include <config.h>
#include "log_watch.h"

#include <check.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LOGS 4096

static _Atomic uint64_t *synced_bytes; /* by number of the log; shared with children */

void log_watch_start(void)
{
	void *map = mmap(NULL, MOST_LOGS * sizeof(*synced_bytes), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(map, MAP_FAILED);
	synced_bytes = map;
}

static int log_number(const char *path)
{
	const char *name = strrchr(path, '/');
	int n, end = 0;

	return name != NULL && sscanf(name, "/%d.log%n", &n, &end) == 1 && end > 0 &&
			       name[end] == '\0' && n < MOST_LOGS
		       ? n
		       : -1;
}

/* Instead of libc's, also for RocksDB. */
int fdatasync(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
	char link[64], path[256] = "";
	struct stat st;
	int r, n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1) > 0 ? log_number(path) : -1;
	if (n < 0 || synced_bytes == NULL || fstat(fd, &st) < 0)
		return real(fd);
	r = real(fd);
	if (r == 0)
		atomic_store(&synced_bytes[n], (uint64_t)st.st_size);
	return r;
}

void log_watch_lose_power(const char *directory, unsigned int *seed)
{
	char path[400], newest[400] = "";
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int number = -1;
	uint64_t synced;

	snprintf(path, sizeof(path), "%s/db", directory);
	dir = opendir(path);
	if (dir == NULL)
		return; /* killed before it was made */
	while ((entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/db/%s", directory, entry->d_name);
		if (log_number(path) > number) {
			number = log_number(path);
			memcpy(newest, path, sizeof(path));
		}
	}
	closedir(dir);
	if (number < 0 || stat(newest, &st) < 0)
		return;
	synced = atomic_load(&synced_bytes[number]);
	ck_assert_uint_le(synced, (uint64_t)st.st_size);
	synced += (uint64_t)rand_r(seed) % ((uint64_t)st.st_size - synced + 1);
	ck_assert_int_eq(truncate(newest, (off_t)synced), 0);
}
