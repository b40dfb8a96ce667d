#include <config.h>
#include "fs/entry.h"

#include <stdio.h>
#include <string.h>
#include "fs/fs_private.h"

int entry_find(struct fs *fs, uint64_t directory, const char *name, struct entry *ret)
{
	struct key key = key_name(directory, name);
	struct store_value value;
	int r = store_get(fs->node->store, STORE_META, &key, &value);

	if (r < 0)
		return r;
	r = record_decode_entry(value.data, value.size_bytes, ret);
	store_value_done(&value);
	return r;
}

int entry_peek(struct fs *fs, uint64_t directory, const char *name, uint64_t *ret)
{
	struct inode_lock_set locks;
	struct entry entry;
	int r;

	inode_locks_read(fs->node->locks, directory, &locks);
	r = entry_find(fs, directory, name, &entry);
	inode_locks_release(&locks);
	if (r == 0)
		*ret = entry.ino;
	return r;
}

static void put_entry(struct transaction *t, uint64_t directory, const char *name, uint64_t ino,
	uint32_t mode, uint64_t cookie)
{
	struct entry entry = {.ino = ino, .mode = mode, .cookie = cookie};
	struct key by_name = key_name(directory, name);
	struct key by_cookie = key_cookie(directory, entry_position(cookie));
	uint8_t data[RECORD_ENTRY_BYTES];

	transaction_put(t, STORE_META, &by_name, data, record_encode_entry(&entry, data));
	snprintf(entry.name, sizeof(entry.name), "%s", name);
	transaction_put(t, STORE_META, &by_cookie, data, record_encode_entry(&entry, data));
}

void entry_add(struct transaction *t, struct inode *directory, const char *name, uint64_t ino,
	uint32_t mode)
{
	put_entry(t, directory->ino, name, ino, mode, directory->next_cookie);
	directory->next_cookie++;
	directory->entries++;
}

void entry_replace(struct transaction *t, const struct inode *directory, const char *name,
	const struct entry *old, uint64_t ino, uint32_t mode)
{
	put_entry(t, directory->ino, name, ino, mode, old->cookie);
}

void entry_remove(
	struct transaction *t, struct inode *directory, const char *name, const struct entry *old)
{
	struct key by_name = key_name(directory->ino, name);
	struct key by_cookie = key_cookie(directory->ino, entry_position(old->cookie));

	transaction_delete(t, STORE_META, &by_name);
	transaction_delete(t, STORE_META, &by_cookie);
	directory->entries--;
}
