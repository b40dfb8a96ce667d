#include <config.h>
#include "control_kit.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "backends/memory_backend.h"
#include "cache/key.h"
#include "fs/account_names.h"

/* ---- a node that does what the test says */

struct node control_kit_node;

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

struct replicator control_kit_replicator;

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

static struct open_files *list_open_files(void *source)
{
	struct open_files *files = open_files_new();

	(void)source;
	ck_assert_ptr_nonnull(files);
	ck_assert_int_eq(open_files_add(files, NOBODYS_PID, key_ino_compose(IN_USE, 4)), 0);
	return files;
}

static void drop_kernel_caches(void *source, const char *account_name)
{
	(void)source;
	atomic_fetch_or(&control_kit_replicator.dropped, UINT64_C(1) << atoi(account_name + 1));
}

static void count_requests(void *source, control_take_count_fn *take, void *arg)
{
	(void)source;
	take(arg, "LOOKUP", 9);
	take(arg, "GETATTR", 7);
}

struct backend_chain control_kit_chain;

const struct control_subject control_kit_subject = {
	.backend = &control_kit_chain,
	.node = &control_kit_node,
	.url = "file:///v/\"quoted\"",
	.volume_uuid = "11111111-1111-4111-8111-111111111111",
	.node_uuid = "22222222-2222-4222-8222-222222222222",
	.mountpoint = "/srv/mail",
	.state_directory = "/var/lib/mailfs/x",
	.ack = NODE_ACK_LOCAL,
	.count_requests = count_requests,
	.replicator = &control_kit_replicator,
	.list_open_files = list_open_files,
	.drop_kernel_caches = drop_kernel_caches,
};

/* ---- a server and a client without mercy */

char control_kit_directory[PATH_MAX / 2];
char control_kit_socket[PATH_MAX];
struct control_server *control_kit_server;

void control_kit_set_up(void)
{
	const char *base = getenv("TMPDIR");
	struct backend *driver;
	char *message = NULL;

	control_kit_node = (struct node){0};
	control_kit_replicator = (struct replicator){0};
	ck_assert_int_eq(memory_backend_new(&driver), 0);
	ck_assert_int_eq(backend_chain_build(driver, NULL, &control_kit_chain, &message), 0);
	snprintf(control_kit_directory, sizeof(control_kit_directory), "%s/mailfs-control.XXXXXX",
		base != NULL ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(control_kit_directory));
	snprintf(control_kit_socket, sizeof(control_kit_socket), "%s/control.sock",
		control_kit_directory);
	ck_assert_int_eq(control_server_start(control_kit_socket, &control_kit_subject,
				 &control_kit_server, &message),
		0);
}

void control_kit_clean_up(void)
{
	control_server_stop(control_kit_server);
	control_kit_server = NULL;
	ck_assert_int_ne(access(control_kit_socket, F_OK), 0);
	ck_assert_int_eq(rmdir(control_kit_directory), 0);
	backend_chain_done(&control_kit_chain);
}

int control_kit_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", control_kit_socket);
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
int control_kit_send(const void *bytes, size_t size_bytes, char *answer)
{
	int fd = control_kit_connect();
	int status = 0;

	(void)!send(fd, bytes, size_bytes, MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	(void)read_to_end(fd, answer);
	close(fd);
	if (sscanf(answer, "HTTP/1.1 %d", &status) != 1)
		status = 0;
	return status;
}

int control_kit_request(const char *method, const char *path, const char *body, char *answer)
{
	static _Thread_local char text[CONTROL_MAX_BODY_BYTES * 2];
	int n = snprintf(text, sizeof(text),
		"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		method, path, strlen(body), body);

	ck_assert_int_lt(n, sizeof(text));
	return control_kit_send(text, (size_t)n, answer);
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

json_t *control_kit_body(char *answer)
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
json_t *control_kit_work(const char *path, const char *body, int *ret_beats)
{
	static _Thread_local char answer[ANSWER_MAX_BYTES];
	char *line, *next, *last = NULL;
	json_t *root;

	*ret_beats = 0;
	ck_assert_int_eq(control_kit_request("POST", path, body, answer), 200);
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

json_t *control_kit_result(const char *path, const char *body)
{
	int beats;
	json_t *root = control_kit_work(path, body, &beats);
	json_t *result = json_incref(json_object_get(root, "result"));

	ck_assert_msg(result != NULL, "no result: %s", json_dumps(root, 0));
	json_decref(root);
	return result;
}

void control_kit_check_fails(const char *path, const char *body, const char *error)
{
	int beats;
	json_t *root = control_kit_work(path, body, &beats);
	const char *name = json_string_value(json_object_get(root, "errno"));

	ck_assert_msg(name != NULL, "no error: %s", json_dumps(root, 0));
	ck_assert_str_eq(name, error);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(root, "error")));
	json_decref(root);
}

void control_kit_check_refused(const char *method, const char *path, const char *body, int status)
{
	static char answer[ANSWER_MAX_BYTES];
	json_t *root;

	ck_assert_int_eq(control_kit_request(method, path, body, answer), status);
	root = control_kit_body(answer);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(root, "error")));
	ck_assert_int_eq(*json_string_value(json_object_get(root, "errno")), 'E');
	json_decref(root);
}

json_int_t control_kit_number(const json_t *root, const char *name)
{
	ck_assert_msg(json_is_integer(json_object_get(root, name)), "no number %s", name);
	return json_integer_value(json_object_get(root, name));
}

void control_kit_check_text(const json_t *root, const char *name, const char *expected)
{
	ck_assert_str_eq(json_string_value(json_object_get(root, name)), expected);
}
