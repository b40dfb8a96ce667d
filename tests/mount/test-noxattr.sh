#!/bin/sh
# With noxattr there are no extended attributes, the kernel stops asking for them, and mailfs-admin
# and umount find the daemon all the same.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

requests() # OPCODE
{
	"$ADMIN" status --json "$MNT" | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"
}

format_volume
mount_volume
mkdir "$MNT/user"
check 'set an attribute' setfattr -n user.colour -v red "$MNT/user"
unmount_volume

"$MAILFS" "$URL" "$MNT" -o "state=$STATE,noxattr"
check_refused 'get one' 1 'not supported' getfattr -n user.colour "$MNT/user"
check_refused 'set one' 1 'not supported' setfattr -n user.colour -v blue "$MNT/user"
check_refused 'remove one' 1 'not supported' setfattr -x user.colour "$MNT/user"
check_refused 'list them' 1 'not supported' getfattr -d "$MNT/user"
before=$(requests GETXATTR)
for i in 1 2 3 4 5 6 7 8 9; do
	echo "$i" >>"$MNT/user/log"
	stat "$MNT/user/log" >"$T/stat"
done
check 'the kernel does not ask at writes' test "$(requests GETXATTR)" = "$before"
pid=$(pid_of "$STATE")
install_helpers
check 'umount finds the daemon' umount "$MNT"
check 'and waits for its end' not alive "$pid"

mount_volume
check 'the attribute is still there' sh -c "getfattr -n user.colour '$MNT/user' | grep -q red"
check 'unmount' unmount_volume
finish
