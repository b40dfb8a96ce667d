#!/bin/sh
# SIGKILL at each step of an eviction: after the next mount everything is there, and the account can
# be evicted and loaded.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
n=0

# killed_at FAILPOINT
killed_at() {
	"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,failpoint=$1" 2>"$T/log" &
	pid=$!
	wait_until 60 is_mounted "$MNT" || return 1
	n=$((n + 1))
	mkdir -p "$MNT/anna" "$MNT/bert"
	echo "line $n" >>"$MNT/anna/dovecot.index.log"
	echo "line $n" >>"$MNT/bert/dovecot.index.log"
	"$ADMIN" evict "$MNT" anna bert >/dev/null 2>&1
	wait_until 20 not alive $pid || { kill -KILL $pid; echo 'it lives'; return 1; }
	umount -l "$MNT"
}

# whole: all lines are in both accounts, here and when they have come back.
whole() {
	for round in here back; do
		for user in anna bert; do
			seq -f 'line %g' 1 $n | cmp - "$MNT/$user/dovecot.index.log" ||
				{ echo "$user $round"; return 1; }
		done
		"$ADMIN" evict "$MNT" anna bert || return 1
	done
}

for step in evict.closed evict.flushed adoption.expect adoption.noted adoption.cleaned \
	adoption.dropped evict.dropped evict.dropped:2; do
	check "SIGKILL at $step" killed_at $step
	mount_volume
	check "all is there after $step" whole
	unmount_volume
done
rm -rf "$STATE"
mount_volume
check 'all is there on an empty machine' whole
check 'unmount' unmount_volume
finish
