/*
 * open_files.h: which processes have files of a filesystem open, as fuser(1) finds out.
 *
 * What counts: descriptors, working and root directories, the running program, mappings; of all
 * processes but this one, as far as this one may look at them. Only what the kernel has cached is
 * looked at, so the filesystem is asked for nothing and may hang.
 */
#ifndef MAILFS_UTIL_OPEN_FILES_H
#define MAILFS_UTIL_OPEN_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OPEN_FILES_MAX (1 << 20)

struct open_files;

/* Now, of the filesystem with this device number. -EMFILE: more than OPEN_FILES_MAX; -ENOMEM;
 * errors of reading /proc. */
int open_files_scan(unsigned int major, unsigned int minor, struct open_files **ret);

/* "imap (pid 123), lmtp (pid 77) and 3 more": processes that have inodes of first_ino to last_ino
 * open. malloc()ed; NULL: nobody (or no memory). */
char *open_files_text(const struct open_files *files, uint64_t first_ino, uint64_t last_ino);

/* NULL is allowed. */
void open_files_free(struct open_files *files);

/* ---- for the scan, and for tests */
struct open_files *open_files_new(void);

/* -EMFILE, -ENOMEM. */
int open_files_add(struct open_files *files, pid_t pid, uint64_t ino);

#endif
