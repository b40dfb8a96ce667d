#include <config.h>
#include "node_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "backends/memory_backend.h"

static const struct fs_caller superuser = {0};

void node_fixture_init(struct node_fixture *f)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->directory, sizeof(f->directory), "/tmp/mailfs-component-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->directory));
	ck_assert_int_eq(memory_backend_new(&f->backend), 0);
	f->options = (struct node_options){
		.directory = f->directory,
		.backend = f->backend,
		.account_depth = 1,
		.memory_bytes = 16 << 20,
		.commit_interval_ms = 1000,
	};
}

void node_fixture_open(struct node_fixture *f)
{
	char *message = NULL;
	int r = node_open(&f->options, &f->node, &message);

	ck_assert_msg(r == 0, "node_open: %d %s", r, message != NULL ? message : "");
	ck_assert_int_eq(fs_open(f->node, &f->fs), 0);
}

void node_fixture_close(struct node_fixture *f)
{
	fs_close(f->fs);
	node_close(f->node);
	f->fs = NULL;
	f->node = NULL;
}

void node_fixture_reopen(struct node_fixture *f)
{
	node_fixture_close(f);
	node_fixture_open(f);
}

void node_fixture_done(struct node_fixture *f)
{
	char command[96];

	if (f->node != NULL)
		node_fixture_close(f);
	backend_free(f->backend);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->directory);
	ck_assert_int_eq(system(command), 0);
}

/* ---- waiting */
struct wait {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	bool done;
	int error;
	size_t size_bytes;
	void *data;
};

#define WAIT_INIT                                                                         \
	{                                                                                 \
		.mutex = PTHREAD_MUTEX_INITIALIZER, .condition = PTHREAD_COND_INITIALIZER \
	}

static void done(void *arg, const struct fs_reply *reply)
{
	struct wait *w = arg;

	pthread_mutex_lock(&w->mutex);
	w->error = reply->error;
	w->size_bytes = reply->size_bytes;
	if (w->data != NULL && reply->error == 0)
		memcpy(w->data, reply->data, reply->size_bytes);
	w->done = true;
	pthread_cond_signal(&w->condition);
	pthread_mutex_unlock(&w->mutex);
}

static int finish(struct wait *w)
{
	pthread_mutex_lock(&w->mutex);
	while (!w->done)
		pthread_cond_wait(&w->condition, &w->mutex);
	pthread_mutex_unlock(&w->mutex);
	return w->error;
}

int node_fixture_write_by(
	struct fs *fs, pid_t thread, uint64_t ino, uint64_t offset, const void *data, size_t n)
{
	struct fs_caller caller = {.thread = thread};
	struct wait w = WAIT_INIT;

	fs_write(fs, &caller, ino, offset, data, n, done, &w);
	return finish(&w);
}

int node_fixture_write(struct fs *fs, uint64_t ino, uint64_t offset, const void *data, size_t n)
{
	return node_fixture_write_by(fs, 0, ino, offset, data, n);
}

ssize_t node_fixture_read(struct fs *fs, uint64_t ino, uint64_t offset, void *data, size_t n)
{
	struct wait w = WAIT_INIT;
	int r;

	w.data = data;
	fs_read(fs, ino, offset, n, done, &w);
	r = finish(&w);
	return r < 0 ? r : (ssize_t)w.size_bytes;
}

int node_fixture_setattr(
	struct fs *fs, uint64_t ino, unsigned int set, const struct fs_attributes *values)
{
	struct wait w = WAIT_INIT;

	fs_setattr(fs, &superuser, ino, set, values, done, &w);
	return finish(&w);
}

int node_fixture_truncate(struct fs *fs, uint64_t ino, uint64_t size_bytes)
{
	struct fs_attributes values = {.size_bytes = size_bytes};

	return node_fixture_setattr(fs, ino, FS_SET_SIZE, &values);
}

int node_fixture_fallocate(
	struct fs *fs, uint64_t ino, int mode, uint64_t offset, uint64_t size_bytes)
{
	struct wait w = WAIT_INIT;

	fs_fallocate(fs, &superuser, ino, mode, offset, size_bytes, done, &w);
	return finish(&w);
}

int node_fixture_fsync(struct fs *fs, uint64_t ino)
{
	struct wait w = WAIT_INIT;

	fs_fsync(fs, ino, false, done, &w);
	return finish(&w);
}

int node_fixture_rename_by(struct fs *fs, pid_t thread, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned int flags)
{
	struct fs_caller caller = {.thread = thread};
	struct wait w = WAIT_INIT;

	fs_rename(fs, &caller, parent, name, new_parent, new_name, flags, done, &w);
	return finish(&w);
}

int node_fixture_rename(struct fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
	const char *new_name, unsigned int flags)
{
	return node_fixture_rename_by(fs, 0, parent, name, new_parent, new_name, flags);
}

int node_fixture_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name)
{
	struct wait w = WAIT_INIT;

	fs_link(fs, ino, parent, name, done, &w);
	return finish(&w);
}

uint64_t node_fixture_mkdir(struct fs *fs, uint64_t parent, const char *name)
{
	struct fs_attributes a;

	ck_assert_int_eq(fs_mkdir(fs, &superuser, parent, name, 0755, &a), 0);
	return a.ino;
}

uint64_t node_fixture_create(struct fs *fs, uint64_t parent, const char *name)
{
	struct fs_attributes a;

	ck_assert_int_eq(fs_mknod(fs, &superuser, parent, name, S_IFREG | 0644, 0, &a), 0);
	return a.ino;
}
