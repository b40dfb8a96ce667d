/*
 * publisher.h: who publishes mails into a Maildir and syncs the directory himself.
 *
 * A rename into new/ or cur/ commits before it returns, since a mail exists from then on and few
 * programs sync anything after it. But Linux holds a lock of the whole mount while a file is
 * renamed from one directory to another: with a commit of 30 ms no more than 33 mails a second
 * would be published, in all accounts together. Dovecot moves its mails in, then syncs new/ and
 * cur/, and only then tells its client. So the rename need not wait when the thread that asks for
 * it is Dovecot: it has made the dovecot-uidlist.lock that is beside new/, or (it goes on without
 * when another has that) the mail has a name as only Dovecot makes it, with the number of that very
 * process. Its sync is owed (file_class.h). A link waits always, as does everybody else.
 */
#ifndef MAILFS_FS_PUBLISHER_H
#define MAILFS_FS_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PUBLISHER_SLOTS 1024

struct fs;
struct publishers;

/* NULL: no memory. */
struct publishers *publisher_new(void);
void publisher_free(struct publishers *publishers);

/* The thread (0: unknown) has made this file. Takes no lock of an inode. */
void publisher_note_file(
	struct publishers *publishers, pid_t thread, const char *name, uint64_t ino);

/* Whether the sync of a rename to that name in that new/ or cur/ may be left to the thread. Takes
 * locks of inodes for reading. */
bool publisher_syncs(struct fs *fs, pid_t thread, uint64_t mail_directory, const char *name);

#endif
