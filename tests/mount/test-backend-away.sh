#!/bin/sh
# The backend takes nothing: programs go on, the end waits no longer than umount_timeout and is no
# failure, and what was written is there and follows when the backend is back.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
mount --bind "$STORE" "$STORE"
"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,umount_timeout=2s" 2>"$T/log" &
pid=$!
wait_until 60 is_mounted "$MNT"
mkdir -p "$MNT/user/tmp" "$MNT/user/new"
mount -o remount,bind,ro "$STORE"

head -c 300000 /dev/urandom >"$T/mail"
check 'a delivery works' sh -c \
	"cp '$T/mail' '$MNT/user/tmp/m' && sync '$MNT/user/tmp/m' && mv '$MNT/user/tmp/m' '$MNT/user/new/m'"
check 'the mail is whole' cmp "$T/mail" "$MNT/user/new/m"
check_refused 'flush says what is wrong' 1 'not everything is on the backend' \
	"$ADMIN" flush --timeout 2s "$MNT"
check 'status says so too' sh -c "'$ADMIN' status '$MNT' | grep -q 'not yet on the backend'"
check 'evict keeps what is nowhere else' "$ADMIN" evict "$MNT"
check 'the mail is still whole' cmp "$T/mail" "$MNT/user/new/m"

started=$(date +%s)
umount -i "$MNT"
check 'the end is no failure' wait $pid
check 'and came in time' test $(($(date +%s) - started)) -lt 20
check 'the log says what waits' grep -q 'not on the backend yet' "$T/log"

check_refused 'a mount says that nothing can be written there' 1 "$STORE.*read-only" \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE"
mount -o remount,bind,rw "$STORE"
mount_volume
check 'the mail is whole after a remount' cmp "$T/mail" "$MNT/user/new/m"
check 'it follows when the backend is back' "$ADMIN" flush --timeout 60s "$MNT"
check 'evict' "$ADMIN" evict "$MNT"
unmount_volume
mount_volume
check 'the mail comes back from the backend' cmp "$T/mail" "$MNT/user/new/m"
check 'unmount' unmount_volume

# It does not refuse, it is silent.
"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,umount_timeout=2s,faults=put:key=accounts*:hang" 2>"$T/log" &
pid=$!
wait_until 60 is_mounted "$MNT"
cp "$T/mail" "$MNT/user/tmp/n"
mv "$MNT/user/tmp/n" "$MNT/user/new/n"
check_refused 'flush does not wait for a silent one' 1 'not everything is on the backend' \
	"$ADMIN" flush --timeout 2s "$MNT"
started=$(date +%s)
umount -i "$MNT"
check 'the end is no failure' wait $pid
check 'and came in time, for a silent one too' test $(($(date +%s) - started)) -lt 20
mount_volume
check 'what was under way follows' "$ADMIN" flush --timeout 60s "$MNT"
check 'and is whole' cmp "$T/mail" "$MNT/user/new/n"
unmount_volume

# The journal is silent: its put has a time limit of its own, which is longer.
"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,umount_timeout=2s,faults=put:key=journal*:hang" 2>"$T/log" &
pid=$!
wait_until 60 is_mounted "$MNT"
echo late >"$MNT/user/late"
sleep 2
started=$(date +%s)
umount -i "$MNT"
check 'the end is no failure when the journal is silent' wait $pid
check 'nor does it wait for the put' test $(($(date +%s) - started)) -lt 15
check 'the log says that it follows' grep -q 'last changes are not on the backend yet' "$T/log"
mount_volume
check 'it is there' grep -q late "$MNT/user/late"
check 'and follows' "$ADMIN" flush --timeout 60s "$MNT"
unmount_volume
rm -rf "$STATE"
mount_volume
check 'so that an empty machine has it, too' grep -q late "$MNT/user/late"
check 'the account goes' "$ADMIN" evict "$MNT" user
unmount_volume

# The store is silent when an account is to be loaded: a read has a time limit of its own, too.
"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,umount_timeout=2s,faults=list:key=journal/:hang" 2>"$T/log" &
pid=$!
wait_until 60 is_mounted "$MNT"
cat "$MNT/user/late" >"$T/read" 2>&1 &
reader=$!
sleep 2
started=$(date +%s)
kill $pid
check 'the end does not wait for a load' wait $pid
check 'nor for its listing' test $(($(date +%s) - started)) -lt 15
wait $reader
mount_volume
check 'the account comes when the store does' grep -q late "$MNT/user/late"
unmount_volume
finish
