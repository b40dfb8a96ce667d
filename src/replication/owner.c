#include <config.h>
#include "replication/owner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/checksum.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/codec.h"
#include "util/failpoint.h"
#include "util/message.h"
#include "util/parse_number.h"

#define MAGIC_BYTES 8
#define EPOCH_DIGITS 16
#define CHECKSUM_OFFSET (OWNER_BYTES - 8)

/* Above any number of takeovers: a listing with more is not ours. */
#define MAX_RECORDS 100000

static const uint8_t magic[MAGIC_BYTES] = "MFSOWNR";

/* ---- format */

void owner_key(uint64_t epoch, char key[OWNER_KEY_BYTES])
{
	(void)snprintf(key, OWNER_KEY_BYTES, OWNER_PREFIX "%016" PRIx64, epoch);
}

bool owner_parse_key(const char *key, uint64_t *ret_epoch)
{
	size_t prefix = strlen(OWNER_PREFIX);

	return strlen(key) == prefix + EPOCH_DIGITS && strncmp(key, OWNER_PREFIX, prefix) == 0 &&
	       parse_number_hex(key + prefix, EPOCH_DIGITS, ret_epoch) == 0;
}

void owner_encode(const struct owner *owner, uint8_t data[OWNER_BYTES])
{
	struct encoder e = encoder_over(data, OWNER_BYTES);

	encode_bytes(&e, magic, MAGIC_BYTES);
	encode_u16(&e, OWNER_FORMAT_VERSION);
	encode_u16(&e, 0);
	encode_u32(&e, OWNER_BYTES);
	encode_bytes(&e, owner->volume.bytes, UUID_BYTES);
	encode_u64(&e, owner->epoch);
	encode_bytes(&e, owner->node.bytes, UUID_BYTES);
	encode_u64(&e, owner->incarnation);
	encode_bytes(&e, owner->nonce.bytes, UUID_BYTES);
	encode_u64(&e, (uint64_t)owner->created_ms);
	encode_u64(&e, checksum_64(data, CHECKSUM_OFFSET));
}

/* Behind the magic; zeros where there is nothing. */
static void decode_fields(
	struct decoder *d, struct owner *ret, uint16_t *ret_version, bool *ret_plain)
{
	*ret_version = decode_u16(d);
	*ret_plain = decode_u16(d) == 0;
	*ret_plain = decode_u32(d) == OWNER_BYTES && *ret_plain;
	decode_bytes(d, ret->volume.bytes, UUID_BYTES);
	ret->epoch = decode_u64(d);
	decode_bytes(d, ret->node.bytes, UUID_BYTES);
	ret->incarnation = decode_u64(d);
	decode_bytes(d, ret->nonce.bytes, UUID_BYTES);
	ret->created_ms = (int64_t)decode_u64(d);
}

bool owner_peek(const void *data, size_t size_bytes, struct owner *ret, uint16_t *ret_version)
{
	struct decoder d = decoder_over(data, size_bytes);
	struct owner owner;
	uint16_t version;
	bool is_plain;

	(void)decode_view(&d, MAGIC_BYTES);
	decode_fields(&d, &owner, &version, &is_plain);
	if (!decoder_ok(&d))
		return false;
	*ret = owner;
	*ret_version = version;
	return true;
}

static const char *find_problem(
	const void *data, size_t size_bytes, uint64_t epoch, struct owner *ret)
{
	struct decoder d = decoder_over(data, size_bytes);
	const uint8_t *begin = decode_view(&d, MAGIC_BYTES);
	uint64_t checksum;
	uint16_t version;
	bool is_plain;

	if (begin == NULL || memcmp(begin, magic, MAGIC_BYTES) != 0)
		return "it does not begin as an owner record";
	decode_fields(&d, ret, &version, &is_plain);
	if (decoder_ok(&d) && version != OWNER_FORMAT_VERSION)
		return "its format is another version's";
	checksum = decode_u64(&d);
	if (!decoder_ok(&d) || decoder_left_bytes(&d) > 0)
		return "its size is wrong";
	if (checksum != checksum_64(data, CHECKSUM_OFFSET))
		return "its checksum is wrong";
	if (!is_plain || ret->epoch == 0 || ret->incarnation == 0)
		return "a field has a value that it cannot have";
	return ret->epoch == epoch ? NULL : "the epoch is not that of the key";
}

int owner_decode(const void *data, size_t size_bytes, uint64_t epoch, struct owner *ret,
	const char **ret_problem)
{
	struct owner owner;
	const char *problem = find_problem(data, size_bytes, epoch, &owner);

	if (ret_problem != NULL)
		*ret_problem = problem;
	if (problem != NULL)
		return -EBADMSG;
	*ret = owner;
	return 0;
}

/* ---- reading */

struct owners {
	struct owner *owners; /* while listing only with their epochs */
	size_t n, capacity;
};

static int add_epoch(struct owners *o, uint64_t epoch)
{
	size_t capacity = o->capacity > 0 ? 2 * o->capacity : 16;
	struct owner *bigger;

	if (o->n == MAX_RECORDS)
		return -EFBIG;
	if (o->n == o->capacity) {
		bigger = reallocarray(o->owners, capacity, sizeof(*bigger));
		if (bigger == NULL)
			return -ENOMEM;
		o->owners = bigger;
		o->capacity = capacity;
	}
	o->owners[o->n++] = (struct owner){.epoch = epoch};
	return 0;
}

/* Listings sort as epochs do. */
static int list_epochs(struct backend *backend, struct owners *o, char **ret_message)
{
	CLEANUP_FREE char *continuation = NULL;
	struct backend_result page;
	uint64_t epoch;
	int r;

	do {
		r = backend_list_wait(
			backend, OWNER_PREFIX, continuation, BACKEND_LIST_MAX_ENTRIES, &page);
		if (r < 0)
			return message_set(
				ret_message, r, "cannot list the owner records: %s", strerror(-r));
		for (size_t i = 0; r == 0 && i < page.n_entries; i++) {
			if (owner_parse_key(page.entries[i].key, &epoch))
				r = add_epoch(o, epoch);
		}
		free(continuation);
		continuation = TAKE_PTR(page.continuation);
		backend_result_done(&page);
	} while (r == 0 && continuation != NULL);
	return r;
}

/* -ENOENT without a message: it was removed meanwhile. */
static int read_record(struct backend *backend, const struct uuid *volume, uint64_t epoch,
	struct owner *ret, char **ret_message)
{
	struct backend_result result;
	char key[OWNER_KEY_BYTES];
	const char *problem;
	int r;

	owner_key(epoch, key);
	r = backend_get_wait(backend, key, 0, OWNER_BYTES + 1, &result);
	if (r == -ENOENT)
		return r;
	if (r < 0)
		return message_set(ret_message, r, "cannot read %s: %s", key, strerror(-r));
	r = owner_decode(result.data, result.data_size_bytes, epoch, ret, &problem);
	backend_result_done(&result);
	if (r == 0 && memcmp(ret->volume.bytes, volume->bytes, UUID_BYTES) != 0) {
		r = -EBADMSG;
		problem = "it is of another volume";
	}
	return r < 0 ? message_set(ret_message, r, "%s is damaged: %s", key, problem) : 0;
}

/* From the one at `first` on. */
static int read_records(struct backend *backend, const struct uuid *volume, struct owners *o,
	size_t first, char **ret_message)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = first; r == 0 && i < o->n; i++) {
		r = read_record(backend, volume, o->owners[i].epoch, &o->owners[n], ret_message);
		if (r == 0)
			n++;
		else if (r == -ENOENT)
			r = 0;
	}
	o->n = n;
	return r;
}

int owner_list(struct backend *backend, const struct uuid *volume, struct owner **ret,
	size_t *ret_n, char **ret_message)
{
	struct owners o = {0};
	int r = list_epochs(backend, &o, ret_message);

	if (r == 0)
		r = read_records(backend, volume, &o, 0, ret_message);
	if (r < 0) {
		free(o.owners);
		return r;
	}
	*ret = o.owners;
	*ret_n = o.n;
	return 0;
}

int owner_find(
	struct backend *backend, const struct uuid *volume, struct owner *ret, char **ret_message)
{
	struct owners o = {0};
	int r = list_epochs(backend, &o, ret_message);

	/* The newest is never removed. */
	if (r == 0)
		r = read_records(backend, volume, &o, o.n > 0 ? o.n - 1 : 0, ret_message);
	if (r == 0 && o.n == 0)
		r = -ENOENT;
	if (r == 0)
		*ret = o.owners[0];
	free(o.owners);
	return r;
}

/* ---- claiming */

int owner_claim(struct backend *backend, struct owner *owner, bool plain_puts, char **ret_message)
{
	struct backend_condition condition = {
		.type = plain_puts ? BACKEND_ALWAYS : BACKEND_IF_ABSENT};
	char key[OWNER_KEY_BYTES];
	uint8_t data[OWNER_BYTES];
	struct iovec part = {data, sizeof(data)};
	struct backend_result result;
	int r = uuid_generate(&owner->nonce);

	if (r < 0)
		return r;
	owner->created_ms = clock_realtime_ms();
	owner_key(owner->epoch, key);
	owner_encode(owner, data);
	failpoint("owner.claim");
	r = backend_put_wait(backend, key, &part, 1, &condition, &result);
	if (r == 0)
		backend_result_done(&result);
	failpoint("owner.claimed");
	if (r == -EEXIST)
		return message_set(ret_message, r,
			"another node became the owner of the volume at the same time");
	return r < 0 ? message_set(ret_message, r, "cannot put %s: %s", key, strerror(-r)) : 0;
}

enum owner_relation owner_relate(
	const struct owner *newest, const struct uuid *node, uint64_t incarnation, uint64_t epoch)
{
	if (newest == NULL)
		return OWNER_CLAIMABLE;
	if (memcmp(newest->node.bytes, node->bytes, UUID_BYTES) != 0)
		return epoch == 0 ? OWNER_CLAIMABLE : OWNER_SUPERSEDED;
	if (newest->incarnation == incarnation)
		return OWNER_MINE;
	/* A higher one was begun and not claimed when the process ended. */
	return newest->incarnation < incarnation ? OWNER_CLAIMABLE : OWNER_SUPERSEDED;
}
