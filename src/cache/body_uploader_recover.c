/*
 * body_uploader_recover.c: what the end of a process left of uploads.
 */
#include <config.h>
#include "cache/body_uploader.h"

#include <errno.h>
#include "cache/body_map.h"
#include "cache/damaged_record.h"
#include "cache/node_private.h"
#include "util/clock.h"

static int put_upload(struct node *node, uint64_t ino, const struct upload *upload)
{
	struct transaction t;
	int r = transaction_begin(node, &t);

	if (r < 0)
		return r;
	body_map_put_upload(&t, ino, upload);
	return transaction_commit(&t);
}

/* What an interrupted upload had taken becomes dirty again. */
static int recover_one(struct node *node, uint64_t ino)
{
	struct upload upload;
	bool exists;
	int r = body_map_load_upload(node, ino, &upload, &exists);

	if (r < 0 || !upload.running)
		return r;
	upload_add_range(&upload, upload.uploading.first, upload.uploading.end);
	upload.running = false;
	return put_upload(node, ino, &upload);
}

/* Nobody knows which blocks the backend has: all that is local is dirty. */
static int repair_one(struct node *node, uint64_t ino)
{
	struct upload upload = {.since_ms = clock_realtime_ms()};

	upload_add_range(&upload, 0, BODY_MAP_TO_THE_END);
	return put_upload(node, ino, &upload);
}

static int recover_at(struct node *node, const struct store_iterator *it)
{
	size_t key_bytes;
	const uint8_t *key = store_iterator_key(it, &key_bytes);
	uint64_t ino;
	int r;

	if (!key_node_tail_ino(key, key_bytes, &ino)) {
		damaged_record_say(it, "what is to be uploaded, but not of which inode: ignored");
		return 0;
	}
	r = recover_one(node, ino);
	if (r == -EBADMSG) {
		damaged_record_say(it, "what is to be uploaded of an inode: all of it will be");
		r = repair_one(node, ino);
	}
	if (r == 0)
		body_uploader_enqueue(node->uploader, ino, false);
	return r;
}

int body_uploader_recover(struct node *node)
{
	struct key from = key_node(KEY_NODE_UPLOAD), to = key_node_end(KEY_NODE_UPLOAD);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = it == NULL ? -ENOMEM : 0;

	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it))
		r = recover_at(node, it);
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}
