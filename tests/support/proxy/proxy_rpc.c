/*
 * proxy_rpc.c: ONC RPC over TCP with record marks (RFC 5531), and NFSv3 in it (RFC 1813), for the
 * proxy.
 */
#include <config.h>
#include "proxy/proxy_protocol.h"

#include <errno.h>
#include <string.h>
#include "util/codec.h"

#define LAST_FRAGMENT 0x80000000u
#define MARK_BYTES 4
#define CALL 0
#define REPLY 1
#define NFS_PROGRAM 100003
#define MAX_RECORD_BYTES (8u << 20)
#define EXTRA_LENGTH 100
/* From the mark on: mark, xid, REPLY, MSG_ACCEPTED, verifier's flavour and size (0), SUCCESS. */
#define REPLY_HEAD_BYTES 28
/* READ3resok behind the status: attributes follow, fattr3, count, eof, size of the data. */
#define READ_COUNT_OFFSET (REPLY_HEAD_BYTES + 4 + 4 + 84)
#define READ_DATA_OFFSET (READ_COUNT_OFFSET + 12)

/* Name of a procedure, and how many zero words follow the status of its failure: attributes that
 * are not told. */
static const struct {
	const char *name;
	uint8_t n_words;
} procedures[] = {
	{"null", 0},
	{"getattr", 0},
	{"setattr", 2},
	{"lookup", 1},
	{"access", 1},
	{"readlink", 1},
	{"read", 1},
	{"write", 2},
	{"create", 2},
	{"mkdir", 2},
	{"symlink", 2},
	{"mknod", 2},
	{"remove", 2},
	{"rmdir", 2},
	{"rename", 4},
	{"link", 3},
	{"readdir", 1},
	{"readdirplus", 1},
	{"fsstat", 1},
	{"fsinfo", 1},
	{"pathconf", 1},
	{"commit", 2},
};
#define N_PROCEDURES (sizeof(procedures) / sizeof(procedures[0]))

static uint32_t word_at(const uint8_t *data, size_t offset)
{
	struct decoder d = decoder_over(data + offset, 4);

	return decode_u32(&d);
}

static void put_word(struct proxy_buffer *b, size_t offset, uint32_t word)
{
	struct encoder e = encoder_over(b->data + offset, 4);

	encode_u32(&e, word);
}

/* A record of several fragments is one message. */
static ssize_t rpc_frame(const uint8_t *data, size_t size, const struct proxy_request *request)
{
	size_t at = 0;

	(void)request;
	for (;;) {
		uint32_t mark;

		if (size - at < MARK_BYTES)
			return 0;
		mark = word_at(data, at);
		at += MARK_BYTES + (mark & ~LAST_FRAGMENT);
		if (at > MAX_RECORD_BYTES)
			return -EPROTO;
		if (at > size)
			return 0;
		if ((mark & LAST_FRAGMENT) != 0)
			return at < MARK_BYTES + 8 ? -EPROTO : (ssize_t)at;
	}
}

static int rpc_identify(const uint8_t *data, size_t size, struct proxy_request *ret)
{
	uint32_t procedure;

	if (size < MARK_BYTES + 24 || word_at(data, 8) != CALL)
		return -EPROTO;
	*ret = (struct proxy_request){.id = word_at(data, 4)};
	procedure = word_at(data, 24);
	if (word_at(data, 16) != NFS_PROGRAM)
		strcpy(ret->operation, "mount");
	else if (procedure < N_PROCEDURES)
		strcpy(ret->operation, procedures[procedure].name);
	else
		return -EPROTO;
	return 0;
}

static bool rpc_identify_answer(const uint8_t *data, size_t size, uint64_t *ret_id)
{
	(void)size;
	*ret_id = word_at(data, 4);
	return true;
}

static void rpc_refuse(const struct proxy_request *request, int status, struct proxy_buffer *ret)
{
	uint32_t words[16] = {0, (uint32_t)request->id, REPLY, 0, 0, 0, 0, (uint32_t)status};
	uint32_t n = 8;
	uint8_t bytes[sizeof(words)];
	struct encoder e = encoder_over(bytes, sizeof(bytes));

	for (size_t i = 0; i < N_PROCEDURES; i++) {
		if (strcmp(procedures[i].name, request->operation) == 0)
			n += procedures[i].n_words;
	}
	words[0] = LAST_FRAGMENT | (n - 1) * 4;
	for (size_t i = 0; i < n; i++)
		encode_u32(&e, words[i]);
	proxy_buffer_append(ret, bytes, e.size_bytes);
}

/* Half of the data of a READ, still said to reach as far as before. */
static void shorten_read(struct proxy_buffer *answer)
{
	uint32_t half;

	if (answer->size < READ_DATA_OFFSET || word_at(answer->data, REPLY_HEAD_BYTES) != 0 ||
		word_at(answer->data, REPLY_HEAD_BYTES + 4) != 1)
		return;
	half = word_at(answer->data, READ_COUNT_OFFSET) / 8 * 4;
	put_word(answer, READ_COUNT_OFFSET, half);
	put_word(answer, READ_COUNT_OFFSET + 8, half);
	answer->size = READ_DATA_OFFSET + half;
	put_word(answer, 0, LAST_FRAGMENT | (uint32_t)(answer->size - MARK_BYTES));
}

static bool rpc_alter(
	const struct proxy_request *request, enum proxy_action action, struct proxy_buffer *message)
{
	uint32_t size = (uint32_t)(message->size - MARK_BYTES);

	switch (action) {
	case PROXY_SPOIL_REQUEST:
		message->data[message->size / 4 * 3] ^= 1;
		return false;
	case PROXY_CORRUPT: /* in a READ of some size that is in the data */
		message->data[message->size / 2] ^= 1;
		return false;
	case PROXY_SHORT_ANSWER:
		if (strcmp(request->operation, "read") == 0)
			shorten_read(message);
		return false;
	case PROXY_SHORT_LENGTH: /* closed, or the client waits for the rest of the garbage */
		put_word(message, 0, LAST_FRAGMENT | size / 8 * 4);
		return true;
	case PROXY_LONG_LENGTH:
		put_word(message, 0, LAST_FRAGMENT | (size + EXTRA_LENGTH));
		return true;
	default:
		return false;
	}
}

const struct proxy_protocol proxy_rpc = {
	.frame = rpc_frame,
	.identify = rpc_identify,
	.identify_answer = rpc_identify_answer,
	.refuse = rpc_refuse,
	.alter = rpc_alter,
};
