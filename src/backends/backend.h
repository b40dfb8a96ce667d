/*
 * backend.h: the one interface to an object store.
 *
 * A backend keeps whole, immutable-or-replaced objects by key. Keys are relative to the volume's
 * prefix, at most BACKEND_KEY_MAX_BYTES long, made of [A-Za-z0-9._-] components joined by '/';
 * no component is empty, "." or "..", or longer than BACKEND_KEY_COMPONENT_MAX_BYTES. backend.c
 * checks this before any driver sees a call. No key may be a parent of another one (`a` beside
 * `a/b`): stores that are file systems answer -EISDIR or -ENOTDIR.
 *
 * Calls. Every operation is asynchronous: it returns at once, and `done` is called exactly once,
 * from a thread of the backend (never from within the call itself, but once backend_shutdown() has
 * begun, it may be), also when the deadline passes or the backend is shut down (-ECANCELED). A
 * system call that has begun is not interrupted by the deadline. `done` must not block for long.
 * The buffers of a put (the iovec array and what it points to) and the keys of
 * backend_remove_many() stay the caller's and must live until `done`; all else is copied. The
 * *_wait() forms block the calling thread.
 *
 * Cancellation. A call that was given a struct backend_cancellation can be ended before its time,
 * with all others that were given the same one: backend_cancel().
 *
 * Records. An object that will be changed by compare-and-swap is created with
 * condition.record set. A store that needs to know (files) keeps such objects in another way;
 * compare-and-swap on an object that is no record gives -EOPNOTSUPP there.
 *
 * Errors are negative errno:
 *   -ENOENT      no such object            -EEXIST   put-if-absent: there is one already
 *   -ESTALE      compare-and-swap: the version is not the one given
 *   -ERANGE      get: the offset is beyond the end (at the end is a success with no data)
 *   -EFBIG       put: above capabilities.max_object_bytes
 *   -EOPNOTSUPP  the store cannot do this  -ETIMEDOUT the deadline passed
 *   -ECANCELED   backend_cancel(), or the backend is shut down
 *   -EACCES, -ENOSPC, -EROFS, -EIO, -EHOSTUNREACH as elsewhere; -EINVAL for a malformed key.
 *
 * Durability. When a put reports success the object is on the store's stable storage, is visible
 * to every later get, head and list from anywhere, and is whole: no reader ever sees a part of it.
 * A put that reports an error other than -EEXIST or -ESTALE may or may not have taken place.
 */
#ifndef MAILFS_BACKENDS_BACKEND_H
#define MAILFS_BACKENDS_BACKEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BACKEND_KEY_MAX_BYTES 512
#define BACKEND_KEY_COMPONENT_MAX_BYTES 200
#define BACKEND_VERSION_MAX_BYTES 96
#define BACKEND_DEFAULT_TIMEOUT_MS 60000
#define BACKEND_LIST_MAX_ENTRIES 100000

/* Who waits: lower values are served first. */
enum backend_priority {
	BACKEND_READER,     /* a program waits in read() */
	BACKEND_COMMIT,     /* a program waits in fsync() */
	BACKEND_PREFETCH,   /* somebody will probably read this soon */
	BACKEND_BACKGROUND, /* uploads, deletions, packs */
};

/* Names one state of one object; compare-and-swap takes it back. Opaque, NUL-terminated. */
struct backend_version {
	char text[BACKEND_VERSION_MAX_BYTES];
};

enum backend_condition_type {
	BACKEND_ALWAYS,     /* create or replace */
	BACKEND_IF_ABSENT,  /* create; -EEXIST if there is one */
	BACKEND_IF_VERSION, /* replace exactly this version; -ESTALE otherwise (also when absent) */
};

struct backend_condition {
	enum backend_condition_type type;
	bool record; /* with ALWAYS and IF_ABSENT: will be changed by compare-and-swap */
	struct backend_version version; /* BACKEND_IF_VERSION only */
};

struct backend_entry {
	char *key;
	uint64_t size_bytes;
	int64_t modified_ms; /* since 1970; the store's clock */
};

/* What an operation gives back. Fields an operation does not name are zero. */
struct backend_result {
	int error;                      /* 0 or negative errno */
	struct backend_version version; /* put, get, head */
	uint64_t object_size_bytes;     /* get, head: of the whole object */
	int64_t modified_ms;            /* head */
	void *data;                     /* get: malloc()ed, or NULL when there are none */
	size_t data_size_bytes;         /* get */
	struct backend_entry *entries;  /* list: sorted by key */
	size_t n_entries;               /* list */
	char *continuation;             /* list: where to go on, or NULL at the end */
};
/* What data, entries and continuation point to is freed after `done` returns, unless `done` took
 * it by setting the pointer to NULL (and n_entries to 0). */

typedef void backend_done_fn(struct backend_result *result, void *arg);

/* Ends calls before their time. Given to any number of calls, of one backend or several; it begins
 * as all zero, is never reset, and lives at least until all of them are done. */
struct backend_cancellation {
	atomic_bool is_cancelled; /* backend_cancel() sets it */
};

/* How a call is to be made. `timeout_ms` 0 means BACKEND_DEFAULT_TIMEOUT_MS. */
struct backend_call {
	enum backend_priority priority;
	uint32_t timeout_ms;
	backend_done_fn *done;
	void *arg;
	struct backend_cancellation *cancellation; /* NULL: none */
};

struct backend_capabilities {
	bool put_if_absent;    /* atomic; backend_probe() proves it */
	bool compare_and_swap; /* atomic, on records; backend_probe() proves it */
	bool copy;             /* the store copies objects itself */
	bool local;            /* the store is a local file system: ack=local is the default */
	uint64_t max_object_bytes;
	uint32_t max_delete_many; /* keys in one backend_remove_many() */
};

struct backend_space {
	uint64_t total_bytes; /* 0: the store does not say */
	uint64_t free_bytes;
};

struct backend;

/* A driver. Each function has the contract of the backend_* function of its name below; backend.c
 * has checked the arguments, timeout_ms and condition are always set. remove_many may be NULL: then
 * backend.c removes the keys one by one. */
struct backend_ops {
	const char *name;
	/* Completes the call with `error` and does nothing else. */
	void (*answer)(struct backend *b, int error, const struct backend_call *call);
	void (*put)(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
		const struct backend_condition *condition, const struct backend_call *call);
	void (*get)(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
		const struct backend_call *call);
	void (*head)(struct backend *b, const char *key, const struct backend_call *call);
	/* NULL: the store cannot. */
	void (*copy)(struct backend *b, const char *from, const char *to,
		const struct backend_call *call);
	void (*remove)(struct backend *b, const char *key, const struct backend_call *call);
	void (*remove_many)(struct backend *b, const char *const *keys, size_t n_keys,
		const struct backend_call *call);
	void (*list)(struct backend *b, const char *prefix, const char *continuation,
		size_t max_entries, const struct backend_call *call);
	int (*space)(struct backend *b, struct backend_space *ret);
	void (*get_capabilities)(struct backend *b, struct backend_capabilities *ret);
	/* Some cancellation was set: look which calls have it. Any thread, at any time until free,
	 * also after the shutdown. NULL: every call is complete at once. */
	void (*cancel)(struct backend *b);
	void (*shutdown)(struct backend *b);
	void (*free)(struct backend *b);
};

/* First member of every driver's and wrapper's own struct. */
struct backend {
	const struct backend_ops *ops;
	atomic_bool is_shut_down; /* backend.c's: backend_shutdown() has begun */
};

/* Stores `parts` in sequence as the object `key`. condition NULL is BACKEND_ALWAYS. Conditional
 * puts whose answer is lost are recognised by their content, so it should hold something unique. */
void backend_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call);

/* Reads up to size_bytes from offset; fewer at the end of the object. size 0 at offset 0 of an
 * empty object is a success with no data. */
void backend_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call);

void backend_head(struct backend *b, const char *key, const struct backend_call *call);

/* Makes or replaces the object `to`, with the content of the object `from`, which does not pass
 * through here. `to` is no record. -ENOENT: no `from`; -EOPNOTSUPP: the store cannot. */
void backend_copy(
	struct backend *b, const char *from, const char *to, const struct backend_call *call);

/* Success also when there is no such object: the call says what shall be, not what was. */
void backend_remove(struct backend *b, const char *key, const struct backend_call *call);

/* At most capabilities.max_delete_many keys; -EIO if any of them could not be removed. */
void backend_remove_many(
	struct backend *b, const char *const *keys, size_t n_keys, const struct backend_call *call);

/* Keys that begin with the string `prefix`, in byte order. `continuation` is NULL or the text an
 * earlier page gave. An object put or removed during a listing may or may not be in it; all others
 * are, exactly once. */
void backend_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call);

/* Does not block for long. -EOPNOTSUPP where the store does not know. */
int backend_space(struct backend *b, struct backend_space *ret);

void backend_get_capabilities(struct backend *b, struct backend_capabilities *ret);

/* Blocking forms. The result is the caller's; backend_result_done() frees what its pointers hold
 * and leaves the rest. */
int backend_put_wait(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, struct backend_result *ret);
int backend_get_wait(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret);
int backend_head_wait(struct backend *b, const char *key, struct backend_result *ret);
int backend_copy_wait(struct backend *b, const char *from, const char *to);
int backend_remove_wait(struct backend *b, const char *key);
int backend_list_wait(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, struct backend_result *ret);

/* As those above, but made as `how` says, whose `done` and `arg` are not looked at. */
int backend_remove_wait_as(struct backend *b, const char *key, const struct backend_call *how);
int backend_list_wait_as(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *how, struct backend_result *ret);
void backend_result_done(struct backend_result *result);

/* Calls with this cancellation that wait (in a queue, or between two attempts) end at once with
 * -ECANCELED; those that run end as soon as the driver can, with their result or -ECANCELED, and
 * then a put may have taken place. Returns without waiting for them; never calls `done` itself.
 * Calls that are made with it later end with -ECANCELED. Does not block; may be called from `done`,
 * and again. */
void backend_cancel(struct backend *b, struct backend_cancellation *cancellation);

/* Ends every waiting call with -ECANCELED, lets running ones finish, joins the threads. After it
 * no `done` is called any more. */
void backend_shutdown(struct backend *b);

/* Calls backend_shutdown() if that was not done. NULL is allowed. A wrapper frees what it wraps. */
void backend_free(struct backend *b);

/* ---- for drivers and wrappers */

bool backend_key_is_valid(const char *key);
bool backend_prefix_is_valid(const char *prefix);

/* Calls `done` and frees what it left in *result. */
void backend_complete(const struct backend_call *call, struct backend_result *result);
void backend_complete_error(const struct backend_call *call, int error);

/* clock_monotonic_ms() at which a call that begins now must be complete. */
uint64_t backend_deadline_ms(const struct backend_call *call);

/* Whether it was cancelled; NULL is allowed. A driver looks when it queues a call, under the lock
 * under which its `cancel` looks through the queue, so that none is missed. Not after `done`. */
bool backend_is_cancelled(struct backend_cancellation *cancellation);

/* Has the driver look, when the cancellation is set already: for wrappers. */
void backend_look_for_cancelled(struct backend *b);

size_t backend_parts_size_bytes(const struct iovec *parts, int n_parts);

/* For a list: appends a copy; the array grows as needed. -ENOMEM. */
int backend_result_add_entry(
	struct backend_result *result, const char *key, uint64_t size_bytes, int64_t modified_ms);

#endif
