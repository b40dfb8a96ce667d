/*
 * nfs_rpc.h: the procedures of NFS version 3 (RFC 1813) and MOUNT, one function for each.
 *
 * They are for tasks of the loop. Results are 0, the server's answer as negative errno
 * (nfs_status.h), or what nfs_requests_run() gives. A handle that the server does not know any more
 * gives -NFS_STALE_HANDLE.
 */
#ifndef MAILFS_BACKENDS_NFS_NFS_RPC_H
#define MAILFS_BACKENDS_NFS_NFS_RPC_H

#include "backends/backend.h"
#include "backends/nfs/nfs_loop.h"

#define NFS_HANDLE_MAX_BYTES 64 /* RFC 1813, NFS3_FHSIZE */
#define NFS_MAX_TRANSFER_BYTES (256U << 10)
#define NFS_WINDOW 4 /* READs or WRITEs of one call in flight */
#define NFS_DIRECTORY_MAX_ENTRIES (1U << 22)

struct nfs_handle {
	uint32_t size;
	char bytes[NFS_HANDLE_MAX_BYTES];
};

enum nfs_type {
	NFS_OTHER,
	NFS_FILE,
	NFS_DIRECTORY,
	NFS_SYMLINK,
};

struct nfs_attributes {
	enum nfs_type type;
	uint64_t fsid, fileid;
	uint64_t size_bytes;
	uint32_t n_links;
	uint32_t modified_s, modified_ns;
};

struct nfs_node {
	struct nfs_handle handle;
	struct nfs_attributes attributes;
};

/* What all calls on one file system need. */
struct nfs_export {
	struct nfs_connection *connection;
	struct nfs_handle root;
	uint32_t read_bytes, write_bytes, directory_bytes; /* of one call */
};

bool nfs_handle_is_equal(const struct nfs_handle *a, const struct nfs_handle *b);
int64_t nfs_modified_ms(const struct nfs_attributes *attributes);

int nfs_rpc_mount(struct nfs_task *task, struct nfs_connection *mount, const char *path,
	struct nfs_handle *ret);

/* FSINFO of the root: sets the sizes. */
int nfs_rpc_sizes(struct nfs_task *task, struct nfs_export *e);

int nfs_rpc_space(struct nfs_task *task, const struct nfs_export *e, struct backend_space *ret);

int nfs_rpc_getattr(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *handle, struct nfs_attributes *ret);

int nfs_rpc_lookup(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_node *ret);

/* For names that nobody else uses: a file that is there already, by a lost request of our own, is a
 * success. It is never cut, so that a request that comes late does no harm. */
int nfs_rpc_create(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_handle *ret);

/* -EEXIST. */
int nfs_rpc_mkdir(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_handle *ret);

int nfs_rpc_symlink(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, const char *target);

/* An absent name is -ENOENT, or a success when the request was repeated. */
int nfs_rpc_remove(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name);
int nfs_rpc_rmdir(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name);

/* Repeated: the answer may tell of our own first request. */
int nfs_rpc_link(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	const struct nfs_handle *directory, const char *name, bool *ret_is_repeated);
int nfs_rpc_rename(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *from,
	const char *from_name, const struct nfs_handle *to, const char *to_name,
	bool *ret_is_repeated);

struct nfs_entry {
	const char *name;
	bool has_attributes, has_handle;
	struct nfs_node node;
};

/* False: no more. */
typedef bool nfs_entry_fn(const struct nfs_entry *entry, void *arg);

/* Reads a directory, without "." and "..". max_bytes 0: as much at a time as is good; else an
 * answer's size, for who needs the first entries only. -NFS_BAD_COOKIE: the directory has changed,
 * begin anew. -ENOBUFS: more than NFS_DIRECTORY_MAX_ENTRIES. */
int nfs_rpc_read_directory(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, uint32_t max_bytes, nfs_entry_fn *entry, void *arg);

/* Writes the whole of a new file to stable storage; *ret as the server has it then. */
int nfs_rpc_write(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	const struct iovec *parts, int n_parts, struct nfs_attributes *ret);

/* Reads exactly that. -EIO: the file is shorter. */
int nfs_rpc_read(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	uint64_t offset, void *data, size_t size_bytes);

#endif
