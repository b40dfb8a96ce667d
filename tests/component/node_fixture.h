/*
 * node_fixture.h: a node and its fs over an in-memory backend in a scratch directory, for component
 * tests. Not thread-safe; aborts the test (ck_assert) on any failure.
 */
#ifndef MAILFS_TESTS_COMPONENT_NODE_FIXTURE_H
#define MAILFS_TESTS_COMPONENT_NODE_FIXTURE_H

#include "backends/backend.h"
#include "cache/node.h"
#include "fs/fs.h"

struct node_fixture {
	char directory[64];
	struct node_options options;
	struct backend *backend;
	struct node *node;
	struct fs *fs;
};

/* An empty volume of depth 1. Options may be changed before node_fixture_open(). */
void node_fixture_init(struct node_fixture *f);
void node_fixture_open(struct node_fixture *f);

/* Ends the node as unmount does; the store and the backend stay. */
void node_fixture_close(struct node_fixture *f);
void node_fixture_reopen(struct node_fixture *f);
void node_fixture_done(struct node_fixture *f);

/* Blocking forms of the waiting operations. Negative errno. */
int node_fixture_write(struct fs *fs, uint64_t ino, uint64_t offset, const void *data, size_t n);
int node_fixture_write_by(
	struct fs *fs, pid_t thread, uint64_t ino, uint64_t offset, const void *data, size_t n);
ssize_t node_fixture_read(struct fs *fs, uint64_t ino, uint64_t offset, void *data, size_t n);
int node_fixture_setattr(
	struct fs *fs, uint64_t ino, unsigned int set, const struct fs_attributes *values);
int node_fixture_truncate(struct fs *fs, uint64_t ino, uint64_t size_bytes);
int node_fixture_fallocate(
	struct fs *fs, uint64_t ino, int mode, uint64_t offset, uint64_t size_bytes);
int node_fixture_fsync(struct fs *fs, uint64_t ino);
int node_fixture_rename(struct fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
	const char *new_name, unsigned int flags);
int node_fixture_rename_by(struct fs *fs, pid_t thread, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned int flags);
int node_fixture_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name);

/* Makes them or aborts the test; the kernel's reference is kept. */
uint64_t node_fixture_mkdir(struct fs *fs, uint64_t parent, const char *name);
uint64_t node_fixture_create(struct fs *fs, uint64_t parent, const char *name);

#endif
