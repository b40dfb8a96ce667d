#include <config.h>
#include "fs/publisher.h"

#include <stdlib.h>
#include "fs/entry.h"
#include "fs/fs_private.h"
#include "util/map64.h"

/* The last that fell into a slot; who is forgotten has to wait. */
struct publishers {
	struct lock lock;
	struct {
		uint64_t ino; /* of the lock file; 0: free */
		pid_t thread;
	} slots[PUBLISHER_SLOTS];
};

struct publishers *publisher_new(void)
{
	struct publishers *publishers = calloc(1, sizeof(*publishers));

	if (publishers != NULL)
		lock_init(&publishers->lock);
	return publishers;
}

void publisher_free(struct publishers *publishers)
{
	if (publishers == NULL)
		return;
	lock_done(&publishers->lock);
	free(publishers);
}

static size_t slot_of(uint64_t ino)
{
	return map64_hash(ino) % PUBLISHER_SLOTS;
}

void publisher_note_file(
	struct publishers *publishers, pid_t thread, const char *name, uint64_t ino)
{
	if (thread == 0 || !file_class_is_uidlist_lock(name))
		return;
	lock_acquire(&publishers->lock);
	publishers->slots[slot_of(ino)].ino = ino;
	publishers->slots[slot_of(ino)].thread = thread;
	lock_release(&publishers->lock);
}

static bool has_made(struct publishers *publishers, pid_t thread, uint64_t ino)
{
	bool result;

	lock_acquire(&publishers->lock);
	result = publishers->slots[slot_of(ino)].ino == ino &&
		 publishers->slots[slot_of(ino)].thread == thread;
	lock_release(&publishers->lock);
	return result;
}

bool publisher_syncs(struct fs *fs, pid_t thread, uint64_t mail_directory, const char *name)
{
	struct inode_lock_set locks;
	struct inode directory;
	uint64_t lock_ino = 0;
	int r;

	if (thread == 0 || fs->node->strict_sync)
		return false;
	if (file_class_is_dovecots_mail(name, (uint32_t)thread))
		return true;
	inode_locks_read(fs->node->locks, mail_directory, &locks);
	r = node_load_inode(fs->node, mail_directory, &directory);
	inode_locks_release(&locks);
	if (r == 0)
		r = entry_peek(fs, directory.parent, FILE_CLASS_UIDLIST_LOCK, &lock_ino);
	return r == 0 && has_made(fs->publishers, thread, lock_ino);
}
