/*
 * mount_record.h: makes umount(8) run umount.fuse.mailfs (doc/decisions/0005-umount-waits.md).
 *
 * For speed umount(8) learns a filesystem's type from statfs(), which says "fuse" for all of FUSE,
 * and so does not find our helper, which waits for the daemon's end. It looks more closely at
 * mounts that have an entry in libmount's table of user-space options (/run/mount/utab). mount(8)
 * makes one for `mount -t fuse.mailfs -o _netdev`, but not for a plain one, and `mailfs URL …`
 * makes none. So the daemon has mount(8) make one: that keeps the table's format and locks where
 * they belong.
 *
 * Blocks for as long as mount(8) takes, which does not touch the mountpoint; at most seconds.
 * Without root or without /run/mount nothing happens, and umount does not wait.
 */
#ifndef MAILFS_DAEMON_MOUNT_RECORD_H
#define MAILFS_DAEMON_MOUNT_RECORD_H

/* `user_options`: a comma list of what else belongs into the table (_netdev), or NULL. Negative
 * errno. Later, mount(8) itself sees that there is an entry and leaves it. */
int mount_record_add(const char *url, const char *mountpoint, const char *user_options);

/* Takes the entry out, unless umount(8) has done so or something else is mounted there now. */
int mount_record_remove(const char *mountpoint);

#endif
