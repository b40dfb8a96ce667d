#include <config.h>
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 64

struct nfs_load {
	struct load load; /* first */
	struct nfs_context *nfs;
	bool is_put;
	unsigned int series, n, n_begun, n_done;
};

struct job {
	struct nfs_load *load;
	struct nfsfh *file;
	char temporary[PATH_BYTES], path[PATH_BYTES];
};

static void begin(struct nfs_load *l);

static void must(struct nfs_load *l, int status)
{
	if (status < 0)
		load_fail("the raw loop", nfs_get_error(l->nfs));
}

static void finished(int status, struct nfs_context *nfs, void *data, void *arg)
{
	struct job *job = arg;
	struct nfs_load *l = job->load;

	(void)nfs;
	(void)data;
	must(l, status);
	free(job);
	l->n_done++;
	begin(l);
}

static void closed(int status, struct nfs_context *nfs, void *data, void *arg)
{
	struct job *job = arg;

	must(job->load, status);
	if (!job->load->is_put)
		finished(status, nfs, data, arg);
	else
		must(job->load, nfs_rename_async(nfs, job->temporary, job->path, finished, job));
}

static void moved(int status, struct nfs_context *nfs, void *data, void *arg)
{
	struct job *job = arg;

	(void)data;
	must(job->load, status);
	must(job->load, nfs_close_async(nfs, job->file, closed, job));
}

static void was_read(int status, struct nfs_context *nfs, void *data, void *arg)
{
	if (status != LOAD_OBJECT_BYTES)
		load_fail("the raw loop", "too little was read");
	moved(status, nfs, data, arg);
}

static void written(int status, struct nfs_context *nfs, void *data, void *arg)
{
	struct job *job = arg;

	(void)data;
	must(job->load, status);
	must(job->load, nfs_fsync_async(nfs, job->file, moved, job));
}

static void opened(int status, struct nfs_context *nfs, void *data, void *arg)
{
	struct job *job = arg;

	must(job->load, status);
	job->file = data;
	if (job->load->is_put)
		must(job->load, nfs_pwrite_async(nfs, job->file, 0, LOAD_OBJECT_BYTES,
					load_content(), written, job));
	else
		must(job->load,
			nfs_pread_async(nfs, job->file, 0, LOAD_OBJECT_BYTES, was_read, job));
}

static void begin(struct nfs_load *l)
{
	struct job *job;

	if (l->n_begun == l->n)
		return;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		load_fail("the raw loop", "out of memory");
	job->load = l;
	snprintf(job->temporary, PATH_BYTES, "/raw-%u/.%u", l->series, l->n_begun);
	snprintf(job->path, PATH_BYTES, "/raw-%u/%u", l->series, l->n_begun++);
	if (l->is_put)
		must(l, nfs_create_async(l->nfs, job->temporary, O_CREAT | O_EXCL | O_RDWR, 0600,
				opened, job));
	else
		must(l, nfs_open_async(l->nfs, job->path, O_RDONLY, opened, job));
}

static void run(struct load *load, bool is_put, unsigned int series, unsigned int n,
	unsigned int concurrency)
{
	struct nfs_load *l = (struct nfs_load *)(void *)load;
	char directory[PATH_BYTES];

	l->is_put = is_put;
	l->series = series;
	l->n = n;
	l->n_begun = l->n_done = 0;
	snprintf(directory, sizeof(directory), "/raw-%u", series);
	if (is_put && nfs_mkdir(l->nfs, directory) < 0)
		load_fail(directory, nfs_get_error(l->nfs));
	for (unsigned int i = 0; i < concurrency && i < n; i++)
		begin(l);
	while (l->n_done < n) {
		struct pollfd p = {
			.fd = nfs_get_fd(l->nfs), .events = (short)nfs_which_events(l->nfs)};

		if (poll(&p, 1, 1000) < 0 && errno != EINTR)
			load_fail("poll", strerror(errno));
		if (nfs_service(l->nfs, p.revents) < 0)
			load_fail("the raw loop", nfs_get_error(l->nfs));
	}
}

static void nfs_load_close(struct load *load)
{
	struct nfs_load *l = (struct nfs_load *)(void *)load;

	nfs_destroy_context(l->nfs);
	free(l);
}

static const struct load_ops ops = {.run = run, .close = nfs_load_close};

struct load *load_nfs_open(const char *text)
{
	struct nfs_load *l = calloc(1, sizeof(*l));
	struct nfs_url *url;

	if (l == NULL)
		load_fail(text, "out of memory");
	l->load.ops = &ops;
	l->nfs = nfs_init_context();
	url = nfs_parse_url_dir(l->nfs, text);
	if (url == NULL || nfs_mount(l->nfs, url->server, url->path) < 0)
		load_fail(text, nfs_get_error(l->nfs));
	nfs_destroy_url(url);
	return &l->load;
}
