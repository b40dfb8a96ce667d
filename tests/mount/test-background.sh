#!/bin/sh
# In the background: exit 0 exactly when the mount serves; umount ends the daemon cleanly.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
# A command substitution ends only when the daemon has let go of standard output.
output=$("$MAILFS" "$URL" "$MNT" -o "state=$STATE" 2>&1)
status=$?
check 'exit 0' test $status -eq 0
check 'says nothing' test -z "$output"
check 'is mounted at once' is_mounted "$MNT"
check 'serves at once' mkdir "$MNT/user"
check 'the source is the URL' grep -q " $MNT .* - fuse.mailfs $URL " /proc/self/mountinfo
check 'default_permissions is on' grep -q "fuse.mailfs $URL .*default_permissions" \
	/proc/self/mountinfo
check 'the state is private' test "$(stat -c %a "$STATE")" = 700
check 'the socket is private' test "$(stat -c %a "$STATE/control.sock")" = 600

pid=$(pid_of "$STATE")
check 'the daemon is alive' alive "$pid"
check 'its directory is /' test "$(readlink "/proc/$pid/cwd")" = /
check 'its standard error is closed' test "$(readlink "/proc/$pid/fd/2")" = /dev/null
check 'no session of ours' test "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid"

echo hello >"$MNT/user/file"
umount -i "$MNT"
check 'umount ends the daemon' wait_until 60 not alive "$pid"
check 'no socket stays' test ! -e "$STATE/control.sock"
mount_volume
check 'all is there after a remount' grep -q hello "$MNT/user/file"
check 'unmount' unmount_volume
finish
