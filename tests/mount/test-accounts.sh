#!/bin/sh
# mailfs-admin on single accounts: status, flush, evict and warm, on a real mount.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

format_volume
mount_volume
for user in anna bert carl; do
	mkdir -p "$MNT/$user/tmp" "$MNT/$user/new"
	head -c 100000 /dev/urandom >"$MNT/$user/tmp/m1"
	mv "$MNT/$user/tmp/m1" "$MNT/$user/new/m1"
	echo "index of $user" >"$MNT/$user/dovecot.index"
done
echo 'a file' >"$MNT/file"

place() {
	"$ADMIN" status "$MNT" "$1" | awk 'NR == 2 { print $3 }'
}

is_at() {
	[ "$(place "$1")" = "$2" ]
}

# field JSON NAME: the first number, text or null of this name.
field() {
	sed -n "s/.*\"$2\": \"\{0,1\}\([^\",]*\).*/\1/p" "$1" | head -n 1
}

# ---- status
check 'status of accounts' sh -c "'$ADMIN' status '$MNT' anna bert | grep -c here | grep -qx 2"
check 'of all' sh -c "'$ADMIN' status --accounts '$MNT' | grep -c ' here ' | grep -qx 3"
check 'of some' sh -c "'$ADMIN' status --accounts --limit 2 '$MNT' | grep -q '2 of 3 accounts'"
check 'of the root account' sh -c "'$ADMIN' status '$MNT' / | grep -q '^/ .* 0 here'"
check 'in JSON' sh -c "'$ADMIN' status --json '$MNT' anna | grep -q '\"place\": \"here\"'"
check 'by URL' "$ADMIN" status "$URL" anna
check 'by state directory and socket' sh -c \
	"'$ADMIN' status '$STATE' anna && '$ADMIN' status '$STATE/control.sock' anna"
check 'of the node, with its accounts' sh -c "'$ADMIN' status '$MNT' | grep -q 'accounts  4 here'"
check_refused 'an unknown account' 1 "no account 'nobody'" "$ADMIN" status "$MNT" anna nobody
check_refused 'a file is no account' 1 "no account 'file'" "$ADMIN" status "$MNT" file
check_refused 'too deep for an account' 1 "'anna/new' is no name of an account" \
	"$ADMIN" flush "$MNT" anna/new
check_refused 'a URL that is not mounted' 1 "file:///nowhere' is not mounted" \
	"$ADMIN" status file:///nowhere
check_refused 'both accounts and --accounts' 2 'either' "$ADMIN" status --accounts "$MNT" anna
check_refused 'no number' 2 "'many'" "$ADMIN" status --accounts --limit many "$MNT"

# ---- flush
check 'flush of an account' "$ADMIN" flush "$MNT" anna
check 'flush of all' sh -c "'$ADMIN' flush '$MNT' | grep -q '^everything is on the backend'"
check 'flush --all' "$ADMIN" flush --all "$MNT"
check 'nothing waits then' sh -c "'$ADMIN' status --json '$MNT' | grep -q '\"lag_ms\": 0,'"
check 'a segment is on the backend' test -n "$(find "$STORE/journal" -type f)"
check 'flush --checkpoint' sh -c \
	"'$ADMIN' flush --checkpoint '$MNT' anna bert | grep -q '^2 accounts are in checkpoints'"
check 'its answer in JSON' sh -c \
	"'$ADMIN' flush --json '$MNT' anna | grep -q '\"elapsed_ms\": [0-9]'"
check_refused 'flush of nobody' 1 "no account 'nobody'" "$ADMIN" flush "$MNT" nobody
check_refused 'flush --all of somebody' 2 'either' "$ADMIN" flush --all "$MNT" anna
if command -v curl >/dev/null; then
	check 'the answer ends with a result' sh -c \
		"curl -sf --unix-socket '$STATE/control.sock' http://localhost/v1/flush -d '{}' |
			tail -n 1 | grep -q '^{\"result\":'"
	check 'an answer tells the version' sh -c \
		"curl -sfi --unix-socket '$STATE/control.sock' http://localhost/v1/status |
			grep -q '^Server: mailfs/[0-9]'"
fi

# ---- evict and warm
cp -a "$MNT" "$T/before"
check 'evict' sh -c "'$ADMIN' evict '$MNT' anna bert | grep -q '^2 accounts evicted'"
check 'it is gone from here' is_at anna absent
check 'nothing of it is in the local store' test "$("$ADMIN" status --json "$MNT" anna |
	sed -n 's/.*"local_bytes": \([0-9]*\).*/\1/p')" -lt 100000
check 'again there is nothing to do' sh -c \
	"'$ADMIN' evict '$MNT' anna | grep -q '^0 accounts evicted, 1 were not here'"
check 'a listing of the root loads nothing' sh -c "ls '$MNT' | grep -qx anna"
check 'nothing was loaded' is_at anna absent
check 'it comes back when it is used' cmp "$T/before/anna/new/m1" "$MNT/anna/new/m1"
check 'it is here' is_at anna here
check 'the other one is not' is_at bert absent
check 'warm' sh -c "'$ADMIN' warm '$MNT' bert anna | grep -q '^2 accounts are here'"
check 'that is here too' is_at bert here
check 'all is as before' diff -r "$T/before" "$MNT"
check 'and has the same inode numbers' test "$(cd "$MNT" && find . | sort | xargs stat -c '%n %i')" = \
	"$(cd "$MNT" && "$ADMIN" evict "$MNT" carl >/dev/null; find . | sort | xargs stat -c '%n %i')"
check 'warm --all' "$ADMIN" warm --all "$MNT"
check_refused 'warm of nothing' 2 'no ACCOUNT' "$ADMIN" warm "$MNT"
check_refused 'warm of nobody' 1 "no account 'nobody'" "$ADMIN" warm "$MNT" nobody

# What was changed after it came back is in it the next time.
echo 'a second line' >>"$MNT/anna/dovecot.index"
check 'evict after a change' "$ADMIN" evict "$MNT" anna
check 'the change comes back' grep -q 'a second line' "$MNT/anna/dovecot.index"

check_refused 'the root account stays' 1 "account '/': the root account" "$ADMIN" evict "$MNT" /
check 'evict of what is idle' sh -c "'$ADMIN' evict --idle 0s '$MNT' | grep -q '^3 accounts'"
check 'they are away' is_at carl absent
check 'nobody is idle for so long' sh -c \
	"ls '$MNT/carl' >/dev/null; '$ADMIN' evict --idle 1h '$MNT' | grep -q '^0 accounts'"
check_refused 'idle or named' 2 'either' "$ADMIN" evict --idle 1h "$MNT" anna
check_refused 'keep is for bodies' 2 'for bodies' "$ADMIN" evict --keep 1M "$MNT" anna
check_refused 'force needs accounts' 2 'no ACCOUNT' "$ADMIN" evict --force "$MNT"

# ---- open files
exec 7<"$MNT/anna/dovecot.index"
check_refused 'an open file' 1 "account 'anna': .*pid $$" "$ADMIN" evict "$MNT" anna bert
check 'the other one went all the same' is_at bert absent
check 'and it stays' is_at anna here
check '--json says why' sh -c \
	"'$ADMIN' evict --json '$MNT' anna 2>/dev/null | grep -q '\"errno\": \"EBUSY\"'"
check '--idle leaves it out' sh -c "'$ADMIN' evict --idle 0s '$MNT' | grep -q '1 are in use'"
check '--force' "$ADMIN" evict --force "$MNT" anna
read -r line <&7
check 'who has it open reads on' test "$line" = 'index of anna'
exec 7<&-
check 'a working directory' sh -c \
	"cd '$MNT/anna' && ! '$ADMIN' evict '$MNT' anna 2>'$T/err' && grep -q pid '$T/err'"

check 'unmount' unmount_volume
mount_volume
check 'after a remount all is there' sh -c \
	"diff -r '$T/before/bert' '$MNT/bert' && diff -r '$T/before/carl' '$MNT/carl'"
check 'unmount' unmount_volume
finish
