/*
 * backend.h: the one interface to an object store.
 *
 * A backend keeps whole, immutable-or-replaced objects by key. Keys are relative to the volume's
 * prefix, at most BACKEND_KEY_MAX_BYTES long, made of [A-Za-z0-9._-] components joined by '/';
 * no component is empty, "." or "..". backend.c checks this before any driver sees a call.
 *
 * Calls. Every operation is asynchronous: it returns at once, and `done` is called exactly once,
 * from a thread of the backend (never from within the call itself), also when the deadline passes
 * or the backend is shut down (-ECANCELED). `done` must not block for long. Buffers passed in stay
 * the caller's and must live until `done`. The *_wait() forms block the calling thread.
 *
 * Errors are negative errno:
 *   -ENOENT      no such object            -EEXIST   put-if-absent: there is one already
 *   -ESTALE      compare-and-swap: the version is not the one given
 *   -ERANGE      get: the offset is beyond the end
 *   -EOPNOTSUPP  the store cannot do this  -ETIMEDOUT the deadline passed
 *   -EACCES, -ENOSPC, -EROFS, -EIO, -EHOSTUNREACH as elsewhere; -EINVAL for a malformed key.
 *
 * Durability. When a put reports success the object is on the store's stable storage, is visible
 * to every later get, head and list from anywhere, and is whole: no reader ever sees a part of it.
 * A put that reports an error other than -EEXIST or -ESTALE may or may not have taken place.
 */
#ifndef MAILFS_BACKENDS_BACKEND_H
#define MAILFS_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BACKEND_KEY_MAX_BYTES 512
#define BACKEND_VERSION_MAX_BYTES 96
#define BACKEND_DEFAULT_TIMEOUT_MS 60000

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
	void *data;                     /* get: malloc()ed; `done` may take it by setting NULL */
	size_t data_size_bytes;         /* get */
	struct backend_entry *entries;  /* list: sorted by key; freed after `done` returns */
	size_t n_entries;               /* list */
	char *continuation;             /* list: where to go on, or NULL; freed after `done` */
};

typedef void backend_done_fn(struct backend_result *result, void *arg);

/* How a call is to be made. `timeout_ms` 0 means BACKEND_DEFAULT_TIMEOUT_MS. */
struct backend_call {
	enum backend_priority priority;
	uint32_t timeout_ms;
	backend_done_fn *done;
	void *arg;
};

struct backend_capabilities {
	bool put_if_absent;        /* atomic, proven by backend_probe() */
	bool compare_and_swap;     /* atomic, proven by backend_probe() */
	bool local;                /* the store is a local file system: ack=local is the default */
	uint64_t max_object_bytes;
	uint32_t max_delete_many;  /* keys in one backend_delete_many() */
};

struct backend_space {
	uint64_t total_bytes; /* 0: the store does not say */
	uint64_t free_bytes;
};

struct backend;

/* A driver. Each function has the contract of the backend_* function of its name below. */
struct backend_ops {
	const char *name;
	void (*put)(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
		const struct backend_condition *condition, const struct backend_call *call);
	void (*get)(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
		const struct backend_call *call);
	void (*head)(struct backend *b, const char *key, const struct backend_call *call);
	void (*remove)(struct backend *b, const char *key, const struct backend_call *call);
	void (*remove_many)(struct backend *b, const char *const *keys, size_t n_keys,
		const struct backend_call *call);
	void (*list)(struct backend *b, const char *prefix, const char *continuation,
		size_t max_entries, const struct backend_call *call);
	int (*space)(struct backend *b, struct backend_space *ret);
	void (*get_capabilities)(struct backend *b, struct backend_capabilities *ret);
	void (*shutdown)(struct backend *b);
	void (*free)(struct backend *b);
};

/* First member of every driver's and wrapper's own struct. */
struct backend {
	const struct backend_ops *ops;
};

/* Stores `parts` in sequence as the object `key`. */
void backend_put(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, const struct backend_call *call);

/* Reads up to size_bytes from offset; fewer at the end of the object. size 0 at offset 0 of an
 * empty object is a success with no data. */
void backend_get(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	const struct backend_call *call);

void backend_head(struct backend *b, const char *key, const struct backend_call *call);

/* Success also when there is no such object: the call says what shall be, not what was. */
void backend_remove(struct backend *b, const char *key, const struct backend_call *call);

/* At most capabilities.max_delete_many keys; -EIO if any of them could not be removed. */
void backend_remove_many(struct backend *b, const char *const *keys, size_t n_keys,
	const struct backend_call *call);

/* Keys that begin with the string `prefix`, in byte order. `continuation` is NULL or the text an
 * earlier page gave. An object put or removed during a listing may or may not be in it; all others
 * are, exactly once. */
void backend_list(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, const struct backend_call *call);

/* Does not block for long. -EOPNOTSUPP where the store does not know. */
int backend_space(struct backend *b, struct backend_space *ret);

void backend_get_capabilities(struct backend *b, struct backend_capabilities *ret);

/* Blocking forms. The result is the caller's; backend_result_done() frees what it holds. */
int backend_put_wait(struct backend *b, const char *key, const struct iovec *parts, int n_parts,
	const struct backend_condition *condition, struct backend_result *ret);
int backend_get_wait(struct backend *b, const char *key, uint64_t offset, size_t size_bytes,
	struct backend_result *ret);
int backend_head_wait(struct backend *b, const char *key, struct backend_result *ret);
int backend_remove_wait(struct backend *b, const char *key);
int backend_list_wait(struct backend *b, const char *prefix, const char *continuation,
	size_t max_entries, struct backend_result *ret);
void backend_result_done(struct backend_result *result);

/* Ends every waiting call with -ECANCELED, lets running ones finish, joins the threads. After it
 * no `done` is called any more. */
void backend_shutdown(struct backend *b);

/* Calls backend_shutdown() if that was not done. NULL is allowed. */
void backend_free(struct backend *b);

#endif
