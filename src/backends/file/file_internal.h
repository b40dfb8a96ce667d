/*
 * file_internal.h: what the parts of the file driver share.
 */
#ifndef MAILFS_BACKENDS_FILE_FILE_INTERNAL_H
#define MAILFS_BACKENDS_FILE_FILE_INTERNAL_H

#include <sys/stat.h>
#include "backends/blocking.h"
#include "backends/file/file_group_sync.h"
#include "backends/tree_layout.h"

struct file_directories;

struct file_backend {
	struct blocking_backend blocking; /* first */
	int root_fd;
	int temporary_fd;                  /* TREE_TEMPORARY */
	bool is_remote;                    /* a network file system: ask past its caches */
	atomic_bool has_unnamed;           /* O_TMPFILE works here */
	char token[TREE_TOKEN_BYTES];      /* makes temporary names this process's own */
	atomic_uint_least64_t last_number; /* makes them different from each other */
	struct file_directories *directories;
	struct file_group_sync syncs;
};

/* A name in .tmp+ that nobody else uses. */
void file_unique_name(struct file_backend *fb, char name[TREE_NAME_BYTES]);

/* -errno as backend.h names it: quota as -ENOSPC, a stale NFS handle as -EIO … */
int file_error(int error);

/* Has the client of a network file system look at the server's state of `path` anew. */
void file_refresh(const struct file_backend *fb, int fd, const char *path);

/* The same for every directory above `key`. */
void file_refresh_parents(const struct file_backend *fb, const char *key);

/* The version of an ordinary object, and its size and time. */
void file_describe(const struct stat *st, struct backend_result *ret);

int64_t file_modified_ms(const struct stat *st);

/* Between two steps of a request: 0, -ETIMEDOUT or -ECANCELED. */
int file_check(const struct blocking_request *request);

/* The object's file, opened, with version and size in *ret. */
int file_open_object(const struct file_backend *fb, const char *key, struct stat *ret_st,
	struct backend_result *ret);

blocking_fn file_put;
blocking_fn file_copy;
blocking_fn file_list;

#endif
