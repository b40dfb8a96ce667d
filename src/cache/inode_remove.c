#include <config.h>
#include "cache/inode_remove.h"

#include <errno.h>
#include "cache/body_evictor.h"
#include "cache/damaged_record.h"
#include "cache/file_data.h"
#include "cache/node_private.h"

void inode_remove_note_orphan(struct transaction *t, uint64_t ino)
{
	struct key key = key_node_ino(KEY_NODE_ORPHAN, ino);

	transaction_put(t, STORE_META, &key, "", 0);
}

static int remove_xattrs(struct transaction *t, const struct inode *inode)
{
	struct key from = key_xattr(inode->ino, ""), to = key_end_of(KEY_XATTR, inode->ino);
	struct store_iterator *it;
	int r;

	if (!(inode->flags & INODE_HAS_XATTR))
		return 0;
	it = store_iterator_new(t->node->store, STORE_META, &from, &to);
	if (it == NULL)
		return -ENOMEM;
	for (; store_iterator_valid(it); store_iterator_next(it)) {
		const uint8_t *bytes = store_iterator_key(it, &from.size_bytes);

		__builtin_memcpy(from.bytes, bytes, from.size_bytes);
		transaction_delete(t, STORE_META, &from);
	}
	r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}

static int remove_records(struct transaction *t, const struct inode *inode)
{
	struct key record = key_inode(inode->ino), target = key_symlink(inode->ino);
	struct key orphan = key_node_ino(KEY_NODE_ORPHAN, inode->ino);
	int r = remove_xattrs(t, inode);

	transaction_delete(t, STORE_META, &record);
	transaction_delete(t, STORE_META, &orphan);
	if (S_ISLNK(inode->mode))
		transaction_delete(t, STORE_META, &target);
	if (r == 0 && S_ISREG(inode->mode))
		r = file_data_remove(t, inode);
	if (r == 0 && (inode->flags & INODE_BODY))
		r = body_evictor_forget(t, inode->ino);
	return r;
}

static int remove_locked(struct node *node, uint64_t ino)
{
	struct transaction t;
	struct inode inode;
	int r = node_load_inode(node, ino, &inode);

	if (r < 0 || inode.nlink > 0)
		return r == -ENOENT ? 0 : r;
	r = transaction_begin(node, &t);
	if (r < 0)
		return r;
	r = remove_records(&t, &inode);
	if (r < 0) {
		transaction_abort(&t);
		return r;
	}
	r = transaction_commit(&t);
	if (r == 0)
		inode_cache_remove(node->inodes, ino);
	return r;
}

int inode_remove(struct node *node, uint64_t ino)
{
	struct inode_lock_set locks;
	int r;

	inode_locks_write(node->locks, &ino, 1, &locks);
	r = remove_locked(node, ino);
	inode_locks_release(&locks);
	return r;
}

int inode_remove_leftovers(struct node *node)
{
	struct key from = key_node(KEY_NODE_ORPHAN), to = key_node_end(KEY_NODE_ORPHAN);
	struct store_iterator *it = store_iterator_new(node->store, STORE_META, &from, &to);
	int r = 0;

	if (it == NULL)
		return -ENOMEM;
	for (; r == 0 && store_iterator_valid(it); store_iterator_next(it)) {
		size_t key_bytes;
		const uint8_t *key = store_iterator_key(it, &key_bytes);
		uint64_t ino;

		if (key_node_tail_ino(key, key_bytes, &ino))
			r = inode_remove(node, ino);
		else
			damaged_record_say(it, "an inode without a name: it stays");
		if (r == -EBADMSG) {
			damaged_record_say(it, "something of this inode without a name: it stays");
			r = 0;
		}
	}
	if (r == 0)
		r = store_iterator_error(it);
	store_iterator_free(it);
	return r;
}
