#include <config.h>
#include "fuse/park.h"

#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuse/session_private.h"
#include "util/clock.h"
#include "util/list.h"
#include "util/lock.h"

/* How often a thread that waits for room looks whether the session ends. */
#define LOOK_AGAIN_MS 100

struct parked {
	struct list_node node; /* in `waiting`, `delayed` or `ready` */
	struct park *park;
	uint64_t unique;
	uint32_t pid;
	bool is_answered; /* protected by lock */
	uint64_t due_ms;  /* of one that is delayed */
	size_t size_bytes;
	char data[];
};

struct park {
	struct session *session;
	pthread_t threads[PARK_THREADS];
	unsigned int n_threads;
	struct lock lock;
	struct lock_condition changed;
	struct list_node waiting, ready; /* of struct parked; protected by lock */
	struct list_node delayed;        /* likewise, as they came: that is about by due time */
	uint64_t n, bytes;               /* of all; protected by lock */
	bool stopping;                   /* protected by lock */
};

/* What this thread serves. */
struct serving {
	bool repeats;
	uint64_t parents[2];
	const char *names[2];
};

static _Thread_local struct serving *serving;

/* One of ours: it gives room, so it must not wait for any. */
static _Thread_local bool makes_room;

struct park *park_new(struct session *s)
{
	struct park *park = calloc(1, sizeof(*park));

	if (park == NULL)
		return NULL;
	park->session = s;
	lock_init(&park->lock);
	lock_condition_init(&park->changed);
	list_init(&park->waiting);
	list_init(&park->ready);
	list_init(&park->delayed);
	return park;
}

void park_free(struct park *park)
{
	if (park == NULL)
		return;
	lock_condition_done(&park->changed);
	lock_done(&park->lock);
	free(park);
}

uint64_t park_count(struct park *park)
{
	uint64_t n;

	lock_acquire(&park->lock);
	n = park->n;
	lock_release(&park->lock);
	return n;
}

/* ---- the end of a wait */

static int for_programs(int error)
{
	switch (error) {
	case -ESTALE:
	case -EINTR:
	case -ENOMEM:
		return error;
	case -ENOBUFS:
		return -ENOMEM;
	case -ECANCELED:
		return -ENOTCONN;
	default:
		return -EIO;
	}
}

/* libfuse does not know of this request. When the mount has gone, nobody waits. */
static void answer(struct park *park, uint64_t unique, int error)
{
	struct fuse_out_header out = {
		.len = sizeof(out), .error = for_programs(error), .unique = unique};
	ssize_t ignored = write(fuse_session_fd(park->session->fuse), &out, sizeof(out));

	(void)ignored;
}

/* It is in no list any more. */
static void release(struct park *park, struct parked *p)
{
	lock_acquire(&park->lock);
	park->n--;
	park->bytes -= p->size_bytes;
	lock_condition_broadcast(&park->changed);
	lock_release(&park->lock);
	free(p);
}

/* By the thread that brought the account, which has more to do. */
static void account_done(void *arg, int error)
{
	struct parked *p = arg;
	struct park *park = p->park;
	bool ends;

	lock_acquire(&park->lock);
	list_remove(&p->node);
	ends = error < 0 || p->is_answered;
	if (!ends) {
		list_append(&park->ready, &p->node);
		lock_condition_broadcast(&park->changed);
	}
	lock_release(&park->lock);
	if (!ends)
		return;
	if (!p->is_answered)
		answer(park, p->unique, error);
	release(park, p);
}

/* ---- waiting */

/* -ECANCELED: the session ends. */
static int wait_for_room_locked(struct park *park, size_t size_bytes) REQUIRES(park->lock)
{
	while (!makes_room && (park->n >= PARK_MAX_REQUESTS ||
				      (park->n > 0 && park->bytes + size_bytes > PARK_MAX_BYTES))) {
		if (park->stopping || atomic_load(&park->session->exiting))
			return -ECANCELED;
		(void)lock_condition_wait_until(
			&park->changed, &park->lock, clock_monotonic_ms() + LOOK_AGAIN_MS);
	}
	return 0;
}

/* A copy of the request, in the list; NULL: it is answered with an error. */
static struct parked *park_copy(struct park *park, const struct fuse_in_header *header,
	const void *data, struct list_node *list, uint64_t due_ms)
{
	size_t size_bytes = header->len;
	struct parked *p = malloc(sizeof(*p) + size_bytes);
	int r = -ENOMEM;

	if (p != NULL) {
		*p = (struct parked){.park = park,
			.unique = header->unique,
			.pid = header->pid,
			.due_ms = due_ms,
			.size_bytes = size_bytes};
		memcpy(p->data, data, size_bytes);
		lock_acquire(&park->lock);
		r = wait_for_room_locked(park, size_bytes);
		if (r == 0) {
			list_append(list, &p->node);
			park->n++;
			park->bytes += size_bytes;
			lock_condition_broadcast(&park->changed);
		}
		lock_release(&park->lock);
	}
	if (r == 0)
		return p;
	free(p);
	answer(park, header->unique, r);
	return NULL;
}

/* ---- who is being killed */

/* Whether SIGKILL is pending, as the kernel makes of every fatal signal. The kernel lets nobody go
 * whose request has been read, but tells us of any signal; most of them are no reason to fail. */
static bool is_dying(uint32_t pid)
{
	char path[64], line[128];
	unsigned long long pending;
	bool found = false;
	FILE *status;

	if (pid == 0)
		return false; /* of another namespace: not known */
	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	status = fopen(path, "re");
	if (status == NULL)
		return errno == ENOENT || errno == ESRCH;
	while (!found && fgets(line, sizeof(line), status) != NULL)
		found = (sscanf(line, "SigPnd: %llx", &pending) == 1 ||
				sscanf(line, "ShdPnd: %llx", &pending) == 1) &&
			(pending >> (SIGKILL - 1) & 1);
	fclose(status);
	return found;
}

/* Whether the request that was interrupted is parked here. */
static bool interrupt(struct park *park, uint64_t unique)
{
	struct parked *p = NULL;
	bool answers = false;

	lock_acquire(&park->lock);
	for (struct list_node *n = park->waiting.next; n != &park->waiting && p == NULL;
		n = n->next) {
		if (LIST_ENTRY(n, struct parked, node)->unique == unique)
			p = LIST_ENTRY(n, struct parked, node);
	}
	if (p != NULL && !p->is_answered)
		answers = p->is_answered = is_dying(p->pid);
	lock_release(&park->lock);
	if (answers)
		answer(park, unique, -EINTR);
	return p != NULL;
}

/* ---- serving */

void park_note_names(uint64_t parent, const char *name, uint64_t new_parent, const char *new_name)
{
	if (serving == NULL)
		return;
	serving->parents[0] = parent;
	serving->names[0] = name;
	serving->parents[1] = new_parent;
	serving->names[1] = new_name;
}

bool park_repeat(void)
{
	if (serving != NULL)
		serving->repeats = true;
	return serving != NULL;
}

/* What a request that has to be repeated waits for; 0: nothing any more. */
static uint64_t find_absent(struct park *park, const struct serving *now)
{
	uint64_t ino = 0;

	for (int i = 0; i < 2 && ino == 0; i++) {
		if (now->names[i] != NULL &&
			fs_find_absent(park->session->fs, now->parents[i], now->names[i], &ino) < 0)
			ino = 0;
	}
	return ino;
}

static bool is_gated(const struct fuse_in_header *header)
{
	switch (header->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_INIT:
	case FUSE_DESTROY:
	case FUSE_STATFS:
	case FUSE_IOCTL: /* asks for the daemon: handle_question.c */
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return false;
	default:
		return header->nodeid != 0;
	}
}

static void process(struct park *park, const struct fuse_buf *buffer)
{
	fuse_session_process_buf(park->session->fuse, buffer);
}

/* In the account. Gives the inode to wait for, or 0: it is answered. */
static uint64_t serve_in(struct park *park, const struct fuse_buf *buffer)
{
	struct serving now;
	uint64_t absent = 0;

	do {
		now = (struct serving){.repeats = false};
		serving = &now;
		process(park, buffer);
		serving = NULL;
		if (now.repeats)
			absent = find_absent(park, &now);
	} while (now.repeats && absent == 0);
	return absent;
}

/* What needs room on the backend in the end. */
static bool is_growth(const struct fuse_in_header *header)
{
	switch (header->opcode) {
	case FUSE_WRITE:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
	case FUSE_SETXATTR:
	case FUSE_FALLOCATE:
		return true;
	default:
		return false;
	}
}

/* While the backend is behind, changes wait a little before they are made. */
static bool is_delayed(
	struct park *park, const struct fuse_in_header *header, const struct fuse_buf *buffer)
{
	uint32_t delay_ms = is_growth(header) ? fs_delay_ms(park->session->fs) : 0;

	if (delay_ms == 0)
		return false;
	(void)park_copy(park, header, buffer->mem, &park->delayed, clock_monotonic_ms() + delay_ms);
	return true;
}

static void serve_gated(
	struct park *park, const struct fuse_in_header *header, const struct fuse_buf *buffer)
{
	uint64_t absent = header->nodeid;
	struct parked *p;
	int r = fs_enter(park->session->fs, header->nodeid);

	if (r == 0) {
		absent = serve_in(park, buffer);
		fs_leave(park->session->fs, header->nodeid);
	} else if (r != -EINPROGRESS) {
		answer(park, header->unique, r);
		return;
	}
	if (absent == 0)
		return;
	p = park_copy(park, header, buffer->mem, &park->waiting, 0);
	if (p != NULL)
		fs_wait_for_account(park->session->fs, absent, account_done, p);
}

void park_serve(struct park *park, const struct fuse_buf *buffer)
{
	struct fuse_in_header header;
	struct fuse_interrupt_in in;

	if (buffer->size < sizeof(header)) {
		process(park, buffer); /* libfuse knows what to say */
		return;
	}
	memcpy(&header, buffer->mem, sizeof(header));
	if (header.opcode == FUSE_INTERRUPT && buffer->size >= sizeof(header) + sizeof(in)) {
		memcpy(&in, (const char *)buffer->mem + sizeof(header), sizeof(in));
		if (interrupt(park, in.unique))
			return;
	}
	header.len = (uint32_t)buffer->size;
	if (!is_gated(&header))
		process(park, buffer);
	else if (makes_room || !is_delayed(park, &header, buffer))
		serve_gated(park, &header, buffer);
}

/* ---- threads for those whose account has come */

static bool is_due_locked(struct park *park, uint64_t *ret_due_ms) REQUIRES(park->lock)
{
	*ret_due_ms = UINT64_MAX / 2;
	if (list_is_empty(&park->delayed))
		return false;
	*ret_due_ms = LIST_ENTRY(park->delayed.next, struct parked, node)->due_ms;
	return park->stopping || *ret_due_ms <= clock_monotonic_ms();
}

static struct parked *take_ready(struct park *park)
{
	struct list_node *node;
	uint64_t due_ms;

	lock_acquire(&park->lock);
	while (list_is_empty(&park->ready) && !is_due_locked(park, &due_ms) &&
		!(park->stopping && park->n == 0))
		(void)lock_condition_wait_until(&park->changed, &park->lock, due_ms);
	node = list_take_first(&park->ready);
	if (node == NULL)
		node = list_take_first(&park->delayed);
	lock_release(&park->lock);
	return node == NULL ? NULL : LIST_ENTRY(node, struct parked, node);
}

static void *run(void *arg)
{
	struct park *park = arg;
	struct parked *p;

	makes_room = true;
	while ((p = take_ready(park)) != NULL) {
		struct fuse_buf buffer = {.mem = p->data, .size = p->size_bytes};

		park_serve(park, &buffer);
		release(park, p);
	}
	return NULL;
}

int park_start(struct park *park)
{
	int r = 0;

	for (; park->n_threads < PARK_THREADS && r == 0; park->n_threads += r == 0) {
		r = -pthread_create(&park->threads[park->n_threads], NULL, run, park);
		if (r == 0)
			pthread_setname_np(park->threads[park->n_threads], "mfs-park");
	}
	return r;
}

void park_stop(struct park *park)
{
	lock_acquire(&park->lock);
	park->stopping = true;
	lock_condition_broadcast(&park->changed);
	lock_release(&park->lock);
	fs_end_waits(park->session->fs);
	for (unsigned int i = 0; i < park->n_threads; i++)
		pthread_join(park->threads[i], NULL);
	park->n_threads = 0;
}
