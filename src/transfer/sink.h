/*
 * sink.h: where a tree goes that transfer.h takes out of a filesystem.
 *
 * Places in it are handles: of directories and of regular files, until close(). All functions block
 * and give 0 or a negative errno; those on different handles may be called at the same time.
 */
#ifndef MAILFS_TRANSFER_SINK_H
#define MAILFS_TRANSFER_SINK_H

#include <stdbool.h>
#include "fs/fs.h"

struct sink;

struct sink_ops {
	/* New ones, of which only whoever makes them may do anything with them; -EEXIST. */
	int (*make_directory)(struct sink *sink, int64_t parent, const char *name, int64_t *ret);
	int (*make_file)(struct sink *sink, int64_t parent, const char *name, int64_t *ret);

	/* Symlinks (target) and what is neither file nor directory (NULL), with all attributes. */
	int (*make_other)(struct sink *sink, int64_t parent, const char *name,
		const struct fs_attributes *attributes, const char *target);

	int (*open_directory)(struct sink *sink, int64_t parent, const char *name, int64_t *ret);
	int (*write)(struct sink *sink, int64_t file, uint64_t offset, const void *data,
		size_t size_bytes);
	int (*set_xattr)(struct sink *sink, int64_t handle, const char *name, const void *value,
		size_t size_bytes);

	/* Size of a file; then owner, mode and times. */
	int (*set_attributes)(
		struct sink *sink, int64_t handle, const struct fs_attributes *attributes);
	void (*close)(struct sink *sink, int64_t handle);

	/* `first` is the path of the file from the top. */
	int (*link)(struct sink *sink, const char *first, int64_t parent, const char *name);
	int (*remove_file)(struct sink *sink, int64_t parent, const char *name);

	/* All of it is durable on return. */
	int (*sync)(struct sink *sink);
	void (*free)(struct sink *sink);
};

/* First member of each sink's own struct. */
struct sink {
	const struct sink_ops *ops;
	int64_t top; /* handle of the directory that the tree goes to; the sink's own */
};

/* A directory on disk: made if it is missing (its parent exists); -ENOTEMPTY. Owners are set when
 * the process is root. */
int sink_disk_open(const char *path, struct sink **ret);

/* An empty directory of a filesystem of ours. With as_root all belongs to root, and nobody else may
 * enter the top: its mode is 0700. */
int sink_fs_open(struct fs *fs, uint64_t directory, bool as_root, struct sink **ret);

#endif
