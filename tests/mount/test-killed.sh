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

# A write() that ends at the end of a page looks like one that the kernel has split in two, and those
# are undone. But here the writer has asked for something else since: its write() has returned.
append_and_kill()
{
	python3 - "$MNT/user/dovecot.index.log" "$(pid_of "$STATE")" <<'PY'
import os, signal, sys
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, b"x" * 4000)
os.write(log, b"y" * 96)
os.fstat(log)
os.kill(int(sys.argv[2]), signal.SIGKILL)
PY
}

if command -v python3 >/dev/null; then
	pid=$(pid_of "$STATE")
	check 'an append to the end of a page, and SIGKILL' append_and_kill
	wait_until 20 not alive "$pid"
	umount "$MNT"
	check 'mount after it' "$MAILFS" "$URL" "$MNT" -o "state=$STATE"
	check 'the append is there' test "$(stat -c %s "$MNT/user/dovecot.index.log")" = 4096
fi
check 'unmount' unmount_volume
finish
