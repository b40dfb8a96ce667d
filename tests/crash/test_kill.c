/*
 * A process with a node over file:// does random operations and says through a pipe what it
 * begins and what is done; it is killed at a random moment. Everything done is there afterwards,
 * the operation under way as a whole or not at all, every extent's object exists and can be
 * decoded, and after a flush there is no other object.
 *
 * The same with a loss of power, as far as it can be had without one: fdatasync() is watched, and
 * after the kill a random part of what the store's log had not synced is cut off. Then some moment
 * since the last fsync that was answered must be there.
 *
 * All work on a node is done in children: RocksDB's threads do not survive a fork.
 */
#include <config.h>
#include "check_main.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/file/file_backend.h"
#include "cache/body_map.h"
#include "cache/body_object.h"
#include "cache/node_private.h"
#include "log_watch.h"
#include "node_fixture.h"
#include "util/clock.h"

#define SLOTS 16
#define DEFAULT_ROUNDS 40
#define MOST_SECONDS 45
#define PIECE_MAX_BYTES 30000

/* What a name leads to: a file whose content follows from its seed. */
struct slot {
	uint32_t seed; /* 0: there is no such name */
	uint64_t size_bytes;
};

enum what {
	REPLACE, /* a by a new file of this seed and size */
	APPEND,
	TRUNCATE, /* a to this size */
	REMOVE,
	RENAME,   /* a over b */
	EXCHANGE, /* a and b */
	N_WHAT,
};

enum progress {
	BEGINS,
	DONE,
	SYNCED, /* an fsync that began after it has returned */
};

struct operation {
	enum what what;
	enum progress progress;
	unsigned int a, b;
	struct slot new;
};

struct state {
	struct slot slots[SLOTS];
};

#define MOST_STATES 20000

/* Seen by parent and children. */
struct shared {
	struct state states[MOST_STATES]; /* the first, and after each operation of this round */
	int n_states, n_done;             /* without and with the one under way */
	int n_synced;
	int found; /* by the verifier: where in states[] */
};

static char directory[64];
static struct shared *shared;

static uint8_t byte_at(uint32_t seed, uint64_t at)
{
	return (uint8_t)(seed * 2654435761u >> 24) ^ (uint8_t)(at * 7 + at / 256);
}

static void apply(struct state *s, const struct operation *o)
{
	struct slot old = s->slots[o->a];

	switch (o->what) {
	case REPLACE:
	case APPEND:
	case TRUNCATE:
		s->slots[o->a] = o->new;
		break;
	case REMOVE:
		s->slots[o->a] = (struct slot){0};
		break;
	case RENAME:
		s->slots[o->a] = (struct slot){0};
		s->slots[o->b] = old;
		break;
	case EXCHANGE:
		s->slots[o->a] = s->slots[o->b];
		s->slots[o->b] = old;
		break;
	case N_WHAT:
		break;
	}
}

/* ---- in a child */
struct opened {
	struct backend *backend;
	struct node *node;
	struct fs *fs;
	uint64_t account;
};

static const struct fs_caller caller = {0};

__attribute__((format(printf, 1, 2))) static void give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	_exit(99);
}

static void must(int r, const char *what)
{
	if (r < 0)
		give_up("%s: %s", what, strerror(-r));
}

static void open_all(struct opened *o, unsigned int seed)
{
	char db[96], objects[96];
	struct node_options options = {
		.directory = db,
		.account_depth = 1,
		.memory_bytes = 8 << 20,
		.cache_size_bytes = seed % 2 == 0 ? 200000 : 0,
		.commit_interval_ms = seed % 3 * 15,
	};
	struct fs_attributes a;
	char *message = NULL;
	int r;

	snprintf(db, sizeof(db), "%s/db", directory);
	snprintf(objects, sizeof(objects), "%s/objects", directory);
	must(file_backend_open(objects, &o->backend, &message), "file_backend_open");
	options.backend = o->backend;
	must(node_open(&options, &o->node, &message), "node_open");
	must(fs_open(o->node, &o->fs), "fs_open");
	r = fs_lookup(o->fs, FS_ROOT_INO, "user", &a);
	if (r == -ENOENT)
		r = fs_mkdir(o->fs, &caller, FS_ROOT_INO, "user", 0700, &a);
	must(r, "the account");
	o->account = a.ino;
	r = fs_unlink(o->fs, o->account, ".temp.x");
	must(r == -ENOENT ? 0 : r, "unlink of what was left");
}

static const char *slot_name(unsigned int i, char name[16])
{
	snprintf(name, 16, "u.%u", i + 1);
	return name;
}

static void write_content(struct opened *o, uint64_t ino, const struct slot *s, uint64_t from)
{
	uint8_t *data = malloc(PIECE_MAX_BYTES);
	size_t n;

	for (uint64_t at = from; at < s->size_bytes; at += n) {
		n = s->size_bytes - at < PIECE_MAX_BYTES ? (size_t)(s->size_bytes - at)
							 : PIECE_MAX_BYTES;
		for (size_t i = 0; i < n; i++)
			data[i] = byte_at(s->seed, at + i);
		must(node_fixture_write(o->fs, ino, at, data, n), "write");
	}
	free(data);
}

static void perform(struct opened *o, const struct state *state, const struct operation *op)
{
	char a[16], b[16];
	struct fs_attributes attributes = {0};
	int r = 0;

	slot_name(op->a, a);
	slot_name(op->b, b);
	if (op->what == REPLACE) {
		r = fs_mknod(o->fs, &caller, o->account, ".temp.x", S_IFREG | 0600, 0, &attributes);
		must(r, "mknod");
		write_content(o, attributes.ino, &op->new, 0);
		r = node_fixture_rename(o->fs, o->account, ".temp.x", o->account, a, 0);
	} else if (op->what == APPEND || op->what == TRUNCATE) {
		must(fs_lookup(o->fs, o->account, a, &attributes), "lookup");
		if (op->what == APPEND)
			write_content(o, attributes.ino, &op->new, state->slots[op->a].size_bytes);
		else
			r = node_fixture_truncate(o->fs, attributes.ino, op->new.size_bytes);
	} else if (op->what == REMOVE) {
		r = fs_unlink(o->fs, o->account, a);
	} else {
		r = node_fixture_rename(
			o->fs, o->account, a, o->account, b, op->what == EXCHANGE ? 2 : 0);
	}
	must(r, "operation");
	if (attributes.ino != 0)
		fs_forget(o->fs, attributes.ino, 1);
}

/* Something that can be done in this state. */
static struct operation choose(const struct state *s, unsigned int *seed)
{
	struct operation o = {
		.what = (enum what)((unsigned int)rand_r(seed) % N_WHAT),
		.a = (unsigned int)rand_r(seed) % SLOTS,
		.b = (unsigned int)rand_r(seed) % SLOTS,
	};
	const struct slot *a = &s->slots[o.a];
	uint64_t n = 1 + (uint64_t)rand_r(seed) % (rand_r(seed) % 4 == 0 ? PIECE_MAX_BYTES : 2500);

	if (a->seed == 0 || (o.what == APPEND && a->size_bytes > 400000) ||
		(o.what == EXCHANGE && s->slots[o.b].seed == 0) ||
		((o.what == RENAME || o.what == EXCHANGE) && o.a == o.b))
		o.what = REPLACE;
	o.new = *a;
	if (o.what == REPLACE)
		o.new = (struct slot){(uint32_t)rand_r(seed) | 1, rand_r(seed) % 8 ? n : n * 20};
	else if (o.what == APPEND)
		o.new.size_bytes += n;
	else if (o.what == TRUNCATE)
		o.new.size_bytes = (uint64_t)rand_r(seed) % (a->size_bytes + 1);
	return o;
}

static void tell(int fd, struct operation *o, enum progress progress)
{
	o->progress = progress;
	if (write(fd, o, sizeof(*o)) != sizeof(*o))
		give_up("the pipe is closed");
}

static void work(struct state state, unsigned int seed, int fd)
{
	struct opened o;
	struct fs_attributes a;
	char name[16];

	open_all(&o, seed);
	for (;;) {
		struct operation op = choose(&state, &seed);

		tell(fd, &op, BEGINS);
		perform(&o, &state, &op);
		apply(&state, &op);
		tell(fd, &op, DONE);
		if (rand_r(&seed) % 8 == 0 &&
			fs_lookup(o.fs, o.account, slot_name(op.a, name), &a) == 0) {
			must(node_fixture_fsync(o.fs, a.ino), "fsync");
			fs_forget(o.fs, a.ino, 1);
			tell(fd, &op, SYNCED);
		}
	}
}

/* ---- verification, in another child */
struct content {
	uint8_t *data;
	ssize_t size_bytes; /* -1: there is no such name */
};

static void read_slot(struct opened *o, unsigned int i, struct content *ret)
{
	struct fs_attributes a;
	char name[16];
	int r = fs_lookup(o->fs, o->account, slot_name(i, name), &a);

	*ret = (struct content){.size_bytes = -1};
	if (r == -ENOENT)
		return;
	must(r, "lookup");
	ret->data = malloc((size_t)a.size_bytes + 1);
	ret->size_bytes = node_fixture_read(o->fs, a.ino, 0, ret->data, (size_t)a.size_bytes);
	if (ret->size_bytes != (ssize_t)a.size_bytes)
		give_up("%s cannot be read: %zd", name, ret->size_bytes);
	fs_forget(o->fs, a.ino, 1);
}

static bool slot_is(const struct content *content, const struct slot *s)
{
	if (s->seed == 0 || content->size_bytes != (ssize_t)s->size_bytes)
		return s->seed == 0 && content->size_bytes == -1;
	for (ssize_t k = 0; k < content->size_bytes; k++) {
		if (content->data[k] != byte_at(s->seed, (uint64_t)k))
			return false;
	}
	return true;
}

/* The newest of the states from `first` to `last` that is there; -1 when it is none of them. */
static int find_state(struct opened *o, int first, int last)
{
	struct content contents[SLOTS];
	int n = last;

	for (unsigned int i = 0; i < SLOTS; i++)
		read_slot(o, i, &contents[i]);
	for (; n >= first; n--) {
		unsigned int i = 0;

		while (i < SLOTS && slot_is(&contents[i], &shared->states[n].slots[i]))
			i++;
		if (i == SLOTS)
			break;
	}
	for (unsigned int i = 0; i < SLOTS; i++)
		free(contents[i].data);
	return n >= first ? n : -1;
}

static bool count_name(void *arg, const char *name, uint64_t ino, uint32_t mode, uint64_t next,
	const struct fs_attributes *attributes)
{
	(void)ino;
	(void)mode;
	(void)next;
	(void)attributes;
	*(unsigned int *)arg += name[0] == 'u';
	return true;
}

static void check_listing(struct opened *o, const struct state *s)
{
	unsigned int n = 0, expected = 0;

	for (unsigned int i = 0; i < SLOTS; i++)
		expected += s->slots[i].seed != 0;
	must(fs_readdir(o->fs, o->account, 0, false, count_name, &n), "readdir");
	if (n != expected)
		give_up("%u names are listed, not %u", n, expected);
}

/* Each extent's object can be fetched and decoded; how many different ones there are. */
static size_t check_objects_of(struct opened *o, uint64_t ino, char *seen, size_t seen_bytes)
{
	struct extent_list list;
	size_t n = 0;

	must(body_map_load_extents(o->node, ino, 0, BODY_MAP_TO_THE_END, &list), "extents");
	for (size_t i = 0; i < list.n; i++) {
		const struct extent *x = &list.extents[i];
		char key[BODY_OBJECT_KEY_BYTES];
		struct backend_result result;
		void *content = NULL;
		size_t size_bytes = 0;

		body_object_key(key_ino_account(ino), &x->object, key);
		must(backend_get_wait(o->backend, key, 0, BODY_OBJECT_MAX_BYTES, &result), key);
		must(body_object_decode(result.data, result.data_size_bytes, &x->object, &content,
			     &size_bytes),
			key);
		if (x->object_offset_bytes + x->size_bytes > size_bytes)
			give_up("an extent reaches beyond its object %s", key);
		if (strstr(seen, key) == NULL) {
			if (strlen(seen) + sizeof(key) + 2 > seen_bytes)
				give_up("too many objects");
			strcat(strcat(seen, key), "\n");
			n++;
		}
		free(content);
		backend_result_done(&result);
	}
	extent_list_done(&list);
	return n;
}

static void check_objects(struct opened *o, const struct state *s)
{
	static char seen[1 << 20];
	struct backend_result result;
	struct fs_attributes a;
	char name[16];
	size_t n = 0;

	seen[0] = '\0';
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (s->slots[i].seed == 0)
			continue;
		must(fs_lookup(o->fs, o->account, slot_name(i, name), &a), "lookup");
		n += check_objects_of(o, a.ino, seen, sizeof(seen));
		fs_forget(o->fs, a.ino, 1);
	}
	must(backend_list_wait(o->backend, "accounts/", NULL, 100000, &result), "list");
	if (result.n_entries != n)
		give_up("%zu objects, of which %zu are referred to", result.n_entries, n);
	backend_result_done(&result);
}

static void verify(int first, unsigned int seed)
{
	uint64_t evicted;
	struct opened o;
	int n;

	open_all(&o, seed);
	n = find_state(&o, first, shared->n_states - 1);
	if (n < 0)
		give_up("it is no state from %d to %d", first, shared->n_states - 1);
	check_listing(&o, &shared->states[n]);
	must(node_flush(o.node, 20000), "flush");
	check_objects(&o, &shared->states[n]);
	must(node_evict(o.node, 0, &evicted), "evict");
	if (find_state(&o, n, n) < 0)
		give_up("the content differs after eviction");
	fs_close(o.fs);
	node_close(o.node);
	backend_free(o.backend);
	shared->found = n;
	_exit(0);
}

/* ---- the parent */
static int wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void note(const struct operation *o)
{
	struct state *next = &shared->states[shared->n_done + 1];

	if (o->progress == BEGINS) {
		ck_assert_int_lt(shared->n_done + 1, MOST_STATES);
		*next = shared->states[shared->n_done];
		apply(next, o);
		shared->n_states = shared->n_done + 2;
	} else if (o->progress == DONE) {
		shared->n_done++;
	} else {
		shared->n_synced = shared->n_done;
	}
}

/* Follows what the worker says until it is time; then what the pipe still holds. */
static void follow(int fd, pid_t pid, uint64_t until_ms)
{
	struct operation o;
	bool killed = false;
	ssize_t n;

	for (;;) {
		uint64_t now_ms = clock_monotonic_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (!killed && now_ms >= until_ms) {
			kill(pid, SIGKILL);
			killed = true;
		}
		(void)poll(&p, 1, killed ? -1 : (int)(until_ms - now_ms));
		if (!killed && !(p.revents & (POLLIN | POLLHUP)))
			continue;
		n = read(fd, &o, sizeof(o));
		if (n <= 0)
			break;
		ck_assert_int_eq(n, sizeof(o));
		note(&o);
	}
}

static void one_round(unsigned int round, bool power)
{
	unsigned int seed = round * 7919 + 1;
	int pipe_fds[2], status, first;
	pid_t pid;

	shared->states[0] = shared->states[shared->found];
	shared->n_states = 1;
	shared->n_done = shared->n_synced = shared->found = 0;
	ck_assert_int_eq(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		work(shared->states[0], seed, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	follow(pipe_fds[0], pid, clock_monotonic_ms() + 30 + round * 37 % 400);
	close(pipe_fds[0]);
	status = wait_for(pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		"round %u: the worker ended by itself (%d)", round, status);
	if (power)
		log_watch_lose_power(directory, &seed);
	first = power ? shared->n_synced : shared->n_done;
	pid = fork();
	if (pid == 0)
		verify(first, round);
	status = wait_for(pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		"round %u: the state afterwards is wrong (%d)", round, status);
}

static void run_rounds(bool power)
{
	const char *wanted = getenv("MAILFS_TEST_ROUNDS");
	unsigned int rounds = wanted != NULL ? (unsigned int)atoi(wanted) : DEFAULT_ROUNDS;
	uint64_t end_ms = clock_monotonic_ms() + MOST_SECONDS * 1000;
	char text[128];

	shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
	log_watch_start();
	snprintf(directory, sizeof(directory), "/tmp/mailfs-kill-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(text, sizeof(text), "%s/objects", directory);
	ck_assert_int_eq(mkdir(text, 0700), 0);
	for (unsigned int i = 0; i < rounds && clock_monotonic_ms() < end_ms; i++)
		one_round(i, power);
	snprintf(text, sizeof(text), "rm -rf '%s'", directory);
	ck_assert_int_eq(system(text), 0);
}

START_TEST(test_killed_again_and_again)
{
	run_rounds(false);
}
END_TEST

START_TEST(test_power_lost_again_and_again)
{
	run_rounds(true);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("kill");
	TCase *tc = tcase_create("kill");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_killed_again_and_again);
	tcase_add_test(tc, test_power_lost_again_and_again);
	suite_add_tcase(suite, tc);
	return suite;
}
