#!/bin/sh
# A tree with everything a filesystem can hold is exactly the same (content, inode numbers, times,
# owners, links, xattrs, holes) after a remount, after SIGKILL, and when its content was evicted and
# came back from the backend, with a cache that is too small for it.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

[ -x "$top_builddir/posix-suite" ] || skip "posix-suite is not built in $top_builddir"
DIRECTORY=$MNT/user/suite

suite() {
	timeout -k 10 300 "$top_builddir/posix-suite" "$1" "$DIRECTORY"
}

kill_daemon() {
	pid=$(pid_of "$STATE")
	kill -KILL "$pid"
	wait_until 20 not alive "$pid" && umount -i -l "$MNT"
}

# The kernel must not answer from what it remembers.
forget() {
	sync "$MNT"
	echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
}

format_volume
mount_volume allow_other
mkdir -p "$DIRECTORY"
check 'the tree is built' suite --prepare
check 'and verified at once' suite --verify
check 'unmount' unmount_volume
mount_volume allow_other
check 'after a remount' suite --verify
check 'SIGKILL' kill_daemon
mount_volume allow_other
check 'after SIGKILL' suite --verify
check 'SIGKILL again, nothing flushed in between' kill_daemon
mount_volume allow_other,cache_size=64K
check 'after the second, with a cache of 64 KiB' suite --verify
check 'flush' "$ADMIN" flush "$MNT"
check 'evict' "$ADMIN" evict "$MNT"
forget
check 'after an eviction' suite --verify
forget
check 'and once more' suite --verify
check 'unmount after that' unmount_volume
mount_volume allow_other,cache_size=64K
check 'all from the backend after a remount' suite --verify
check 'the last unmount' unmount_volume
finish
