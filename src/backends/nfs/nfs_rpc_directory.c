/*
 * nfs_rpc_directory.c: READDIRPLUS, and READDIR where the server does not have that.
 */
#include <config.h>
#include "backends/nfs/nfs_rpc.h"

#include <errno.h>
#include <string.h>
#include "backends/nfs/nfs_rpc_internal.h"
#include "backends/nfs/nfs_status.h"

struct reading {
	nfs_entry_fn *entry;
	void *arg;
	cookie3 cookie; /* of the last entry */
	cookieverf3 verifier;
	uint32_t n_entries;
	bool is_complete; /* at the end, or enough */
};

static void give(struct reading *reading, const struct nfs_entry *entry, cookie3 cookie)
{
	reading->cookie = cookie;
	reading->n_entries++;
	if (reading->is_complete || strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return;
	if (!reading->entry(entry, reading->arg))
		reading->is_complete = true;
}

static int finish(struct reading *reading, const cookieverf3 verifier, bool any, bool eof)
{
	memcpy(reading->verifier, verifier, sizeof(reading->verifier));
	if (eof)
		reading->is_complete = true;
	if (!any && !eof)
		return -EPROTO; /* it would go on for ever */
	return reading->n_entries > NFS_DIRECTORY_MAX_ENTRIES ? -ENOBUFS : 0;
}

static int decode_readdirplus(const void *data, void *out)
{
	const READDIRPLUS3res *res = data;
	const READDIRPLUS3resok *ok = &res->READDIRPLUS3res_u.resok;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	for (const void *next = ok->reply.entries; next != NULL;) {
		struct nfs_entry entry = {.name = NULL};
		entryplus3 e;

		memcpy(&e, next, sizeof(e)); /* libnfs does not align it */
		next = e.nextentry;
		entry.name = e.name;
		entry.has_handle = nfs_rpc_take_optional_handle(&e.name_handle, &entry.node.handle);
		entry.has_attributes =
			nfs_rpc_take_attributes(&e.name_attributes, &entry.node.attributes);
		give(out, &entry, e.cookie);
	}
	return finish(out, ok->cookieverf, ok->reply.entries != NULL, ok->reply.eof != 0);
}

static int decode_readdir(const void *data, void *out)
{
	const READDIR3res *res = data;
	const READDIR3resok *ok = &res->READDIR3res_u.resok;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	for (const void *next = ok->reply.entries; next != NULL;) {
		struct nfs_entry entry = {.name = NULL};
		entry3 e;

		memcpy(&e, next, sizeof(e));
		next = e.nextentry;
		entry.name = e.name;
		give(out, &entry, e.cookie);
	}
	return finish(out, ok->cookieverf, ok->reply.entries != NULL, ok->reply.eof != 0);
}

static int send_readdirplus(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_readdirplus_async(rpc, cb, args, arg);
}

static int send_readdir(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_readdir_async(rpc, cb, args, arg);
}

static int read_more(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, uint32_t bytes, struct reading *reading)
{
	static const struct nfs_procedure procedure = {
		"READDIRPLUS", send_readdirplus, decode_readdirplus};
	READDIRPLUS3args args = {
		.dir = nfs_rpc_handle(directory),
		.cookie = reading->cookie,
		.dircount = bytes,
		.maxcount = bytes,
	};

	memcpy(args.cookieverf, reading->verifier, sizeof(args.cookieverf));
	return nfs_request_run(task, e->connection, &procedure, &args, reading, NULL);
}

static int read_more_names(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, uint32_t bytes, struct reading *reading)
{
	static const struct nfs_procedure procedure = {"READDIR", send_readdir, decode_readdir};
	READDIR3args args = {
		.dir = nfs_rpc_handle(directory),
		.cookie = reading->cookie,
		.count = bytes,
	};

	memcpy(args.cookieverf, reading->verifier, sizeof(args.cookieverf));
	return nfs_request_run(task, e->connection, &procedure, &args, reading, NULL);
}

int nfs_rpc_read_directory(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *directory, uint32_t max_bytes, nfs_entry_fn *entry, void *arg)
{
	struct reading reading = {.entry = entry, .arg = arg};
	uint32_t bytes = max_bytes != 0 ? max_bytes : e->directory_bytes;
	bool names_only = false;
	int r = 0;

	while (r == 0 && !reading.is_complete) {
		if (!names_only)
			r = read_more(task, e, directory, bytes, &reading);
		if (r == -EOPNOTSUPP && reading.n_entries == 0) {
			names_only = true;
			r = 0;
		}
		if (r == 0 && names_only)
			r = read_more_names(task, e, directory, bytes, &reading);
	}
	return r;
}
