#!/bin/sh
# An ordinary user mounts a volume of his own, uses it, asks it, and unmounts it, all by himself.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

USER_NAME=mail
id -u "$USER_NAME" >/dev/null 2>&1 || skip "there is no user $USER_NAME"
command -v setpriv >/dev/null || skip 'setpriv (util-linux) is not installed'
command -v fusermount3 >/dev/null || skip 'fusermount3 (fuse3) is not installed'

HOME_DIR=$T/home
STORE=$HOME_DIR/store
URL=file://$STORE
MNT=$HOME_DIR/mnt
mkdir -p "$STORE" "$MNT" "$STATE" "$T/of-root"
chmod 1777 "$T" # sanitizers of his programs report there
chown -R "$USER_NAME:$(id -gn "$USER_NAME")" "$HOME_DIR" "$STATE"

cat >"$T/as-user" <<SCRIPT
#!/bin/sh
HOME=$HOME_DIR exec setpriv --reuid=$USER_NAME --regid=$(id -gn "$USER_NAME") --clear-groups "\$@"
SCRIPT
chmod +x "$T/as-user"
AS=$T/as-user

"$AS" test -x "$MAILFS" || skip "$USER_NAME may not run $MAILFS"

# Where udev did not do it, in this namespace only: a device that users may open.
mknod -m 600 "$T/fuse" c 10 229 || skip 'no device can be made here'
mount --bind "$T/fuse" /dev/fuse || skip '/dev/fuse cannot be replaced here'
"$AS" "$ADMIN" format "$URL" >/dev/null || skip "$USER_NAME cannot format"
check_refused 'a device that he may not open' 1 '/dev/fuse cannot be opened: Permission denied; only root' \
	"$AS" "$MAILFS" "$URL" "$MNT" -o "state=$STATE"
chmod 666 "$T/fuse"
"$AS" sh -c ': <>/dev/fuse' 2>/dev/null || skip 'devices cannot be opened here'

check_refused 'a mountpoint of root' 1 "'$T/of-root'.*mountpoint of your own" \
	"$AS" "$MAILFS" "$URL" "$T/of-root" -o "state=$STATE"
if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
	check_refused 'allow_other' 1 'user_allow_other' \
		"$AS" "$MAILFS" "$URL" "$MNT" -o "state=$STATE,allow_other"
fi
check_refused 'the default state directory' 1 '/var/lib/mailfs.*state=DIR' \
	"$AS" "$MAILFS" "$URL" "$MNT"
check 'nothing is mounted' not is_mounted "$MNT"

check 'mount' "$AS" "$MAILFS" "$URL" "$MNT" -o "state=$STATE"
check 'the daemon is his' test "$(stat -c %U "/proc/$(pid_of "$STATE")")" = "$USER_NAME"
check 'the root is his' test "$("$AS" stat -c %U "$MNT")" = "$USER_NAME"
check 'it serves' "$AS" sh -c \
	"mkdir '$MNT/user' && echo mail >'$MNT/user/u.1' && mv '$MNT/user/u.1' '$MNT/user/u.2' &&
	grep -q mail '$MNT/user/u.2'"
check 'sync' "$AS" sync "$MNT/user/u.2"
check_refused 'what only root may' 1 'not permitted' "$AS" chown root "$MNT/user/u.2"
check_refused 'others do not get in' 2 'Permission denied' ls "$MNT"
check 'status by the state directory' "$AS" "$ADMIN" status "$STATE"
check 'status by the mountpoint' "$AS" "$ADMIN" status "$MNT"
check 'flush' "$AS" "$ADMIN" flush "$MNT"
check 'the body is in the store' test -n "$(find "$STORE/accounts" -type f)"
check_refused 'root sees why he gets no answer' 1 'the user who mounted it.*state directory' \
	"$ADMIN" status "$MNT"
check 'but gets one by the state directory' "$ADMIN" status "$STATE"
pid=$(pid_of "$STATE")
check 'unmount' "$AS" fusermount3 -u "$MNT"
check 'the daemon ends' wait_until 60 not alive "$pid"
check 'nothing is mounted' not is_mounted "$MNT"

check 'mount again' "$AS" "$MAILFS" "$URL" "$MNT" -o "state=$STATE"
check 'it is there' "$AS" grep -q mail "$MNT/user/u.2"
check 'unmount by the helper' "$AS" "$top_builddir/umount.fuse.mailfs" "$MNT"
check 'the daemon has ended' wait_until 60 not alive "$(pid_of "$STATE")"
finish
