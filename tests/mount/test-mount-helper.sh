#!/bin/sh
# mount -t fuse.mailfs, fstab lines, and umount that waits for the daemon.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

install_helpers
format_volume

check_refused 'no such option' 2 "'frob'" mount -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE,frob"
check 'mount' mount -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE,nodev,_netdev,x-foo=1"
check 'is mounted' is_mounted "$MNT"
check 'serves' mkdir "$MNT/user"
pid=$(pid_of "$STATE")
check 'umount' umount "$MNT"
check 'the daemon had ended when umount returned' not alive "$pid"

for round in 1 2 3; do
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
	echo $round >"$MNT/user/round"
	pid=$(pid_of "$STATE")
	umount "$MNT"
	check "umount $round waits for a mailfs that mount did not start" not alive "$pid"
done
check 'no entry stays in utab' not grep -q "$MNT" /run/mount/utab
"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
pid=$(pid_of "$STATE")
kill "$pid"
check 'nor after SIGTERM' wait_until 60 not grep -q "$MNT" /run/mount/utab
wait_until 60 not alive "$pid"

check 'mount -o ro' mount -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE,ro"
check 'reads' test -d "$MNT/user"
check_refused 'does not write' 1 'Read-only' mkdir "$MNT/other"
check 'umount' umount "$MNT"

check 'mount -f mounts nothing' mount -f -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE"
check 'nothing is mounted' not is_mounted "$MNT"
check 'mount -s passes unknown options by' \
	mount -s -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE,frob"
check 'umount' umount "$MNT"
check 'mount -v says what it runs' sh -c \
	"mount -v -t fuse.mailfs '$URL' '$MNT' -o state=$STATE 2>&1 | grep -q '/mailfs'"
check 'umount -v' umount -v "$MNT"

cat >"$T/fstab" <<LINE
$URL $MNT fuse.mailfs _netdev,nofail,user,noauto,rw,relatime,allow_other,state=$STATE,x-systemd.mount-timeout=10min,comment=a 0 0
LINE
check 'fstab line' mount -T "$T/fstab" "$MNT"
check 'user means nodev and nosuid' grep -q " $MNT .*nosuid,nodev" /proc/self/mountinfo
check 'umount by fstab' umount "$MNT"
sed -i 's/,noauto//' "$T/fstab"
check 'mount -a' mount -a -T "$T/fstab"
check 'mount -a again' mount -a -T "$T/fstab"
check 'mounted once' test "$(grep -c " $MNT " /proc/self/mountinfo)" -eq 1
pid=$(pid_of "$STATE")
check 'umount -l does not wait' umount -l "$MNT"
check 'the daemon ends all the same' wait_until 60 not alive "$pid"

mount -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE"
mkdir "$T/elsewhere"
mount --bind "$MNT" "$T/elsewhere"
pid=$(pid_of "$STATE")
check 'umount of one of two places does not wait' timeout 30 umount "$MNT"
check 'the other place serves' ls "$T/elsewhere"
check 'umount of the last one' umount "$T/elsewhere"
check 'the daemon ends' wait_until 60 not alive "$pid"

mount -t fuse.mailfs "$URL" "$MNT" -o "state=$STATE"
exec 3<"$MNT"
check_refused 'umount of a busy mount' 32 'busy' umount "$MNT"
exec 3<&-
check 'it still serves' test -d "$MNT/user"
check 'umount' umount "$MNT"
check_refused 'umount of what is not mounted' 32 'not mounted' \
	"$top_builddir/umount.fuse.mailfs" "$MNT"
check_refused 'the helper without arguments' 1 usage "$top_builddir/mount.fuse.mailfs"
finish
