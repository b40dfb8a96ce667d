/*
 * nfs_rpc_data.c: READ, WRITE and COMMIT, several in flight.
 *
 * What fits into one WRITE is written FILE_SYNC: stable when the answer comes. More is written
 * UNSTABLE and committed; if the server was started anew in between, its verifier has changed and
 * all is written again (RFC 1813, 3.3.7 and 3.3.21).
 */
#include <config.h>
#include "backends/nfs/nfs_rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nfs/nfs_rpc_internal.h"
#include "backends/nfs/nfs_status.h"

#define MAX_REWRITES 16

/* A WRITE or READ of one piece. */
struct piece {
	uint64_t offset;
	uint32_t size, done;
	bool is_stable;      /* written */
	writeverf3 verifier; /* written */
	uint8_t *buffer;     /* read: where to */
	uint8_t *copy;       /* written, when several parts had to be gathered */
	struct nfs_attributes attributes;
	bool has_attributes;
	union {
		WRITE3args write;
		READ3args read;
	} args;
};

/* ---- WRITE */

static int send_write(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_write_async(rpc, cb, args, arg);
}

static int decode_write(const void *data, void *out)
{
	const WRITE3res *res = data;
	const WRITE3resok *ok = &res->WRITE3res_u.resok;
	struct piece *piece = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	if (ok->count == 0 || ok->count > piece->size)
		return -EPROTO;
	piece->done = ok->count;
	piece->is_stable = ok->committed == FILE_SYNC;
	memcpy(piece->verifier, ok->verf, sizeof(piece->verifier));
	piece->has_attributes = nfs_rpc_take_attributes(&ok->file_wcc.after, &piece->attributes);
	return 0;
}

/* The bytes of the parts from `offset` on, where they lie or, across parts, in a copy. */
static int gather(const struct iovec *parts, int n_parts, struct piece *piece, char **ret)
{
	uint64_t skip = piece->offset;
	size_t n = 0;
	int i = 0;

	for (; i < n_parts && skip >= parts[i].iov_len; i++)
		skip -= parts[i].iov_len;
	if (i < n_parts && parts[i].iov_len - skip >= piece->size) {
		*ret = (char *)parts[i].iov_base + skip;
		return 0;
	}
	piece->copy = malloc(piece->size);
	if (piece->copy == NULL)
		return -ENOMEM;
	for (; n < piece->size && i < n_parts; i++, skip = 0) {
		size_t size = parts[i].iov_len - skip;

		if (size > piece->size - n)
			size = piece->size - n;
		if (size > 0)
			memcpy(piece->copy + n, (char *)parts[i].iov_base + skip, size);
		n += size;
	}
	*ret = (char *)piece->copy;
	return 0;
}

/* What all pieces of one file have in common. */
struct writing {
	struct nfs_task *task;
	const struct nfs_export *e;
	const struct nfs_handle *file;
	const struct iovec *parts;
	int n_parts;
	uint64_t size;
	stable_how stable;
	bool needs_commit, has_verifier, has_changed;
	writeverf3 verifier;
	struct nfs_attributes attributes;
	bool has_attributes;
};

static int prepare_write(
	const struct writing *w, uint64_t offset, struct piece *piece, struct nfs_request *request)
{
	static const struct nfs_procedure procedure = {"WRITE", send_write, decode_write};
	uint64_t left = w->size - offset;
	char *data;
	int r;

	*piece = (struct piece){.offset = offset};
	piece->size = left > w->e->write_bytes ? w->e->write_bytes : (uint32_t)left;
	r = gather(w->parts, w->n_parts, piece, &data);
	if (r < 0)
		return r;
	piece->args.write = (WRITE3args){.file = nfs_rpc_handle(w->file),
		.offset = offset,
		.count = piece->size,
		.stable = w->stable,
		.data = {.data_len = piece->size, .data_val = data}};
	*request = (struct nfs_request){
		.procedure = &procedure, .args = &piece->args.write, .out = piece};
	return 0;
}

static void note_verifier(struct writing *w, const writeverf3 verifier)
{
	if (w->has_verifier && memcmp(w->verifier, verifier, sizeof(w->verifier)) != 0)
		w->has_changed = true;
	memcpy(w->verifier, verifier, sizeof(w->verifier));
	w->has_verifier = true;
}

/* The next window; *offset moves on to where the server has it without a gap. */
static int write_window(struct writing *w, uint64_t *offset)
{
	struct nfs_request requests[NFS_WINDOW];
	struct piece pieces[NFS_WINDOW];
	uint64_t end = *offset;
	size_t n = 0;
	int r = 0;

	while (r == 0 && n < NFS_WINDOW && end < w->size) {
		r = prepare_write(w, end, &pieces[n], &requests[n]);
		end += pieces[n].size;
		n++;
	}
	if (r == 0)
		r = nfs_requests_run(w->task, w->e->connection, requests, n);
	for (size_t i = 0; i < n; i++) {
		free(pieces[i].copy);
		if (r == 0)
			r = requests[i].error;
		if (r < 0 || pieces[i].offset != *offset)
			continue;
		*offset += pieces[i].done;
		w->needs_commit = w->needs_commit || !pieces[i].is_stable;
		w->attributes = pieces[i].attributes;
		w->has_attributes = pieces[i].has_attributes;
		note_verifier(w, pieces[i].verifier);
	}
	return r;
}

/* ---- COMMIT */

struct committed {
	writeverf3 verifier;
	struct nfs_attributes attributes;
	bool has_attributes;
};

static int send_commit(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_commit_async(rpc, cb, args, arg);
}

static int decode_commit(const void *data, void *out)
{
	const COMMIT3res *res = data;
	const COMMIT3resok *ok = &res->COMMIT3res_u.resok;
	struct committed *committed = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	memcpy(committed->verifier, ok->verf, sizeof(committed->verifier));
	committed->has_attributes =
		nfs_rpc_take_attributes(&ok->file_wcc.after, &committed->attributes);
	return 0;
}

static int commit(struct writing *w)
{
	static const struct nfs_procedure procedure = {"COMMIT", send_commit, decode_commit};
	COMMIT3args args = {.file = nfs_rpc_handle(w->file)};
	struct committed committed = {.has_attributes = false};
	int r = nfs_request_run(w->task, w->e->connection, &procedure, &args, &committed, NULL);

	if (r < 0)
		return r;
	note_verifier(w, committed.verifier);
	w->attributes = committed.attributes;
	w->has_attributes = committed.has_attributes;
	return 0;
}

/* All of it, once: -EAGAIN when the server was started anew in the middle. */
static int write_all(struct writing *w)
{
	uint64_t offset = 0;
	int r = 0;

	w->needs_commit = w->has_verifier = w->has_changed = w->has_attributes = false;
	while (r == 0 && offset < w->size)
		r = write_window(w, &offset);
	if (r == 0 && w->needs_commit)
		r = commit(w);
	return r == 0 && w->needs_commit && w->has_changed ? -EAGAIN : r;
}

int nfs_rpc_write(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	const struct iovec *parts, int n_parts, struct nfs_attributes *ret)
{
	struct writing w = {.task = task,
		.e = e,
		.file = file,
		.parts = parts,
		.n_parts = n_parts,
		.size = backend_parts_size_bytes(parts, n_parts)};
	int r = -EAGAIN;

	w.stable = w.size <= e->write_bytes ? FILE_SYNC : UNSTABLE;
	for (int i = 0; i < MAX_REWRITES && r == -EAGAIN; i++)
		r = write_all(&w);
	if (r == -EAGAIN)
		r = -EIO;
	if (r == 0 && !w.has_attributes)
		r = nfs_rpc_getattr(task, e, file, &w.attributes);
	if (r == 0 && w.attributes.size_bytes != w.size)
		r = -EIO; /* a server that lies, or somebody else writes to our file */
	if (r == 0)
		*ret = w.attributes;
	return r;
}

/* ---- READ */

static int send_read(struct rpc_context *rpc, rpc_cb cb, void *args, void *arg)
{
	return rpc_nfs3_read_async(rpc, cb, args, arg);
}

static int decode_read(const void *data, void *out)
{
	const READ3res *res = data;
	const READ3resok *ok = &res->READ3res_u.resok;
	struct piece *piece = out;

	if (res->status != NFS3_OK)
		return nfs_status_error((int)res->status);
	if (ok->data.data_len > piece->size || ok->count != ok->data.data_len)
		return -EPROTO;
	if (ok->count > 0)
		memcpy(piece->buffer, ok->data.data_val, ok->count);
	piece->done = ok->count;
	return 0;
}

static void prepare_read(const struct nfs_export *e, const struct nfs_handle *file, uint64_t offset,
	uint8_t *buffer, size_t left, struct piece *piece, struct nfs_request *request)
{
	static const struct nfs_procedure procedure = {"READ", send_read, decode_read};

	*piece = (struct piece){.offset = offset, .buffer = buffer};
	piece->size = left > e->read_bytes ? e->read_bytes : (uint32_t)left;
	piece->args.read =
		(READ3args){.file = nfs_rpc_handle(file), .offset = offset, .count = piece->size};
	*request = (struct nfs_request){
		.procedure = &procedure, .args = &piece->args.read, .out = piece};
}

/* The next window: how many bytes came without a gap, or negative errno. */
static ssize_t read_window(struct nfs_task *task, const struct nfs_export *e,
	const struct nfs_handle *file, uint64_t offset, uint8_t *buffer, size_t size)
{
	struct nfs_request requests[NFS_WINDOW];
	struct piece pieces[NFS_WINDOW];
	size_t asked = 0, got = 0, n = 0;
	int r;

	for (; n < NFS_WINDOW && asked < size; n++) {
		prepare_read(e, file, offset + asked, buffer + asked, size - asked, &pieces[n],
			&requests[n]);
		asked += pieces[n].size;
	}
	r = nfs_requests_run(task, e->connection, requests, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = requests[i].error;
		if (r == 0 && pieces[i].offset == offset + got)
			got += pieces[i].done;
	}
	if (r < 0)
		return r;
	return got > 0 ? (ssize_t)got : -EIO;
}

int nfs_rpc_read(struct nfs_task *task, const struct nfs_export *e, const struct nfs_handle *file,
	uint64_t offset, void *data, size_t size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = read_window(
			task, e, file, offset + done, (uint8_t *)data + done, size_bytes - done);

		if (n < 0)
			return (int)n;
		done += (size_t)n;
	}
	return 0;
}
