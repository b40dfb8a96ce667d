#!/bin/sh
# A mount command that is killed on the way leaves either a mount that serves or nothing, and a
# state directory that the next one can use.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

state_is_free() {
	pid=$(pid_of "$STATE")
	[ -z "$pid" ] || ! alive "$pid"
}

is_settled() {
	is_mounted "$MNT" || state_is_free
}

format_volume
for delay in 0 0.01 0.02 0.03 0.04 0.05 0.06 0.08 0.1 0.15; do
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE" &
	command=$!
	sleep $delay
	kill -KILL $command 2>/dev/null
	wait $command 2>/dev/null
	sleep 0.3
	wait_until 30 is_settled
	umount -i "$MNT" 2>/dev/null
	check "after $delay s: the daemon ends" wait_until 30 state_is_free
	check "after $delay s: nothing is mounted" not is_mounted "$MNT"
done
mount_volume
check 'the volume is in order' mkdir "$MNT/user"
check 'unmount' unmount_volume
finish
