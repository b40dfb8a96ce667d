#include <config.h>
#include "util/open_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/cleanup.h"
#include "util/parse_number.h"

#define MAX_NAMED 5
#define COMM_BYTES 32
#define FIRST_ROOM 64

struct open_file {
	pid_t pid;
	uint64_t ino;
};

struct open_files {
	struct open_file *files;
	size_t n, room;
};

struct scan {
	struct open_files *files;
	unsigned int major, minor;
	pid_t pid; /* the process that is looked at */
};

/* ---- the list */

struct open_files *open_files_new(void)
{
	return calloc(1, sizeof(struct open_files));
}

void open_files_free(struct open_files *files)
{
	if (files == NULL)
		return;
	free(files->files);
	free(files);
}

int open_files_add(struct open_files *files, pid_t pid, uint64_t ino)
{
	size_t room = files->room > 0 ? 2 * files->room : FIRST_ROOM;
	struct open_file *grown;

	/* Programs open one file several times, mostly in a row. */
	if (files->n > 0 && files->files[files->n - 1].pid == pid &&
		files->files[files->n - 1].ino == ino)
		return 0;
	if (files->n >= OPEN_FILES_MAX)
		return -EMFILE;
	if (files->n == files->room) {
		grown = reallocarray(files->files, room, sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		files->files = grown;
		files->room = room;
	}
	files->files[files->n++] = (struct open_file){pid, ino};
	return 0;
}

static void read_comm(pid_t pid, char comm[COMM_BYTES])
{
	char path[64];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file == NULL || fgets(comm, COMM_BYTES, file) == NULL)
		(void)snprintf(comm, COMM_BYTES, "a process");
	comm[strcspn(comm, "\n")] = '\0';
	if (file != NULL)
		(void)fclose(file);
}

static void print_process(FILE *out, size_t n, pid_t pid)
{
	char comm[COMM_BYTES];

	read_comm(pid, comm);
	fprintf(out, "%s%s (pid %d)", n > 0 ? ", " : "", comm, (int)pid);
}

char *open_files_text(const struct open_files *files, uint64_t first_ino, uint64_t last_ino)
{
	size_t n = 0, size_bytes;
	char *text = NULL;
	FILE *out = NULL;
	pid_t last = 0;

	/* All of one process are together. */
	for (size_t i = 0; i < files->n; i++) {
		const struct open_file *file = &files->files[i];

		if (file->ino < first_ino || file->ino > last_ino || file->pid == last)
			continue;
		if (out == NULL)
			out = open_memstream(&text, &size_bytes);
		if (out == NULL)
			return NULL;
		if (n < MAX_NAMED)
			print_process(out, n, file->pid);
		last = file->pid;
		n++;
	}
	if (out == NULL)
		return NULL;
	if (n > MAX_NAMED)
		fprintf(out, " and %zu more", n - MAX_NAMED);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- the scan */

/* What a link of /proc leads to. What has gone meanwhile, or may not be looked at, does not count.
 */
static int add_link(struct scan *s, int directory, const char *name)
{
	struct statx st;

	if (statx(directory, name, AT_STATX_DONT_SYNC, STATX_INO, &st) < 0)
		return errno == ENOMEM ? -ENOMEM : 0;
	if (st.stx_dev_major != s->major || st.stx_dev_minor != s->minor)
		return 0;
	return open_files_add(s->files, s->pid, st.stx_ino);
}

static int add_descriptors(struct scan *s, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int r = 0;

	if (directory == NULL && fd >= 0)
		close(fd);
	if (directory == NULL)
		return 0;
	while (r == 0 && (entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.')
			r = add_link(s, fd, entry->d_name);
	}
	(void)closedir(directory);
	return r;
}

/* Lines are: addresses, permissions, offset, device in hex, inode, name. */
static int add_mappings(struct scan *s, int process)
{
	CLEANUP_FREE char *line = NULL;
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC), r = 0;
	FILE *file = fd >= 0 ? fdopen(fd, "re") : NULL;
	size_t room = 0;

	if (file == NULL && fd >= 0)
		close(fd);
	while (file != NULL && r == 0 && getline(&line, &room, file) >= 0) {
		unsigned int major, minor;
		uint64_t ino;

		if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64, &major, &minor, &ino) == 3 &&
			ino != 0 && major == s->major && minor == s->minor)
			r = open_files_add(s->files, s->pid, ino);
	}
	if (file != NULL)
		(void)fclose(file);
	return r;
}

static int add_process(struct scan *s, int proc, const char *name)
{
	static const char *const links[] = {"cwd", "root", "exe"};
	CLEANUP_CLOSE int process = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (process < 0)
		return 0;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && r == 0; i++)
		r = add_link(s, process, links[i]);
	if (r == 0)
		r = add_descriptors(s, process);
	return r == 0 ? add_mappings(s, process) : r;
}

static int scan_all(struct scan *s)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	int r = 0;

	if (proc == NULL)
		return -errno;
	while (r == 0 && (entry = readdir(proc)) != NULL) {
		uint64_t pid;

		if (parse_number_u64(entry->d_name, INT32_MAX, &pid) < 0 || (pid_t)pid == getpid())
			continue;
		s->pid = (pid_t)pid;
		r = add_process(s, dirfd(proc), entry->d_name);
	}
	(void)closedir(proc);
	return r;
}

int open_files_scan(unsigned int major, unsigned int minor, struct open_files **ret)
{
	struct scan s = {.files = open_files_new(), .major = major, .minor = minor};
	int r = s.files != NULL ? scan_all(&s) : -ENOMEM;

	if (r < 0) {
		open_files_free(s.files);
		return r;
	}
	*ret = s.files;
	return 0;
}
