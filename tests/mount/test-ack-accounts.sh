#!/bin/sh
# Accounts with an acknowledgement of their own, by the file of ack_accounts and SIGHUP.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

n_segments() {
	find "$STORE/journal" -type f | wc -l
}

# ships FILE: a change of it that is synced is on the backend at once.
ships() {
	before=$(n_segments)
	date +%N >>"$MNT/$1"
	sync "$MNT/$1"
	test "$(n_segments)" -gt "$before"
}

format_volume
printf '# by name, also of those that are made later\nbob remote\n' >"$T/acks"
"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,ack=local,commit_interval=1h,ack_accounts=$T/acks" \
	>"$T/log" 2>&1 &
daemon=$!
wait_until 60 grep -q ' serves at ' "$T/log"
mkdir "$MNT/ann" "$MNT/bob"
check 'bob waits for the backend' ships bob/a.log
check 'ann does not' not ships ann/a.log
printf 'ann remote\n' >"$T/acks"
kill -HUP "$daemon"
wait_until 60 grep -q 'was read again' "$T/log"
check 'now it is ann' ships ann/a.log
check 'and not bob' not ships bob/a.log
mv "$MNT/ann" "$MNT/bob2"
check 'the name counts' not ships bob2/a.log
echo 'bob' >"$T/acks"
kill -HUP "$daemon"
wait_until 60 grep -q 'line 1.*all stays as it was' "$T/log"
mv "$MNT/bob2" "$MNT/ann"
check 'a mistake changes nothing' ships ann/a.log
umount -i "$MNT"
wait_until 60 not alive "$daemon"
finish
