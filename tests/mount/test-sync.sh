#!/bin/sh
# Syncs as programs make them, through the kernel: after each the daemon is killed at once, and what was
# synced is there again; with ack=remote also on an empty state directory. What was not synced is
# not, since nobody else asked for it (commit_interval=1h).
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

command -v python3 >/dev/null || skip 'no python3'

# try DOING PYTHON: runs it in the account with `f`, a path; then the daemon is killed.
try() {
	doing=$1
	STATE=$T/state
	rm -rf "$STATE" "$STORE"
	mkdir "$STORE"
	format_volume
	mount_volume "ack=$ack,commit_interval=1h"
	mkdir -p "$MNT/user/Maildir/tmp" "$MNT/user/Maildir/new"
	echo before >"$MNT/user/old"
	"$ADMIN" flush "$MNT" >/dev/null || exit 99
	check "$ack: $doing" python3 -c "import mmap, os
os.chdir('$MNT/user')
f = 'f'
$2"
	(cd "$MNT/user" && find . -path ./unsynced -prune -o -type f -print0 | sort -z | xargs -0 sha256sum) \
		>"$T/expected"
	echo unsynced >"$MNT/user/unsynced"
	pid=$(pid_of "$STATE")
	kill -KILL "$pid"
	wait_until 20 not alive "$pid"
	umount -l -i "$MNT"
	cp -a "$STORE" "$T/killed"
	mount_volume "ack=$ack,commit_interval=1h"
	check "$ack: $doing: is there after a restart" same
	check 'and so is what was not synced' test -e "$MNT/user/unsynced"
	unmount_volume
	rm -rf "$STORE"
	mv "$T/killed" "$STORE"
	[ "$ack" = remote ] || return
	STATE=$T/empty
	rm -rf "$STATE"
	mount_volume "ack=$ack,commit_interval=1h"
	check "$ack: $doing: is there on an empty disk" same
	check 'and what was not synced is not' test ! -e "$MNT/user/unsynced"
	unmount_volume
}

same() {
	(cd "$MNT/user" && sha256sum -c --quiet "$T/expected")
}

for ack in local remote; do
	try 'fsync' "
fd = os.open(f, os.O_CREAT | os.O_WRONLY); os.write(fd, b'x' * 5000); os.fsync(fd)"
	try 'fdatasync' "
fd = os.open('old', os.O_WRONLY | os.O_APPEND); os.write(fd, b'more'); os.fdatasync(fd)"
	try 'a write with O_SYNC' "
fd = os.open(f, os.O_CREAT | os.O_WRONLY | os.O_SYNC); os.write(fd, b'x' * 5000)"
	try 'a write with O_DSYNC' "
fd = os.open(f, os.O_CREAT | os.O_WRONLY | os.O_DSYNC); os.write(fd, b'x' * 300000)"
	try 'fsync of a directory' "
os.rename('old', 'renamed'); os.fsync(os.open('.', os.O_RDONLY))"
	try 'msync of a shared mapping' "
fd = os.open('old', os.O_RDWR); m = mmap.mmap(fd, 7); m[0:6] = b'mapped'; m.flush()"
	try 'a rename into new/' "
n = 'Maildir/tmp/1700000000.M1P1.host'; open(n, 'wb').write(b'mail' * 1000)
os.rename(n, 'Maildir/new/1700000000.M1P1.host')"
	try 'a link into new/' "
n = 'Maildir/tmp/1700000000.M1P1.host'; open(n, 'wb').write(b'mail' * 1000)
os.link(n, 'Maildir/new/1700000000.M1P1.host')"
done
finish
