#include <config.h>
#include "backends/s3/s3_keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/message.h"

struct s3_keeper {
	char *profile, *file;
	void (*attempted)(void *arg);
	void *arg;
	pthread_t thread;
	bool has_thread;
	atomic_uint_least64_t generation, attempts;
	struct lock lock; /* of all below */
	struct lock_condition changed;
	struct s3_credentials credentials;
	uint64_t due_ms; /* when to fetch; clock_monotonic_ms() */
	uint64_t fetched_ms;
	bool is_stopping;
	bool has_failed; /* which was logged */
};

/* When credentials fetched now are to be renewed. */
static uint64_t due_of(const struct s3_credentials *c)
{
	uint64_t now_ms = clock_monotonic_ms();
	int64_t left_ms = c->expires_ms - clock_realtime_ms();
	int64_t margin_ms = left_ms / 2;

	if (c->expires_ms == S3_CREDENTIALS_NEVER)
		return UINT64_MAX;
	if (margin_ms > S3_KEEPER_MARGIN_MS)
		margin_ms = S3_KEEPER_MARGIN_MS;
	left_ms -= margin_ms;
	return now_ms + (left_ms > S3_KEEPER_PAUSE_MS ? (uint64_t)left_ms : S3_KEEPER_PAUSE_MS);
}

/* Whether it is the first failure after a success. */
static bool take_locked(struct s3_keeper *k, int error, const struct s3_credentials *fetched)
	REQUIRES(&k->lock)
{
	bool had_failed = k->has_failed;

	k->fetched_ms = clock_monotonic_ms();
	k->has_failed = error < 0;
	if (error < 0) {
		k->due_ms = k->fetched_ms + S3_KEEPER_FAILURE_PAUSE_MS;
		return !had_failed;
	}
	k->credentials = *fetched;
	k->due_ms = due_of(fetched);
	atomic_fetch_add(&k->generation, 1);
	return false;
}

static void fetch(struct s3_keeper *k, enum s3_credentials_source source)
{
	struct s3_credentials fetched;
	char *message = NULL;
	int r = s3_credentials_find_in(source, k->profile, k->file, &fetched, &message);
	bool is_news;

	lock_acquire(&k->lock);
	is_news = take_locked(k, r, &fetched);
	lock_release(&k->lock);
	if (is_news)
		log_warning("cannot renew the credentials for S3: %s",
			message != NULL ? message : strerror(-r));
	atomic_fetch_add(&k->attempts, 1);
	free(message);
	explicit_bzero(&fetched, sizeof(fetched));
	k->attempted(k->arg);
}

static void *keep(void *arg)
{
	struct s3_keeper *k = arg;

	(void)pthread_setname_np(pthread_self(), "s3-keeper");
	lock_acquire(&k->lock);
	while (!k->is_stopping) {
		enum s3_credentials_source source = k->credentials.source;

		if (clock_monotonic_ms() < k->due_ms) {
			if (k->due_ms == UINT64_MAX)
				lock_condition_wait(&k->changed, &k->lock);
			else
				(void)lock_condition_wait_until(&k->changed, &k->lock, k->due_ms);
			continue;
		}
		lock_release(&k->lock);
		fetch(k, source);
		lock_acquire(&k->lock);
	}
	lock_release(&k->lock);
	return NULL;
}

static int copy_names(struct s3_keeper *k, const char *profile, const char *file)
{
	k->profile = profile == NULL ? NULL : strdup(profile);
	k->file = file == NULL ? NULL : strdup(file);
	if ((profile != NULL && k->profile == NULL) || (file != NULL && k->file == NULL))
		return -ENOMEM;
	return 0;
}

int s3_keeper_new(const char *profile, const char *file, struct s3_keeper **ret, char **ret_message)
{
	struct s3_keeper *k = calloc(1, sizeof(*k));
	int r;

	if (k == NULL)
		return message_set(ret_message, -ENOMEM, "out of memory");
	lock_init(&k->lock);
	lock_condition_init(&k->changed);
	atomic_init(&k->generation, 1);
	r = copy_names(k, profile, file);
	if (r < 0)
		(void)message_set(ret_message, r, "out of memory");
	else
		r = s3_credentials_find(profile, file, &k->credentials, ret_message);
	if (r < 0) {
		s3_keeper_free(k);
		return r;
	}
	k->due_ms = due_of(&k->credentials);
	*ret = k;
	return 0;
}

static bool can_renew(const struct s3_keeper *k)
{
	return k->credentials.expires_ms != S3_CREDENTIALS_NEVER ||
	       (k->credentials.source == S3_CREDENTIALS_FILE && k->credentials.token[0] != '\0');
}

int s3_keeper_start(struct s3_keeper *k, void (*attempted)(void *arg), void *arg)
{
	int error;

	k->attempted = attempted;
	k->arg = arg;
	if (!can_renew(k))
		return 0;
	error = pthread_create(&k->thread, NULL, keep, k);
	k->has_thread = error == 0;
	return -error;
}

void s3_keeper_read(struct s3_keeper *k, uint64_t *generation, struct s3_credentials *ret)
{
	if (atomic_load(&k->generation) == *generation)
		return;
	lock_acquire(&k->lock);
	*generation = atomic_load(&k->generation);
	*ret = k->credentials;
	lock_release(&k->lock);
}

bool s3_keeper_refuse(struct s3_keeper *k, uint64_t generation, uint64_t *ret_attempts)
{
	if (!k->has_thread)
		return false;
	lock_acquire(&k->lock);
	*ret_attempts = atomic_load(&k->attempts);
	if (atomic_load(&k->generation) == generation) {
		uint64_t due_ms = k->fetched_ms + S3_KEEPER_PAUSE_MS;

		if (due_ms < k->due_ms)
			k->due_ms = due_ms;
		lock_condition_signal(&k->changed);
	} else if (*ret_attempts > 0) {
		(*ret_attempts)--; /* there are new ones already */
	}
	lock_release(&k->lock);
	return true;
}

uint64_t s3_keeper_attempts(struct s3_keeper *k)
{
	return atomic_load(&k->attempts);
}

void s3_keeper_free(struct s3_keeper *k)
{
	if (k == NULL)
		return;
	if (k->has_thread) {
		lock_acquire(&k->lock);
		k->is_stopping = true;
		lock_condition_signal(&k->changed);
		lock_release(&k->lock);
		pthread_join(k->thread, NULL);
	}
	lock_condition_done(&k->changed);
	lock_done(&k->lock);
	free(k->profile);
	free(k->file);
	explicit_bzero(&k->credentials, sizeof(k->credentials));
	free(k);
}
