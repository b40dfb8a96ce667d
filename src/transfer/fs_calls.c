#include <config.h>
#include "transfer/fs_calls.h"

#include <errno.h>
#include <string.h>
#include "util/lock.h"

static const struct fs_caller superuser = {0};

struct call {
	struct lock lock;
	struct lock_condition answered;
	bool is_done;
	int error;
	size_t size_bytes;
	void *data; /* where what was read goes; NULL: nothing is read */
};

static void call_init(struct call *call, void *data)
{
	*call = (struct call){.data = data};
	lock_init(&call->lock);
	lock_condition_init(&call->answered);
}

static void done(void *arg, const struct fs_reply *reply)
{
	struct call *call = arg;

	lock_acquire(&call->lock);
	call->error = reply->error;
	call->size_bytes = reply->size_bytes;
	if (call->data != NULL && reply->error == 0 && reply->size_bytes > 0)
		memcpy(call->data, reply->data, reply->size_bytes);
	call->is_done = true;
	lock_condition_signal(&call->answered);
	lock_release(&call->lock);
}

static int finish(struct call *call)
{
	lock_acquire(&call->lock);
	while (!call->is_done)
		lock_condition_wait(&call->answered, &call->lock);
	lock_release(&call->lock);
	lock_condition_done(&call->answered);
	lock_done(&call->lock);
	return call->error;
}

ssize_t fs_calls_read(struct fs *fs, uint64_t ino, uint64_t offset, void *data, size_t size_bytes)
{
	struct call call;
	int r;

	call_init(&call, data);
	fs_read(fs, ino, offset, size_bytes, done, &call);
	r = finish(&call);
	return r < 0 ? r : (ssize_t)call.size_bytes;
}

int fs_calls_write(
	struct fs *fs, uint64_t ino, uint64_t offset, const void *data, size_t size_bytes)
{
	struct call call;

	call_init(&call, NULL);
	fs_write(fs, &superuser, ino, offset, data, size_bytes, done, &call);
	return finish(&call);
}

int fs_calls_setattr(
	struct fs *fs, uint64_t ino, unsigned int set, const struct fs_attributes *values)
{
	struct call call;

	call_init(&call, NULL);
	fs_setattr(fs, &superuser, ino, set, values, done, &call);
	return finish(&call);
}

int fs_calls_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name)
{
	struct call call;
	int r;

	call_init(&call, NULL);
	fs_link(fs, ino, parent, name, done, &call);
	r = finish(&call);
	if (r == 0)
		fs_forget(fs, ino, 1);
	return r;
}

int fs_calls_sync(struct fs *fs, uint64_t ino)
{
	struct call call;

	call_init(&call, NULL);
	fs_fsync(fs, ino, false, done, &call);
	return finish(&call);
}

/* The name at the beginning of the path; what follows it. NULL: it is too long. */
static const char *next_name(const char *path, char name[FS_NAME_MAX_BYTES + 1])
{
	size_t n = strcspn(path, "/");

	if (n > FS_NAME_MAX_BYTES)
		return NULL;
	memcpy(name, path, n);
	name[n] = '\0';
	path += n;
	return path + strspn(path, "/");
}

int fs_calls_find(struct fs *fs, uint64_t directory, const char *path, struct fs_attributes *ret)
{
	char name[FS_NAME_MAX_BYTES + 1];
	uint64_t held = 0;
	int r = fs_getattr(fs, directory, ret);

	path += strspn(path, "/");
	while (r == 0 && *path != '\0') {
		path = next_name(path, name);
		r = path == NULL ? -ENAMETOOLONG : fs_lookup(fs, ret->ino, name, ret);
		if (held != 0)
			fs_forget(fs, held, 1);
		held = r == 0 ? ret->ino : 0;
		if (path == NULL)
			break;
	}
	return r;
}
