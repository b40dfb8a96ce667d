#!/bin/sh
# mailfs-admin speaks to a mounted volume, by mountpoint, state directory and socket.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
mount_volume
mkdir -p "$MNT/user/Maildir/tmp" "$MNT/user/Maildir/new"
head -c 100000 /dev/urandom >"$MNT/user/Maildir/tmp/m1"
mv "$MNT/user/Maildir/tmp/m1" "$MNT/user/Maildir/new/m1"

for target in "$MNT" "$MNT/" "$STATE" "$STATE/control.sock"; do
	check "status of ${target#"$T"/}" "$ADMIN" status "$target"
done
check 'status says where' sh -c "'$ADMIN' status '$MNT' | grep -q '^$URL on $MNT '"
check 'status --json has the pid' sh -c \
	"'$ADMIN' status --json '$MNT' | grep -q '\"pid\": $(pid_of "$STATE"),'"
check 'status --json counts requests' sh -c "'$ADMIN' status --json '$MNT' | grep -q MKDIR"
check 'flush' "$ADMIN" flush "$MNT"
check 'nothing waits after a flush' sh -c \
	"'$ADMIN' status --json '$MNT' | grep -q '\"dirty_files\": 0'"
check 'flush --json' sh -c "'$ADMIN' flush --timeout 1m --json '$MNT' | grep -q elapsed_ms"
sum=$(cksum <"$MNT/user/Maildir/new/m1")
check 'evict' "$ADMIN" evict "$MNT"
check 'evict --keep --json' sh -c "'$ADMIN' evict --keep 1M --json '$MNT' | grep -q evicted_bytes"
echo 3 >/proc/sys/vm/drop_caches 2>/dev/null
check 'the body is fetched again' test "$sum" = "$(cksum <"$MNT/user/Maildir/new/m1")"
check 'metrics' sh -c "'$ADMIN' metrics '$MNT' | grep -q '^mailfs_commits_total [0-9]'"
check 'curl may ask too' sh -c \
	"command -v curl >/dev/null || exit 0
	curl -sf --unix-socket '$STATE/control.sock' http://localhost/v1/status | grep -q commits"

check_refused 'no verb' 2 'no verb' "$ADMIN"
check_refused 'unknown verb' 2 "'frob'" "$ADMIN" frob
check_refused 'no mountpoint' 2 'no MOUNTPOINT' "$ADMIN" status
check_refused 'bad duration' 2 "'soon'" "$ADMIN" flush --timeout soon "$MNT"
check_refused 'not a mailfs mount' 1 'neither a mounted mailfs' "$ADMIN" status /usr
check_refused 'nothing there' 1 'cannot find' "$ADMIN" status "$T/nothing"
check 'help' sh -c "'$ADMIN' help | grep -q evict"
check 'help of a verb' sh -c "'$ADMIN' help flush | grep -q timeout"
check 'version' sh -c "'$ADMIN' --version | grep -q '^mailfs-admin [0-9]'"
check 'unmount' unmount_volume
check_refused 'status of what has ended' 1 'neither a mounted mailfs' "$ADMIN" status "$STATE"
finish
