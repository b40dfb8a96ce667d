#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>
#include "backends/memory_backend.h"
#include "control/server.h"
#include "control/stream.h"
#include "fs/account_names.h"
#include "util/clock.h"

#define ANSWER_MAX_BYTES 65536

/* ---- a node that does what the test says */

struct node {
	_Atomic int flush_result;
	_Atomic uint64_t evict_keep_bytes;
	_Atomic int n_flushes;
};

static struct node node;

void node_get_figures(struct node *n, struct node_figures *ret)
{
	(void)n;
	*ret = (struct node_figures){
		.commits = 42,
		.dirty_files = 3,
		.body_cache_bytes = UINT64_C(5) << 40,
		.backend_error = -ENOSPC,
	};
}

/* -ETIMEDOUT takes the time it was given, as a real one would. */
int node_flush(struct node *n, uint32_t timeout_ms)
{
	int r = atomic_load(&n->flush_result);

	atomic_fetch_add(&n->n_flushes, 1);
	if (r == -ETIMEDOUT)
		(void)poll(NULL, 0, (int)timeout_ms);
	return r;
}

int node_evict(struct node *n, uint64_t keep_bytes, uint64_t *ret_evicted_bytes)
{
	atomic_store(&n->evict_keep_bytes, keep_bytes);
	*ret_evicted_bytes = 77;
	return 0;
}

uint64_t node_account_bytes(struct node *n, uint32_t account)
{
	(void)n;
	return UINT64_C(1000) * account;
}

/* ---- a volume with accounts u1 to u40, of which u40 is on the backend only */

#define N_ACCOUNTS 40
#define IN_USE 7 /* u7 is held open */

struct replicator {
	_Atomic int result;     /* of the next jobs */
	_Atomic int bad;        /* the account that fails */
	_Atomic bool never;     /* jobs go on until they are stopped */
	_Atomic int n_running;  /* jobs */
	_Atomic int n_stopped;  /* because they were told to */
	_Atomic int n_accounts; /* of the last job, -1: all */
	_Atomic bool checkpoint;
	_Atomic uint32_t timeout_ms;
	_Atomic uint64_t evicted; /* a bit for each account */
	_Atomic uint64_t dropped; /* from the kernel's caches */
};

static struct replicator replicator;

int account_names_find(struct fs *fs, const char *name, uint32_t *ret)
{
	int n = 0, end = 0;

	(void)fs;
	if (strcmp(name, "/") == 0) {
		*ret = 0;
		return 0;
	}
	if (strchr(name, '/') != NULL)
		return -EINVAL;
	if (sscanf(name, "u%d%n", &n, &end) != 1 || name[end] != '\0' || n < 1 || n > N_ACCOUNTS)
		return -ENOENT;
	*ret = (uint32_t)n;
	return 0;
}

int account_names_list(struct fs *fs, account_names_take_fn *take, void *arg)
{
	char name[8];

	(void)fs;
	for (int i = 1; i <= N_ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "u%d", i);
		if (!take(arg, name, (uint32_t)i))
			break;
	}
	return 0;
}

void replicator_get_figures(struct replicator *r, struct replicator_figures *ret)
{
	(void)r;
	*ret = (struct replicator_figures){
		.journal = {.last_sequence = 4711,
			.lag_ms = 12000,
			.lag_bytes = 5000,
			.last_error = -EHOSTUNREACH},
		.epoch = 3,
		.accounts_here = N_ACCOUNTS - 1,
		.accounts_absent = 1,
		.checkpoints = 17,
	};
}

bool replicator_get_account(struct replicator *r, uint32_t account, struct replicator_account *ret)
{
	bool gone = (atomic_load(&r->evicted) >> account & 1) != 0;

	*ret = (struct replicator_account){
		.account = account,
		.place = account == N_ACCOUNTS || gone ? REPLICATOR_ABSENT : REPLICATOR_HERE,
		.idle_ms = UINT64_C(1000) * account,
		.pending_ms = account == 2 ? 300 : 0,
		.checkpoint_number = 9,
	};
	return account <= N_ACCOUNTS;
}

static int do_job(struct replicator *r, const struct replicator_job *job, bool evict)
{
	struct replicator_progress progress = {.accounts_total = job->n_accounts, .bytes_done = 1};
	uint32_t bad = (uint32_t)atomic_load(&r->bad);
	int result = atomic_load(&r->result);

	atomic_store(&r->n_accounts, job->accounts != NULL ? (int)job->n_accounts : -1);
	atomic_store(&r->timeout_ms, job->timeout_ms);
	atomic_fetch_add(&r->n_running, 1);
	while (atomic_load(&r->never) && !atomic_load(job->stopping)) {
		job->progress(job->arg, &progress);
		(void)poll(NULL, 0, 5);
	}
	if (atomic_load(job->stopping)) {
		atomic_fetch_add(&r->n_stopped, 1);
		return -ECANCELED;
	}
	if (job->accounts == NULL && bad != 0)
		job->failed(job->arg, bad, -EBADMSG);
	for (size_t i = 0; i < job->n_accounts; i++) {
		if (job->accounts[i] == bad)
			job->failed(job->arg, bad, -EBADMSG);
		else if (evict && result == 0)
			atomic_fetch_or(&r->evicted, UINT64_C(1) << job->accounts[i]);
		progress.accounts_done++;
		job->progress(job->arg, &progress);
	}
	return result;
}

int replicator_flush(struct replicator *r, const struct replicator_job *job, bool with_checkpoint)
{
	atomic_store(&r->checkpoint, with_checkpoint);
	return do_job(r, job, false);
}

int replicator_evict(struct replicator *r, const struct replicator_job *job)
{
	return do_job(r, job, true);
}

int replicator_warm(struct replicator *r, const struct replicator_job *job)
{
	return do_job(r, job, false);
}

static char *who_has_open(void *source, const char *account_name)
{
	(void)source;
	return strcmp(account_name, "u7") == 0 ? strdup("imap (pid 123) has it open") : NULL;
}

static void drop_kernel_caches(void *source, const char *account_name)
{
	(void)source;
	atomic_fetch_or(&replicator.dropped, UINT64_C(1) << atoi(account_name + 1));
}

static void count_requests(void *source, control_take_count_fn *take, void *arg)
{
	(void)source;
	take(arg, "LOOKUP", 9);
	take(arg, "GETATTR", 7);
}

static struct backend_chain chain;

static const struct control_subject subject = {
	.backend = &chain,
	.node = &node,
	.url = "file:///v/\"quoted\"",
	.volume_uuid = "11111111-1111-4111-8111-111111111111",
	.node_uuid = "22222222-2222-4222-8222-222222222222",
	.mountpoint = "/srv/mail",
	.state_directory = "/var/lib/mailfs/x",
	.ack = NODE_ACK_LOCAL,
	.count_requests = count_requests,
	.replicator = &replicator,
	.who_has_open = who_has_open,
	.drop_kernel_caches = drop_kernel_caches,
};

/* ---- a server and a client without mercy */

static char directory[PATH_MAX / 2];
static char socket_path[PATH_MAX];
static struct control_server *server;

static void set_up(void)
{
	const char *base = getenv("TMPDIR");
	struct backend *driver;
	char *message = NULL;

	node = (struct node){0};
	replicator = (struct replicator){0};
	ck_assert_int_eq(memory_backend_new(&driver), 0);
	ck_assert_int_eq(backend_chain_build(driver, NULL, &chain, &message), 0);
	snprintf(directory, sizeof(directory), "%s/mailfs-control.XXXXXX",
		base != NULL ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/control.sock", directory);
	ck_assert_int_eq(control_server_start(socket_path, &subject, &server, &message), 0);
}

static void clean_up(void)
{
	control_server_stop(server);
	server = NULL;
	ck_assert_int_ne(access(socket_path, F_OK), 0);
	ck_assert_int_eq(rmdir(directory), 0);
	backend_chain_done(&chain);
}

static int open_connection(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", socket_path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Everything the server says until it closes the connection. */
static size_t read_to_end(int fd, char *answer)
{
	size_t size = 0;
	ssize_t n;

	while ((n = read(fd, answer + size, ANSWER_MAX_BYTES - 1 - size)) > 0)
		size += (size_t)n;
	answer[size] = '\0';
	return size;
}

/* Sends the bytes and gives the status line's number, 0 when there was no answer. */
static int send_bytes(const void *bytes, size_t size_bytes, char *answer)
{
	int fd = open_connection();
	int status = 0;

	(void)!send(fd, bytes, size_bytes, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	(void)read_to_end(fd, answer);
	close(fd);
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		status = 0;
	return status;
}

static int request(const char *method, const char *path, const char *body, char *answer)
{
	static _Thread_local char text[CONTROL_MAX_BODY_BYTES * 2];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		method, path, strlen(body), body);

	ck_assert_int_lt(n, sizeof(text));
	return send_bytes(text, (size_t)n, answer);
}

/* Takes the chunks' heads away, where there are any. */
static void unchunk(char *answer)
{
	char *body = strstr(answer, "\r\n\r\n"), *from, *to;
	long size;

	if (body == NULL || strstr(answer, "\r\nTransfer-Encoding: chunked") == NULL)
		return;
	from = to = body + 4;
	while ((size = strtol(from, &from, 16)) > 0) {
		from += 2;
		memmove(to, from, (size_t)size);
		to += size;
		from += size + 2;
	}
	*to = '\0';
}

static json_t *body_of(char *answer)
{
	const char *body;
	json_t *root;

	unchunk(answer);
	body = strstr(answer, "\r\n\r\n");
	ck_assert_ptr_nonnull(body);
	root = json_loads(body, 0, NULL);
	ck_assert_msg(root != NULL, "not JSON: %s", body);
	return root;
}

/* Asks for long work: the last line, and how many said how far it is. */
static json_t *work(const char *path, const char *body, int *ret_beats)
{
	static _Thread_local char answer[ANSWER_MAX_BYTES];
	char *line, *next, *last = NULL;
	json_t *root;

	*ret_beats = 0;
	ck_assert_int_eq(request("POST", path, body, answer), 200);
	unchunk(answer);
	line = strstr(answer, "\r\n\r\n");
	ck_assert_ptr_nonnull(line);
	for (line += 4; *line != '\0'; line = next) {
		next = strchr(line, '\n');
		ck_assert_msg(next != NULL, "no whole line: %s", line);
		*next++ = '\0';
		last = line;
		if (strncmp(line, "{\"progress\":", 12) == 0)
			++*ret_beats;
	}
	ck_assert_ptr_nonnull(last);
	root = json_loads(last, 0, NULL);
	ck_assert_msg(root != NULL, "not JSON: %s", last);
	ck_assert_ptr_null(json_object_get(root, "progress"));
	return root;
}

static json_t *work_result(const char *path, const char *body)
{
	int beats;
	json_t *root = work(path, body, &beats);
	json_t *result = json_incref(json_object_get(root, "result"));

	ck_assert_msg(result != NULL, "no result: %s", json_dumps(root, 0));
	json_decref(root);
	return result;
}

static void check_work_fails(const char *path, const char *body, const char *error)
{
	int beats;
	json_t *root = work(path, body, &beats);
	const char *name = json_string_value(json_object_get(root, "errno"));

	ck_assert_msg(name != NULL, "no error: %s", json_dumps(root, 0));
	ck_assert_str_eq(name, error);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(root, "error")));
	json_decref(root);
}

static void check_refused(const char *method, const char *path, const char *body, int status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(request(method, path, body, answer), status);
	root = body_of(answer);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(root, "error")));
	ck_assert_int_eq(*json_string_value(json_object_get(root, "errno")), 'E');
	json_decref(root);
}

/* ---- the tests */

static json_int_t number(const json_t *root, const char *name)
{
	ck_assert_msg(json_is_integer(json_object_get(root, name)), "no number %s", name);
	return json_integer_value(json_object_get(root, name));
}

static void check_text(const json_t *root, const char *name, const char *expected)
{
	ck_assert_str_eq(json_string_value(json_object_get(root, name)), expected);
}

START_TEST(test_status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root, *figures;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	figures = json_object_get(root, "figures");
	check_text(root, "version", PACKAGE_VERSION);
	check_text(root, "url", subject.url);
	check_text(root, "mountpoint", "/srv/mail");
	check_text(root, "ack", "local");
	ck_assert_int_eq(number(root, "pid"), getpid());
	ck_assert_int_eq(number(root, "commits"), 42);
	ck_assert_int_eq(number(figures, "commits"), 42);
	ck_assert_int_eq(number(figures, "dirty_files"), 3);
	ck_assert_int_eq(number(figures, "body_cache_bytes"), INT64_C(5) << 40);
	ck_assert_int_eq(number(json_object_get(root, "fuse_requests"), "LOOKUP"), 9);
	check_text(figures, "backend_error", "ENOSPC");
	ck_assert(json_is_null(json_object_get(figures, "store_error")));
	json_decref(root);
}
END_TEST

/* A field added to the struct has to be added to the table: 16 numbers and two errors. */
START_TEST(test_no_figure_is_forgotten)
{
	static char answer[ANSWER_MAX_BYTES];
	size_t n_numbers = (sizeof(struct node_figures) - 2 * sizeof(int)) / sizeof(uint64_t);
	json_t *root;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	ck_assert_uint_eq(json_object_size(json_object_get(root, "figures")), n_numbers + 2);
	json_decref(root);
}
END_TEST

START_TEST(test_backend)
{
	static char answer[ANSWER_MAX_BYTES];
	struct iovec part = {(char[]){"12345"}, 5};
	struct backend_result result;
	char *message = NULL;
	json_t *root, *store, *puts;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	ck_assert(
		json_is_false(json_object_get(json_object_get(root, "backend"), "put_if_absent")));
	json_decref(root);
	ck_assert_int_eq(backend_chain_prove(&chain, &message), 0);
	ck_assert_int_eq(backend_put_wait(chain.backend, "k", &part, 1, NULL, &result), 0);
	ck_assert_int_eq(backend_get_wait(chain.backend, "none", 0, 1, &result), -ENOENT);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	store = json_object_get(root, "backend");
	puts = json_object_get(json_object_get(store, "operations"), "put");
	ck_assert(json_is_true(json_object_get(store, "put_if_absent")));
	ck_assert(json_is_true(json_object_get(store, "compare_and_swap")));
	ck_assert(json_is_null(json_object_get(store, "probe_message")));
	ck_assert_int_gt(number(puts, "bytes"), 5);
	ck_assert_int_gt(number(puts, "ok"), 1);
	ck_assert_int_gt(number(puts, "refused"), 0); /* the losers of the probe */
	ck_assert_int_eq(number(puts, "failed"), 0);
	json_decref(root);
	ck_assert_int_eq(request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(
		answer, "\nmailfs_backend_calls_total{operation=\"get\",outcome=\"refused\"} 1\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_backend_seconds_bucket{operation=\"put\",le=\"+Inf\"} "));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_backend_compare_and_swap 1\n"));
}
END_TEST

START_TEST(test_metrics)
{
	static char answer[ANSWER_MAX_BYTES];

	ck_assert_int_eq(request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(answer, "text/plain; version=0.0.4"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_commits_total 42\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_dirty_files 3\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\n# TYPE mailfs_dirty_files gauge\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_backend_failed 1\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_fuse_requests_total{opcode=\"GETATTR\"} 7\n"));
}
END_TEST

START_TEST(test_flush)
{
	json_t *root = work_result("/v1/flush", "");

	ck_assert_int_eq(number(root, "dirty_files"), 3);
	ck_assert_int_eq(number(root, "last_segment"), 4711);
	ck_assert(json_is_true(json_object_get(root, "all")));
	json_decref(root);
	ck_assert_int_eq(atomic_load(&replicator.n_accounts), -1);
	ck_assert_int_eq(atomic_load(&node.n_flushes), 1);
	ck_assert(!atomic_load(&replicator.checkpoint));
	json_decref(work_result("/v1/flush",
		"{\"timeout_ms\": 5000, \"accounts\": [\"u1\", \"/\", \"u1\"], "
		"\"checkpoint\": true}"));
	ck_assert_int_eq(atomic_load(&replicator.n_accounts), 2);
	ck_assert_uint_le(atomic_load(&replicator.timeout_ms), 5000);
	ck_assert_int_eq(atomic_load(&node.n_flushes), 1); /* bodies wait on for their wave */
	ck_assert(atomic_load(&replicator.checkpoint));
}
END_TEST

/* Which part of it fails does not matter; what is left is said. */
START_TEST(test_flush_fails)
{
	json_t *root;
	int beats;

	atomic_store(&node.flush_result, -ETIMEDOUT);
	check_work_fails("/v1/flush", "{\"timeout_ms\": 5}", "ETIMEDOUT");
	atomic_store(&node.flush_result, -EHOSTUNREACH);
	check_work_fails("/v1/flush", "", "EHOSTUNREACH");
	atomic_store(&replicator.result, -ETIMEDOUT);
	root = work("/v1/flush", "", &beats);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(root, "error")), "5000 bytes"));
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(root, "error")), strerror(EHOSTUNREACH)));
	json_decref(root);
	atomic_store(&replicator.result, -ESTALE);
	check_work_fails("/v1/flush", "{\"accounts\": [\"u3\"]}", "ESTALE");
}
END_TEST

/* What is not about the whole: the account is named, the rest is done. */
START_TEST(test_one_account_fails)
{
	json_t *root, *failed;

	atomic_store(&replicator.bad, 5);
	root = work_result("/v1/warm", "{\"accounts\": [\"u4\", \"u5\", \"u6\"]}");
	failed = json_object_get(root, "failed");
	ck_assert_int_eq(number(root, "failures"), 1);
	ck_assert_uint_eq(json_array_size(failed), 1);
	check_text(json_array_get(failed, 0), "account", "u5");
	check_text(json_array_get(failed, 0), "errno", "EBADMSG");
	json_decref(root);
	/* And if nobody named any. */
	root = work_result("/v1/warm", "");
	check_text(json_array_get(json_object_get(root, "failed"), 0), "account", "u5");
	json_decref(root);
}
END_TEST

START_TEST(test_evict_accounts)
{
	json_t *root = work_result(
		"/v1/evict", "{\"accounts\": [\"u1\", \"u7\", \"/\", \"u40\", \"u3\", \"u5\"]}");
	json_t *failed = json_object_get(root, "failed");

	ck_assert_int_eq(number(root, "evicted"), 3);
	ck_assert_int_eq(number(root, "absent"), 1);
	ck_assert_uint_eq(json_array_size(failed), 2);
	check_text(json_array_get(failed, 0), "account", "u7");
	check_text(json_array_get(failed, 0), "errno", "EBUSY");
	ck_assert_ptr_nonnull(strstr(
		json_string_value(json_object_get(json_array_get(failed, 0), "error")), "123"));
	check_text(json_array_get(failed, 1), "account", "/");
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&replicator.evicted), 1 << 1 | 1 << 3 | 1 << 5);
	ck_assert_uint_eq(atomic_load(&replicator.dropped), 1 << 1 | 1 << 3 | 1 << 5);
	/* One that fails stays; --force does not ask who has it open. */
	atomic_store(&replicator.bad, 6);
	root = work_result("/v1/evict", "{\"accounts\": [\"u6\", \"u7\"], \"force\": true}");
	ck_assert_int_eq(number(root, "evicted"), 1);
	ck_assert_int_eq(number(root, "failures"), 1);
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&replicator.evicted) >> 6, 2);
	ck_assert_uint_eq(atomic_load(&replicator.dropped) >> 6, 3);
}
END_TEST

/* u3 to u39 have not changed for 3 s; u7 is in use, which is no failure. */
START_TEST(test_evict_idle)
{
	json_t *root = work_result("/v1/evict", "{\"idle_ms\": 3000}");

	ck_assert_int_eq(number(root, "evicted"), 36);
	ck_assert_int_eq(number(root, "skipped"), 1);
	ck_assert_int_eq(number(root, "failures"), 0);
	json_decref(root);
	ck_assert_uint_eq(atomic_load(&replicator.evicted) & 0xff, 0x78);
	root = work_result("/v1/evict", "{\"idle_ms\": 1000000}");
	ck_assert_int_eq(number(root, "accounts"), 0);
	json_decref(root);
	atomic_store(&replicator.result, -ETIMEDOUT);
	check_work_fails("/v1/evict", "{\"accounts\": [\"u1\"]}", "ETIMEDOUT");
}
END_TEST

START_TEST(test_accounts)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root, *list;

	ck_assert_int_eq(
		request("POST", "/v1/accounts", "{\"accounts\": [\"u2\", \"/\", \"u40\"]}", answer),
		200);
	root = body_of(answer);
	list = json_object_get(root, "accounts");
	ck_assert_uint_eq(json_array_size(list), 3);
	check_text(json_array_get(list, 0), "name", "u2");
	check_text(json_array_get(list, 0), "place", "here");
	ck_assert_int_eq(number(json_array_get(list, 0), "account"), 2);
	ck_assert_int_eq(number(json_array_get(list, 0), "pending_ms"), 300);
	ck_assert_int_eq(number(json_array_get(list, 0), "local_bytes"), 2000);
	ck_assert_int_eq(number(json_array_get(list, 0), "checkpoint"), 9);
	ck_assert_int_eq(number(json_array_get(list, 1), "account"), 0);
	check_text(json_array_get(list, 2), "place", "absent");
	json_decref(root);
	ck_assert_int_eq(request("POST", "/v1/accounts", "{\"limit\": 3}", answer), 200);
	root = body_of(answer);
	ck_assert_uint_eq(json_array_size(json_object_get(root, "accounts")), 3);
	ck_assert_int_eq(number(root, "total"), N_ACCOUNTS);
	ck_assert(json_is_true(json_object_get(root, "more")));
	json_decref(root);
	check_refused("POST", "/v1/accounts", "{\"accounts\": [\"u2\", \"nobody\"]}", 404);
	check_refused("POST", "/v1/accounts", "{\"accounts\": [\"d/u2\"]}", 400);
	check_refused("POST", "/v1/accounts", "{\"accounts\": [2]}", 400);
}
END_TEST

START_TEST(test_replication)
{
	static char answer[ANSWER_MAX_BYTES];
	size_t n_numbers = (sizeof(struct replicator_figures) - 4 * sizeof(int)) / sizeof(uint64_t);
	json_t *root, *replication;

	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	root = body_of(answer);
	replication = json_object_get(root, "replication");
	ck_assert_uint_eq(json_object_size(replication), n_numbers + 3);
	ck_assert_int_eq(number(replication, "last_segment"), 4711);
	ck_assert_int_eq(number(replication, "lag_ms"), 12000);
	ck_assert_int_eq(number(replication, "epoch"), 3);
	ck_assert_int_eq(number(replication, "accounts_absent"), 1);
	check_text(replication, "last_error", "EHOSTUNREACH");
	ck_assert(json_is_null(json_object_get(replication, "error")));
	json_decref(root);
	ck_assert_int_eq(request("GET", "/metrics", "", answer), 200);
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_lag_ms 12000\n"));
	ck_assert_ptr_nonnull(
		strstr(answer, "\nmailfs_replication_checkpoints_written_total 17\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_failing 1\n"));
	ck_assert_ptr_nonnull(strstr(answer, "\nmailfs_replication_ended 0\n"));
}
END_TEST

START_TEST(test_evict)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(request("POST", "/v1/evict", "{\"keep_bytes\": 4096}", answer), 200);
	ck_assert_uint_eq(atomic_load(&node.evict_keep_bytes), 4096);
	root = body_of(answer);
	ck_assert_int_eq(number(root, "evicted_bytes"), 77);
	json_decref(root);
}
END_TEST

START_TEST(test_wrong_requests)
{
	static char big[CONTROL_MAX_BODY_BYTES + 2];

	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	check_refused("GET", "/", "", 404);
	check_refused("GET", "/v1/status/", "", 404);
	check_refused("GET", "/v1/../v1/status", "", 404);
	check_refused("POST", "/v1/status", "", 405);
	check_refused("GET", "/v1/flush", "", 405);
	check_refused("DELETE", "/v1/evict", "", 405);
	check_refused("FROB", "/metrics", "", 405);
	check_refused("POST", "/v1/flush", big, 413);
	check_refused("POST", "/v1/flush", "{", 400);
	check_refused("POST", "/v1/flush", "[]", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": -1}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": \"1\"}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 1e3}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 99999999999999}", 400);
	check_refused("POST", "/v1/flush", "{\"timeout\": 1}", 400);
	check_refused("POST", "/v1/flush", "{\"accounts\": []}", 400);
	check_refused("POST", "/v1/flush", "{\"accounts\": \"u1\"}", 400);
	check_refused("POST", "/v1/flush", "{\"accounts\": [\"u1\", \"u41\"]}", 404);
	check_refused("POST", "/v1/flush", "{\"checkpoint\": 1}", 400);
	check_refused("POST", "/v1/flush", "{\"force\": true}", 400);
	check_refused("POST", "/v1/warm", "{\"accounts\": [\"\\u0000\"]}", 400);
	check_refused("POST", "/v1/evict", "{\"accounts\": [\"u1\"], \"idle_ms\": 1}", 400);
	check_refused("POST", "/v1/evict", "{\"force\": true}", 400);
	check_refused("GET", "/v1/warm", "", 405);
	check_refused("POST", "/v1/flush", "{\"timeout_ms\": 1, \"timeout_ms\": 2}", 400);
	check_refused("POST", "/v1/evict", "{\"keep_bytes\": 1, \"more\": 2}", 400);
	ck_assert_int_eq(atomic_load(&node.n_flushes), 0);
}
END_TEST

/* A request that was damaged in every which way, from a fixed seed: any answer will do, the server
 * has to live. */
START_TEST(test_damaged_requests)
{
	static const char good[] = "POST /v1/evict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				   "Content-Length: 17\r\n\r\n{\"keep_bytes\": 1}";
	static char answer[ANSWER_MAX_BYTES];
	char bytes[sizeof(good)];
	unsigned int seed = 1;

	for (int round = 0; round < 500; round++) {
		size_t size = sizeof(good) - 1;

		memcpy(bytes, good, sizeof(good));
		for (int i = rand_r(&seed) % 4; i >= 0; i--)
			bytes[(size_t)rand_r(&seed) % size] = (char)rand_r(&seed);
		if (round % 3 == 0)
			size = (size_t)rand_r(&seed) % size;
		(void)send_bytes(bytes, size, answer);
	}
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
}
END_TEST

START_TEST(test_endless_headers)
{
	static char bytes[1 << 20], answer[ANSWER_MAX_BYTES];
	int n = snprintf(bytes, sizeof(bytes), "GET /v1/status HTTP/1.1\r\nX: ");

	memset(bytes + n, 'x', sizeof(bytes) - (size_t)n);
	ck_assert_int_ne(send_bytes(bytes, sizeof(bytes), answer), 200);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
}
END_TEST

static void *flush_for_long(void *arg)
{
	json_t *root = work("/v1/flush", "{\"timeout_ms\": 600000}", arg);

	json_decref(root);
	return NULL;
}

/* Long work holds up neither other requests nor the end, and says how far it is. */
START_TEST(test_long_work)
{
	static char answer[ANSWER_MAX_BYTES];
	uint64_t started_ms = clock_monotonic_ms();
	pthread_t threads[4];
	int beats[4];

	atomic_store(&replicator.never, true);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, flush_for_long, &beats[i]), 0);
	while (atomic_load(&replicator.n_running) < 4)
		(void)poll(NULL, 0, 1);
	ck_assert_int_eq(request("GET", "/v1/status", "", answer), 200);
	(void)poll(NULL, 0, 3 * CONTROL_STREAM_BEAT_MS);
	atomic_store(&replicator.never, false);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_gt(beats[i], 0);
	}
	ck_assert_uint_lt(clock_monotonic_ms() - started_ms, 30000);
}
END_TEST

static const char endless_work[] = "POST /v1/warm HTTP/1.1\r\nHost: x\r\n"
				   "Content-Length: 2\r\n\r\n{}";

static int begin_endless_work(void)
{
	int fd = open_connection();

	atomic_store(&replicator.never, true);
	ck_assert_int_gt(send(fd, endless_work, strlen(endless_work), MSG_NOSIGNAL), 0);
	while (atomic_load(&replicator.n_running) == 0)
		(void)poll(NULL, 0, 1);
	return fd;
}

START_TEST(test_the_end_stops_work)
{
	int fd = begin_endless_work();

	control_server_stop(server);
	server = NULL;
	ck_assert_int_eq(atomic_load(&replicator.n_stopped), 1);
	close(fd);
}
END_TEST

/* Who has gone does not want it any more. */
START_TEST(test_a_client_that_goes_stops_its_work)
{
	uint64_t deadline_ms = clock_monotonic_ms() + 30000;

	close(begin_endless_work());
	while (atomic_load(&replicator.n_stopped) == 0 && clock_monotonic_ms() < deadline_ms)
		(void)poll(NULL, 0, 10);
	ck_assert_int_eq(atomic_load(&replicator.n_stopped), 1);
}
END_TEST

START_TEST(test_socket)
{
	char *message = NULL;
	struct stat st;

	ck_assert_int_eq(stat(socket_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	/* What a killed daemon leaves is replaced. */
	control_server_stop(server);
	ck_assert_int_eq(mknod(socket_path, S_IFSOCK | 0600, 0), 0);
	ck_assert_int_eq(control_server_start(socket_path, &subject, &server, &message), 0);
}
END_TEST

START_TEST(test_long_path)
{
	char deep[PATH_MAX], *message = NULL, *answer;
	struct control_server *other;
	int n = snprintf(deep, sizeof(deep), "%s/", directory);

	memset(deep + n, 'd', 200);
	deep[n + 200] = '\0';
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	answer = strdup(deep);
	strcat(deep, "/control.sock");
	ck_assert_int_eq(control_server_start(deep, &subject, &other, &message), 0);
	ck_assert_int_eq(access(deep, F_OK), 0);
	control_server_stop(other);
	ck_assert_int_eq(rmdir(answer), 0);
	free(answer);
	ck_assert_int_lt(
		control_server_start("/no/such/dir/control.sock", &subject, &other, &message), 0);
	ck_assert_ptr_nonnull(strstr(message, "/no/such/dir"));
	free(message);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, clean_up);
	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_no_figure_is_forgotten);
	tcase_add_test(tc, test_backend);
	tcase_add_test(tc, test_metrics);
	tcase_add_test(tc, test_flush);
	tcase_add_test(tc, test_flush_fails);
	tcase_add_test(tc, test_one_account_fails);
	tcase_add_test(tc, test_evict);
	tcase_add_test(tc, test_evict_accounts);
	tcase_add_test(tc, test_evict_idle);
	tcase_add_test(tc, test_accounts);
	tcase_add_test(tc, test_replication);
	tcase_add_test(tc, test_wrong_requests);
	tcase_add_test(tc, test_damaged_requests);
	tcase_add_test(tc, test_endless_headers);
	tcase_add_test(tc, test_long_work);
	tcase_add_test(tc, test_the_end_stops_work);
	tcase_add_test(tc, test_a_client_that_goes_stops_its_work);
	tcase_add_test(tc, test_socket);
	tcase_add_test(tc, test_long_path);
	suite_add_tcase(suite, tc);
	return suite;
}
