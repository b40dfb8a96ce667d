#!/bin/sh
# After SIGKILL: the dead mount is named as such, can be unmounted and mounted again, and all that
# was written is there.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
mount_volume
mkdir "$MNT/user"
echo hello >"$MNT/user/file"
pid=$(pid_of "$STATE")
kill -KILL "$pid"
wait_until 20 not alive "$pid"
check_refused 'mount over the dead one' 1 "daemon has died.*umount $MNT" \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
check_refused 'status of the dead one' 1 'has died' "$ADMIN" status "$MNT"
check_refused 'status by its state directory' 1 'no mailfs answers' "$ADMIN" status "$STATE"
check 'the umount helper does not wait' "$top_builddir/umount.fuse.mailfs" "$MNT"
check 'mount again' "$MAILFS" "$URL" "$MNT" -o "state=$STATE"
check 'all is there' grep -q hello "$MNT/user/file"
check 'unmount' unmount_volume
finish
