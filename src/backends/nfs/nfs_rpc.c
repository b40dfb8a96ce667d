#include <config.h>
#include "backends/nfs/nfs_rpc.h"

#include <errno.h>
#include <nfsc/libnfs-raw-mount.h>
#include <string.h>
#include "backends/nfs/nfs_rpc_internal.h"
#include "backends/nfs/nfs_status.h"
#include "backends/tree_layout.h"

#define MIN_TRANSFER_BYTES 512

bool nfs_handle_is_equal(const struct nfs_handle *a, const struct nfs_handle *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

int64_t nfs_modified_ms(const struct nfs_attributes *attributes)
{
	return (int64_t)attributes->modified_s * 1000 + attributes->modified_ns / 1000000;
}

nfs_fh3 nfs_rpc_handle(const struct nfs_handle *handle)
{
	return (nfs_fh3){.data = {
				 .data_len = handle->size,
				 .data_val = (char *)(uintptr_t)handle->bytes,
			 }};
}

diropargs3 nfs_rpc_where(const struct nfs_handle *directory, const char *name)
{
	return (diropargs3){.dir = nfs_rpc_handle(directory), .name = (char *)(uintptr_t)name};
}

static bool take_handle(const char *bytes, size_t size, struct nfs_handle *ret)
{
	if (size == 0 || size > NFS_HANDLE_MAX_BYTES)
		return false;
	ret->size = (uint32_t)size;
	memcpy(ret->bytes, bytes, size);
	return true;
}

bool nfs_rpc_take_handle(const nfs_fh3 *from, struct nfs_handle *ret)
{
	return take_handle(from->data.data_val, from->data.data_len, ret);
}

bool nfs_rpc_take_optional_handle(const post_op_fh3 *from, struct nfs_handle *ret)
{
	return from->handle_follows && nfs_rpc_take_handle(&from->post_op_fh3_u.handle, ret);
}

static void take_attributes(const fattr3 *from, struct nfs_attributes *ret)
{
	*ret = (struct nfs_attributes){
		.type = from->type == NF3REG   ? NFS_FILE
			: from->type == NF3DIR ? NFS_DIRECTORY
			: from->type == NF3LNK ? NFS_SYMLINK
					       : NFS_OTHER,
		.fsid = from->fsid,
		.fileid = from->fileid,
		.size_bytes = from->size,
		.n_links = from->nlink,
		.modified_s = from->mtime.seconds,
		.modified_ns = from->mtime.nseconds,
	};
}

bool nfs_rpc_take_attributes(const post_op_attr *from, struct nfs_attributes *ret)
{
	if (!from->attributes_follow)
		return false;
	take_attributes(&from->post_op_attr_u.attributes, ret);
	return true;
}

static sattr3 with_mode(mode3 mode)
{
	return (sattr3){.mode = {.set_it = 1, .set_mode3_u = {.mode = mode}}};
}

/* What LOOKUP, CREATE and MKDIR give; the server may leave out each part. */
struct found {
	struct nfs_node node;
	bool has_handle, has_attributes;
};

/* ---- MOUNT */

static int send_mount(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_mount3_mnt_async(rpc, cb, args, arg);
}

static int decode_mount(const void *data, void *out)
{
	const mountres3 *res = data;
	const fhandle3 *handle = &res->mountres3_u.mountinfo.fhandle;

	if (res->fhs_status != MNT3_OK)
		return nfs_status_mount_error((int)res->fhs_status);
	return take_handle(handle->fhandle3_val, handle->fhandle3_len, out) ? 0 : -EPROTO;
}

int nfs_rpc_mount(struct nfs_task *task, struct nfs_connection *mount, const char *path,
	struct nfs_handle *ret)
{
	static const struct nfs_procedure procedure = {"MNT", send_mount, decode_mount};

	return nfs_request_run(task, mount, &procedure, (void *)(uintptr_t)path, ret, NULL);
}

/* ---- FSINFO, FSSTAT */

static int send_fsinfo(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_fsinfo_async(rpc, cb, args, arg);
}

/* A size of the server's, at most ours. */
static uint32_t limited(uint32_t size)
{
	if (size > NFS_MAX_TRANSFER_BYTES)
		return NFS_MAX_TRANSFER_BYTES;
	return size < MIN_TRANSFER_BYTES ? MIN_TRANSFER_BYTES : size;
}

static int decode_fsinfo(const void *data, void *out)
{
	const FSINFO3res *res = data;
	const FSINFO3resok *ok = &res->FSINFO3res_u.resok;
	struct nfs_export *e = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	e->read_bytes = limited(ok->rtmax);
	e->write_bytes = limited(ok->wtmax);
	e->directory_bytes = limited(ok->dtpref);
	return 0;
}

int nfs_rpc_sizes(struct nfs_task *task, struct nfs_export *e)
{
	static const struct nfs_procedure procedure = {"FSINFO", send_fsinfo, decode_fsinfo};
	FSINFO3args args = {.fsroot = nfs_rpc_handle(&e->root)};

	return nfs_request_run(task, e->connection, &procedure, &args, e, NULL);
}

static int send_fsstat(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_fsstat_async(rpc, cb, args, arg);
}

static int decode_fsstat(const void *data, void *out)
{
	const FSSTAT3res *res = data;
	struct backend_space *space = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	space->total_bytes = res->FSSTAT3res_u.resok.tbytes;
	space->free_bytes = res->FSSTAT3res_u.resok.abytes;
	return 0;
}

int nfs_rpc_space(struct nfs_task *task, const struct nfs_export *e, struct backend_space *ret)
{
	static const struct nfs_procedure procedure = {"FSSTAT", send_fsstat, decode_fsstat};
	FSSTAT3args args = {.fsroot = nfs_rpc_handle(&e->root)};

	return nfs_request_run(task, e->connection, &procedure, &args, ret, NULL);
}

/* ---- GETATTR, LOOKUP */

static int send_getattr(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_getattr_async(rpc, cb, args, arg);
}

static int decode_getattr(const void *data, void *out)
{
	const GETATTR3res *res = data;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	take_attributes(&res->GETATTR3res_u.resok.obj_attributes, out);
	return 0;
}

int nfs_rpc_getattr(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *handle, struct nfs_attributes *ret)
{
	static const struct nfs_procedure procedure = {"GETATTR", send_getattr, decode_getattr};
	GETATTR3args args = {.object = nfs_rpc_handle(handle)};

	return nfs_request_run(task, e->connection, &procedure, &args, ret, NULL);
}

static int send_lookup(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_lookup_async(rpc, cb, args, arg);
}

static int decode_lookup(const void *data, void *out)
{
	const LOOKUP3res *res = data;
	const LOOKUP3resok *ok = &res->LOOKUP3res_u.resok;
	struct found *found = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	if (!nfs_rpc_take_handle(&ok->object, &found->node.handle))
		return -EPROTO;
	found->has_attributes =
		nfs_rpc_take_attributes(&ok->obj_attributes, &found->node.attributes);
	return 0;
}

int nfs_rpc_lookup(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_node *ret)
{
	static const struct nfs_procedure procedure = {"LOOKUP", send_lookup, decode_lookup};
	LOOKUP3args args = {.what = nfs_rpc_where(directory, name)};
	struct found found = {.has_attributes = false};
	int r = nfs_request_run(task, e->connection, &procedure, &args, &found, NULL);

	if (r == 0 && !found.has_attributes)
		r = nfs_rpc_getattr(task, e, &found.node.handle, &found.node.attributes);
	if (r == 0)
		*ret = found.node;
	return r;
}

/* After CREATE or MKDIR: the handle, if need be by LOOKUP. */
static int take_found(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, const struct found *found,
	struct nfs_handle *ret)
{
	struct nfs_node node;
	int r;

	if (found->has_handle) {
		*ret = found->node.handle;
		return 0;
	}
	r = nfs_rpc_lookup(task, e, directory, name, &node);
	if (r == 0)
		*ret = node.handle;
	return r;
}

/* ---- CREATE, MKDIR, SYMLINK */

static int send_create(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_create_async(rpc, cb, args, arg);
}

static int decode_create(const void *data, void *out)
{
	const CREATE3res *res = data;
	struct found *found = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	found->has_handle =
		nfs_rpc_take_optional_handle(&res->CREATE3res_u.resok.obj, &found->node.handle);
	return 0;
}

int nfs_rpc_create(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_handle *ret)
{
	static const struct nfs_procedure procedure = {"CREATE", send_create, decode_create};
	CREATE3args args = {
		.where = nfs_rpc_where(directory, name),
		.how = {.mode = UNCHECKED,
			.createhow3_u = {.obj_attributes = with_mode(TREE_FILE_MODE)}},
	};
	struct found found = {.has_handle = false};
	int r = nfs_request_run(task, e->connection, &procedure, &args, &found, NULL);

	return r < 0 ? r : take_found(task, e, directory, name, &found, ret);
}

static int send_mkdir(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_mkdir_async(rpc, cb, args, arg);
}

static int decode_mkdir(const void *data, void *out)
{
	const MKDIR3res *res = data;
	struct found *found = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	found->has_handle =
		nfs_rpc_take_optional_handle(&res->MKDIR3res_u.resok.obj, &found->node.handle);
	return 0;
}

int nfs_rpc_mkdir(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, struct nfs_handle *ret)
{
	static const struct nfs_procedure procedure = {"MKDIR", send_mkdir, decode_mkdir};
	MKDIR3args args = {
		.where = nfs_rpc_where(directory, name),
		.attributes = with_mode(TREE_DIRECTORY_MODE),
	};
	struct found found = {.has_handle = false};
	int r = nfs_request_run(task, e->connection, &procedure, &args, &found, NULL);

	return r < 0 ? r : take_found(task, e, directory, name, &found, ret);
}

static int send_symlink(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_symlink_async(rpc, cb, args, arg);
}

static int decode_symlink(const void *data, void *out)
{
	(void)out;
	return nfs_status_error((int)((const SYMLINK3res *)data)->status);
}

int nfs_rpc_symlink(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name, const char *target)
{
	static const struct nfs_procedure procedure = {"SYMLINK", send_symlink, decode_symlink};
	SYMLINK3args args = {
		.where = nfs_rpc_where(directory, name),
		.symlink = {.symlink_attributes = with_mode(0777),
			.symlink_data = (char *)(uintptr_t)target},
	};

	return nfs_request_run(task, e->connection, &procedure, &args, NULL, NULL);
}

/* ---- REMOVE, RMDIR, LINK, RENAME */

static int send_remove(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_remove_async(rpc, cb, args, arg);
}

static int decode_remove(const void *data, void *out)
{
	(void)out;
	return nfs_status_error((int)((const REMOVE3res *)data)->status);
}

int nfs_rpc_remove(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name)
{
	static const struct nfs_procedure procedure = {"REMOVE", send_remove, decode_remove};
	REMOVE3args args = {.object = nfs_rpc_where(directory, name)};
	bool is_repeated;
	int r = nfs_request_run(task, e->connection, &procedure, &args, NULL, &is_repeated);

	return r == -ENOENT && is_repeated ? 0 : r;
}

static int send_rmdir(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_rmdir_async(rpc, cb, args, arg);
}

static int decode_rmdir(const void *data, void *out)
{
	(void)out;
	return nfs_status_error((int)((const RMDIR3res *)data)->status);
}

int nfs_rpc_rmdir(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, const char *name)
{
	static const struct nfs_procedure procedure = {"RMDIR", send_rmdir, decode_rmdir};
	RMDIR3args args = {.object = nfs_rpc_where(directory, name)};
	bool is_repeated;
	int r = nfs_request_run(task, e->connection, &procedure, &args, NULL, &is_repeated);

	return r == -ENOENT && is_repeated ? 0 : r;
}

static int send_link(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_link_async(rpc, cb, args, arg);
}

static int decode_link(const void *data, void *out)
{
	(void)out;
	return nfs_status_error((int)((const LINK3res *)data)->status);
}

int nfs_rpc_link(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	const struct nfs_handle *directory, const char *name, bool *ret_is_repeated)
{
	static const struct nfs_procedure procedure = {"LINK", send_link, decode_link};
	LINK3args args = {
		.file = nfs_rpc_handle(file),
		.link = nfs_rpc_where(directory, name),
	};

	return nfs_request_run(task, e->connection, &procedure, &args, NULL, ret_is_repeated);
}

static int send_rename(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_rename_async(rpc, cb, args, arg);
}

static int decode_rename(const void *data, void *out)
{
	(void)out;
	return nfs_status_error((int)((const RENAME3res *)data)->status);
}

int nfs_rpc_rename(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *from,
	const char *from_name, const struct nfs_handle *to, const char *to_name,
	bool *ret_is_repeated)
{
	static const struct nfs_procedure procedure = {"RENAME", send_rename, decode_rename};
	RENAME3args args = {
		.from = nfs_rpc_where(from, from_name),
		.to = nfs_rpc_where(to, to_name),
	};

	return nfs_request_run(task, e->connection, &procedure, &args, NULL, ret_is_repeated);
}
