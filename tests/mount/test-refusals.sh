#!/bin/sh
# What cannot be mounted: a non-zero status, a message that says what and where, and nothing left.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

mkdir "$T/other" "$T/mnt2" "$T/foreign" "$T/readonly" "$T/small"
check_refused 'unformatted URL' 1 'mailfs-admin format' \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
check 'no state directory was made' test ! -e "$STATE"
check 'no volume was made' test ! -e "$STORE/volume.json"
format_volume
"$ADMIN" format "file://$T/other" >/dev/null
check_refused 'unformatted with -f' 1 . "$MAILFS" -f "file://$T/foreign" "$MNT" -o "state=$STATE"
check_refused 'no such mountpoint' 1 "'$T/nowhere' does not exist" \
	"$MAILFS" "$URL" "$T/nowhere" -o "state=$STATE"
check_refused 'the mountpoint is a file' 1 'not a directory' \
	"$MAILFS" "$URL" "$STORE/volume.json" -o "state=$STATE"
check_refused 'state below the mountpoint' 1 'below the mountpoint' \
	"$MAILFS" "$URL" "$MNT" -o "state=$MNT/state"
check_refused 'the store is the mountpoint' 1 'below the mountpoint' \
	"$MAILFS" "$URL" "$STORE" -o "state=$STATE"
check 'still no state directory' test ! -e "$STATE"

mount_volume
check_refused 'state in use' 1 "$STATE' is in use by pid $(pid_of "$STATE").*$MNT" \
	"$MAILFS" "$URL" "$T/mnt2" -o "state=$STATE"
check_refused 'already mounted' 1 "already mounted at '$MNT'" \
	"$MAILFS" "$URL" "$MNT" -o "state=$T/state2"
check 'the first mount is unharmed' ls "$MNT"
check 'unmount' unmount_volume

check_refused 'state of another volume' 1 'belongs to volume' \
	"$MAILFS" "file://$T/other" "$MNT" -o "state=$STATE"
echo x >"$T/foreign/x"
check_refused 'a foreign directory as state' 1 'not a state directory' \
	"$MAILFS" "$URL" "$MNT" -o "state=$T/foreign"
check 'it is as it was' test "$(ls "$T/foreign")" = x
check_refused 'a file as state' 1 'Not a directory' \
	"$MAILFS" "$URL" "$MNT" -o "state=$T/foreign/x"
sed -i 's/"format_version": 2/"format_version": 99/' "$STATE/state.json"
check_refused 'state of a newer format' 1 'format 99.*newer mailfs' \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
echo '{' >"$STATE/state.json"
check_refused 'damaged state' 1 'damaged' "$MAILFS" "$URL" "$MNT" -o "state=$STATE"

mount -t tmpfs -o ro tmpfs "$T/readonly"
check_refused 'state on a read-only filesystem' 1 'Read-only' \
	"$MAILFS" "$URL" "$MNT" -o "state=$T/readonly/s"
mount -t tmpfs -o size=64k tmpfs "$T/small"
dd if=/dev/zero of="$T/small/fill" bs=4k 2>/dev/null
mkdir -p "$T/small/s" 2>/dev/null
check_refused 'no space for the state' 1 'No space|pace left' \
	"$MAILFS" "$URL" "$MNT" -o "state=$T/small/s"
printf 'bob remote\nann sometimes\n' >"$T/acks"
rm -rf "$STATE"
check_refused 'a mistake in ack_accounts' 1 "$T/acks, line 2" \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE,ack_accounts=$T/acks"
check 'nothing is mounted' not is_mounted "$MNT"
# A mount is patient with a store that does not answer, and says so.
check_refused 'a store that is away' 1 'trying again' \
	env AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_EC2_METADATA_DISABLED=true \
	"$MAILFS" -f s3://bucket/prefix "$MNT" -o "state=$T/away,endpoint=http://127.0.0.1:1"
finish
