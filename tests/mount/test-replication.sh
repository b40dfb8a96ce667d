#!/bin/sh
# A mount replicates: an empty state directory gets everything back, a second mount takes over and
# fences the first, and state directories that are behind or superseded are recognised.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

command -v getfattr >/dev/null || skip 'no getfattr'

# But for what was rescued: names, types, numbers, sizes, times, content and attributes of a tree.
snapshot() {
	(
		cd "$1" || exit 1
		find . -mindepth 1 -path ./.superseded -prune -o -printf '%P %y %m %U %G %i %n %s %T@ %l\n' | sort
		find . -path ./.superseded -prune -o -type f -print0 | sort -z | xargs -0 -r sha256sum
		find . -mindepth 1 -path ./.superseded -prune -o -print0 | sort -z | xargs -0 -r getfattr -h -d -m user 2>/dev/null
	)
}

n_objects() {
	find "$STORE" -type f ! -path '*/probe/*' ! -path '*/.tmp+/*' | wc -l
}

n_segments() {
	find "$STORE/journal" -type f | wc -l
}

# The number of the newest segment of a state directory's journal; others may be removed meanwhile.
last_segment() {
	ls "$STORE/journal/$(node_of "$1")/"*/ 2>/dev/null | sort | tail -n 1
}

node_of() {
	sed -n 's/.*"node_uuid": "\([^"]*\)".*/\1/p' "$1/state.json"
}

incarnation_of() {
	sed -n 's/.*"incarnation": \([0-9]*\).*/\1/p' "$1/state.json"
}

# mount_again STATE: at the same place, after whatever was there; its log is $T/log.
mount_again() {
	: >"$T/log"
	"$MAILFS" -f "$URL" "$MNT" -o "state=$1${2:+,$2}" >>"$T/log" 2>&1 &
	daemon=$!
	wait_until 60 serves_or_dead
	grep -q ' serves at ' "$T/log"
}

serves_or_dead() {
	grep -q ' serves at ' "$T/log" || ! alive "$daemon"
}

unmount() {
	pid=$(pid_of "$1")
	umount -i "$MNT"
	wait_until 60 not alive "$pid"
}

make_tree() {
	for user in ann bob cay; do
		mkdir -p "$MNT/$user/Maildir/new" "$MNT/$user/sub/deep"
		head -c 5000 /dev/urandom >"$MNT/$user/Maildir/new/1.mail"
		head -c 300000 /dev/urandom >"$MNT/$user/big"
		ln "$MNT/$user/big" "$MNT/$user/sub/linked"
		ln -s ../big "$MNT/$user/sub/symbolic"
		setfattr -n user.colour -v "red of $user" "$MNT/$user/sub/deep"
		truncate -s 40960 "$MNT/$user/sub/holes"
		chmod 640 "$MNT/$user/big"
	done
	echo root >"$MNT/at-the-top"
}

format_volume

# ---- a clean end, and an idle node
check 'mount' mount_again "$STATE"
make_tree
check 'unmount' unmount "$STATE"
check 'one owner record' test "$(ls "$STORE/owner")" = 0000000000000001
check 'mount again' mount_again "$STATE"
snapshot "$MNT" >"$T/before"
n=$(n_objects)
sleep 2.5
check 'unmount an idle node' unmount "$STATE"
check 'it has put nothing' test "$(n_objects)" = "$n"
check 'nobody else owned it' test "$(ls "$STORE/owner")" = 0000000000000001

# ---- an empty state directory
rm -rf "$T/other"
check 'mount with an empty state directory' mount_again "$T/other"
snapshot "$MNT" >"$T/after"
check 'everything is back' diff "$T/before" "$T/after"
echo more >"$MNT/ann/more"
mkdir "$MNT/dan"
echo hello >"$MNT/dan/hello"
rm "$MNT/bob/sub/linked"
snapshot "$MNT" >"$T/before"
check 'unmount' unmount "$T/other"
n=$(last_segment "$T/other")
mount_again "$T/other"
snapshot "$MNT" >"$T/after"
check 'and stays so' diff "$T/before" "$T/after"
check 'unmount it again' unmount "$T/other"
check 'what was loaded is not shipped again' test "$(last_segment "$T/other")" = "$n"
rm -rf "$T/third"
mount_again "$T/third"
snapshot "$MNT" >"$T/after"
unmount "$T/third"
n=$(last_segment "$T/third")
mount_again "$T/third"
sleep 2.5
unmount "$T/third"
check 'nor by a node that has shipped nothing' test "$(last_segment "$T/third")" = "$n"

# ---- the first state directory is superseded
old=$(node_of "$STATE")
check 'mount with the superseded state directory' mount_again "$STATE"
check 'it says so' grep -q 'warning: .*is superseded' "$T/log"
check 'what it held was set aside' grep -q "kept in '$STATE/superseded/$old-1'" "$T/log"
check 'the directory has another identity' test "$(node_of "$STATE")" != "$old"
snapshot "$MNT" >"$T/after"
check 'the newest state is served' diff "$T/before" "$T/after"

# ---- an old copy of the state directory: the journal has more than the disk
sync "$MNT/at-the-top"
check 'unmount for a copy' unmount "$STATE"
cp -a "$STATE" "$T/copy"
mount_again "$STATE"
echo later >"$MNT/ann/later"
rm "$MNT/cay/big"
mkdir "$MNT/eve"
echo eve >"$MNT/eve/mail"
snapshot "$MNT" >"$T/before"
check 'unmount' unmount "$STATE"
rm -rf "$STATE"
mv "$T/copy" "$STATE"
check 'mount with an old copy' mount_again "$STATE"
check 'it says that it lacks something' grep -q 'local store lacks' "$T/log"
snapshot "$MNT" >"$T/after"
check 'it has caught up' diff "$T/before" "$T/after"
echo again >"$MNT/eve/again"
snapshot "$MNT" >"$T/before"
check 'unmount' unmount "$STATE"
rm -rf "$T/other"
mount_again "$T/other"
snapshot "$MNT" >"$T/after"
check 'and so has the backend' diff "$T/before" "$T/after"
check 'unmount' unmount "$T/other"
rm -rf "$STATE"
mv "$T/other" "$STATE"

# ---- SIGKILL while a segment is on its way: it may land later
for failpoint in journal.cut journal.noted journal.put journal.complete; do
	mount_again "$STATE"
	echo "$failpoint" >"$MNT/ann/kept"
	wait_until 20 test "$(n_segments)" -gt 0
	check "unmount before $failpoint" unmount "$STATE"
	before=$(incarnation_of "$STATE")
	mount_again "$STATE" "failpoint=$failpoint"
	pid=$(pid_of "$STATE")
	echo "$failpoint" >"$MNT/bob/killed"
	check "killed at $failpoint" wait_until 20 not alive "$pid"
	umount -l -i "$MNT"
	check "mount after $failpoint" mount_again "$STATE"
	check "what was written at $failpoint" grep -q "$failpoint" "$MNT/bob/killed"
	if [ $failpoint = journal.noted ]; then
		check 'another incarnation has begun' \
			test "$(incarnation_of "$STATE")" = $((before + 1))
	else
		check 'the incarnation goes on' test "$(incarnation_of "$STATE")" = "$before"
	fi
	snapshot "$MNT" >"$T/before"
	check "unmount after $failpoint" unmount "$STATE"
	rm -rf "$STATE"
	check "an empty directory after $failpoint" mount_again "$STATE"
	snapshot "$MNT" >"$T/after"
	check "everything is back after $failpoint" diff "$T/before" "$T/after"
	check "unmount it after $failpoint" unmount "$STATE"
done

# ---- SIGKILL at each step of becoming the owner: the next attempt does all of it
for failpoint in owner.claim owner.claimed takeover.seal takeover.sealed replicator.owner \
	replicator.expected restore.latest restore.finished replicator.root; do
	rm -rf "$STATE"
	check "killed at $failpoint" not mount_again "$STATE" "failpoint=$failpoint"
	check "mount after $failpoint" mount_again "$STATE"
	snapshot "$MNT" >"$T/after"
	check "everything is back after $failpoint" diff "$T/before" "$T/after"
	check "unmount after $failpoint" unmount "$STATE"
done

# The same for what follows from a segment that may still land.
for failpoint in replicator.incarnation owner.claim owner.claimed takeover.sealed; do
	mount_again "$STATE" failpoint=journal.noted
	pid=$(pid_of "$STATE")
	echo "$failpoint" >"$MNT/bob/killed"
	check 'killed at journal.noted' wait_until 20 not alive "$pid"
	umount -l -i "$MNT"
	check "killed at $failpoint" not mount_again "$STATE" "failpoint=$failpoint"
	check "mount after $failpoint" mount_again "$STATE"
	check "what was written before $failpoint" grep -q "$failpoint" "$MNT/bob/killed"
	snapshot "$MNT" >"$T/before"
	check "unmount after $failpoint" unmount "$STATE"
	rm -rf "$STATE"
	check "an empty directory after $failpoint" mount_again "$STATE"
	snapshot "$MNT" >"$T/after"
	check "everything is back after $failpoint on an empty one" diff "$T/before" "$T/after"
	check "unmount it after $failpoint" unmount "$STATE"
done

# ---- SIGKILL while a superseded state directory is set aside
cp -a "$STATE" "$T/first"
rm -rf "$T/other"
mount_again "$T/other"
echo other >"$MNT/ann/other"
snapshot "$MNT" >"$T/before"
check 'unmount the other' unmount "$T/other"
old=$(node_of "$STATE")
check 'killed at state.aside' not mount_again "$STATE" failpoint=state.aside
check 'mount after state.aside' mount_again "$STATE"
check 'its store is set aside' wait_until 60 grep -q "superseded.*$old" "$T/log"
snapshot "$MNT" >"$T/after"
check 'the newest state is served after state.aside' diff "$T/before" "$T/after"
check 'unmount after state.aside' unmount "$STATE"

# ---- two at a time: the second takes over, the first is fenced
mkdir "$T/mnt2"
check 'the first mount' mount_again "$STATE" ack=remote
mv "$T/log" "$T/first.log"
"$MAILFS" "$URL" "$T/mnt2" -o "state=$T/second" ||
	{ echo 'cannot mount the second'; exit 1; }
echo second >"$T/mnt2/ann/second"
echo first >"$MNT/ann/first"
check_refused 'the first acknowledges nothing' 1 'Stale file handle' sync "$MNT/ann/first"
check 'its log says so' grep -q 'was written by another node' "$T/first.log"
check_refused 'nor does it change anything' 1 'Stale file handle' mkdir "$MNT/ann/late"
snapshot "$T/mnt2" >"$T/before"
check 'what the first wrote then is not there' test ! -e "$T/mnt2/ann/first"
check 'unmount the first' unmount "$STATE"
pid=$(pid_of "$T/second")
umount -i "$T/mnt2"
check 'unmount the second' wait_until 60 not alive "$pid"
old=$(node_of "$STATE")
check 'the first comes back' mount_again "$STATE"
snapshot "$MNT" >"$T/after"
check 'with what the second has' diff "$T/before" "$T/after"
check 'and its own is set aside' grep -q "superseded/$old" "$T/log"
check 'where it can be read' wait_until 60 sh -c "grep -q first '$MNT'/.superseded/$old-*/ann/first"
check 'unmount' unmount "$STATE"
finish
