#!/bin/sh
# A node that another one has superseded: what it never shipped is below /.superseded after its next
# mount, and nothing else is; also when it is killed at any step of that.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

STATE_A=$T/state-a
STATE_B=$T/state-b

mount_a() {
	STATE=$STATE_A
	mount_volume "ack=local${1:+,$1}"
}

mount_b() {
	STATE=$STATE_B
	mount_volume ack=local
}

# supersede NAME: node A writes a file of this name into u1 that it does not ship, and dies; B takes
# over.
supersede() {
	mount_a commit_interval=1h
	head -c 20000 /dev/urandom >"$MNT/u1/$1"
	cp "$MNT/u1/$1" "$T/$1"
	kill -KILL "$(pid_of "$STATE_A")"
	umount -l -i "$MNT"
	mount_b
	mkdir -p "$MNT/u3"
	echo "of b" >"$MNT/u3/$1"
	sleep 2
	unmount_volume
}

has_file() {
	cat "$MNT"/.superseded/*/u1/"$1" 2>/dev/null | cmp -s - "$T/$1"
}

nothing_aside() {
	[ -z "$(ls -A "$STATE_A/superseded" 2>/dev/null)" ]
}

format_volume
mount_a
mkdir "$MNT/u1" "$MNT/u2"
echo shipped >"$MNT/u1/shipped"
echo shipped >"$MNT/u2/shipped"
sleep 2
unmount_volume

supersede first
mount_a
check 'it comes, also for who looks all the time' wait_until 60 has_file first
check 'the account is whole' sh -c "cat '$MNT'/.superseded/*/u1/shipped | grep -q '^shipped$'"
check 'what was shipped does not come' sh -c "! ls '$MNT'/.superseded/*/u2 2>/dev/null"
check 'nor is it mixed in' test ! -e "$MNT/u1/first"
check 'what the other one wrote is there' grep -q 'of b' "$MNT/u3/first"
check 'it is for root alone' sh -c "[ \"\$(stat -c '%a %u' '$MNT/.superseded')\" = '700 0' ]"
check 'it says what it is' sh -c "grep -q 'never shipped' '$MNT'/.superseded/*/COMPLETE"
check 'the old store goes' wait_until 60 nothing_aside
sleep 2
unmount_volume
mount_b
check 'it is in the journal' has_file first
unmount_volume

for step in begun copied marked flushed removing; do
	supersede "at.$step"
	STATE=$STATE_A
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE,ack=local,failpoint=rescue.$step" 2>/dev/null
	check "killed at rescue.$step" wait_until 60 not alive "$(pid_of "$STATE_A")"
	umount -l -i "$MNT" 2>/dev/null
	mount_a
	check 'it is there all the same' wait_until 60 has_file "at.$step"
	check 'once' sh -c "[ \$(ls '$MNT'/.superseded/*/u1/at.$step | wc -l) = 1 ]"
	check 'the old store goes' wait_until 60 nothing_aside
	check 'what came before is there' has_file first
	sleep 2
	unmount_volume
done
check 'fsck' timeout 120 "$ADMIN" fsck --deep "$URL"
finish
