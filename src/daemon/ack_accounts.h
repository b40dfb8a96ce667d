/*
 * ack_accounts.h: the file of option ack_accounts (config/ack_file.h) takes effect.
 */
#ifndef MAILFS_DAEMON_ACK_ACCOUNTS_H
#define MAILFS_DAEMON_ACK_ACCOUNTS_H

#include "fs/fs.h"

/* Takes the place of what was loaded before; on failure that stays. *ret_message: malloc()ed. */
int ack_accounts_load(struct fs *fs, const char *path, char **ret_message);

#endif
