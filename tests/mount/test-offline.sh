#!/bin/sh
# What mailfs-admin does with a volume that nobody serves: export is the tree that was mounted,
# restore the one of before, fsck finds it clean, and finds what was damaged.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

# Where others work too, nothing could be said of what is left.
TMPDIR=$T/tmp
export TMPDIR
mkdir "$TMPDIR"

# same_tree A B: names, modes, owners, times, sizes, links, attributes and content.
same_tree() {
	(cd "$1" && find . ! -type l -printf '%P %m %U %G %T@ %y %n\n' | sed 's/^\(.*\) d [0-9]*$/\1 d/' |
		sort) >"$T/a.list" || return 1
	(cd "$2" && find . ! -type l -printf '%P %m %U %G %T@ %y %n\n' | sed 's/^\(.*\) d [0-9]*$/\1 d/' |
		sort) >"$T/b.list" || return 1
	diff "$T/a.list" "$T/b.list" || return 1
	(cd "$1" && find . -type l -printf '%P %l %U %T@\n' | sort) >"$T/a.list"
	(cd "$2" && find . -type l -printf '%P %l %U %T@\n' | sort) >"$T/b.list"
	diff "$T/a.list" "$T/b.list" || return 1
	diff -r --no-dereference "$1" "$2" || return 1
	if command -v getfattr >/dev/null; then
		(cd "$1" && getfattr -R -h -d -m - . 2>/dev/null | sort) >"$T/a.list"
		(cd "$2" && getfattr -R -h -d -m - . 2>/dev/null | sort) >"$T/b.list"
		diff "$T/a.list" "$T/b.list" || return 1
	fi
}

# fsck_says STATUS PATTERN [OPTION...]: of the bare backend.
fsck_says() {
	expected=$1
	pattern=$2
	shift 2
	timeout 120 "$ADMIN" fsck "$@" "$URL" >"$T/fsck" 2>&1
	status=$?
	cat "$T/fsck"
	[ $status -eq "$expected" ] && grep -Eq -e "$pattern" "$T/fsck"
}

make_mails() {
	mkdir -p "$MNT/$1/Maildir/cur" "$MNT/$1/Maildir/new" "$MNT/$1/Maildir/tmp"
	for n in 1 2 3 4 5 6 7 8; do
		head -c $((n * 3000)) /dev/urandom >"$MNT/$1/Maildir/tmp/100000000$n.M1.host"
		mv "$MNT/$1/Maildir/tmp/100000000$n.M1.host" "$MNT/$1/Maildir/new/"
	done
	head -c 400000 /dev/urandom >"$MNT/$1/Maildir/tmp/1000000009.M1.host"
	mv "$MNT/$1/Maildir/tmp/1000000009.M1.host" "$MNT/$1/Maildir/cur/1000000009.M1.host:2,S"
	echo index >"$MNT/$1/Maildir/dovecot.index.log"
	ln "$MNT/$1/Maildir/dovecot.index.log" "$MNT/$1/Maildir/dovecot.index.log.2"
	ln -s ../nowhere "$MNT/$1/link"
	touch -d '2001-02-03 04:05:06.789012345' "$MNT/$1/Maildir/new/1000000001.M1.host"
	chmod 2750 "$MNT/$1/Maildir"
	chown 1234:4321 "$MNT/$1/Maildir/new/1000000002.M1.host"
	truncate -s 3000000 "$MNT/$1/dovecot.index.cache"
	if command -v setfattr >/dev/null; then
		setfattr -n user.mark -v 0x010200ff "$MNT/$1/Maildir"
	fi
}

format_volume
mount_volume
# settle: all is on the backend, since a commit_interval passes and a flush follows.
settle() {
	sleep 2
	"$ADMIN" flush "$MNT" >/dev/null
}

make_mails u1
make_mails u2
settle
cp -a "$MNT/u1" "$T/u1.then"
then=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
sleep 1.2
echo later >"$MNT/u1/later"
rm "$MNT/u1/Maildir/new/1000000003.M1.host"
settle
check 'fsck of a mount' timeout 120 "$ADMIN" fsck "$MNT"
check 'export of a mount' timeout 120 "$ADMIN" export "$MNT" u1 "$T/u1.mounted"
check 'is what is mounted' same_tree "$MNT/u1" "$T/u1.mounted"
cp -a "$MNT/u1" "$T/u1.now"
check 'restore from a mount' timeout 120 "$ADMIN" restore --at "$then" "$MNT" u1 "$T/u1.restored"
check 'is what was there' same_tree "$T/u1.then" "$T/u1.restored"
cp -a "$MNT/u2" "$T/u2.now"
unmount_volume

# ---- the bare backend
(cd "$STORE" && find . -type f | sort) >"$T/objects.before"
check 'export' timeout 120 "$ADMIN" export "$URL" u1 "$T/u1.out"
check 'is the tree' same_tree "$T/u1.now" "$T/u1.out"
check 'export of all' timeout 120 "$ADMIN" export "$URL" / "$T/all"
check 'is one account' same_tree "$T/u1.now" "$T/all/u1"
check 'is the other' same_tree "$T/u2.now" "$T/all/u2"
check 'as JSON' sh -c "'$ADMIN' export --json '$URL' u2 '$T/u2.out' | grep -q '\"problems\": \[\]'"
check_refused 'not into a directory with files' 1 'not empty' "$ADMIN" export "$URL" u1 "$T/u1.out"
check_refused 'no such account' 1 "no account 'u3'" "$ADMIN" export "$URL" u3 "$T/u3.out"
check_refused 'what is no account' 1 'is no account' "$ADMIN" export "$URL" u1/Maildir "$T/x.out"
check_refused 'restore needs a time' 2 'no --at' "$ADMIN" restore "$URL" u1 "$T/x.out"
check_refused 'that is one' 2 'is no time' "$ADMIN" restore --at noon "$URL" u1 "$T/x.out"
check_refused 'nothing is so old' 1 'no state as old as .*(checkpoints|segments)' \
	"$ADMIN" restore --at 2001-01-01 "$URL" u1 "$T/old.out"
check 'times are listed' sh -c "'$ADMIN' restore --list '$URL' u1 | grep -q -e checkpoint -e segments"
check 'clean' fsck_says 0 '^clean$'
check 'clean, deep' fsck_says 0 '^clean$' --deep
check 'clean, as JSON' sh -c "'$ADMIN' fsck --json '$URL' | grep -q '\"clean\": true'"
(cd "$STORE" && find . -type f | sort) >"$T/objects.after"
check 'nothing was written' diff "$T/objects.before" "$T/objects.after"
check 'nothing is left in TMPDIR' test -z "$(ls -A "$TMPDIR")"

# ---- damage of each kind
cp -a "$STORE" "$T/store.good"
for key in $(cd "$STORE" && find owner journal accounts -type f); do
	size=$(stat -c %s "$STORE/$key")
	printf '\377\377' | dd of="$STORE/$key" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
	if cmp -s "$STORE/$key" "$T/store.good/$key"; then
		printf '\0\0' | dd of="$STORE/$key" bs=1 seek=$((size - 2)) conv=notrunc 2>/dev/null
	fi
	check "damage: $key" fsck_says 4 "^error: $key" --deep
	cp "$T/store.good/$key" "$STORE/$key"
done
for key in $(cd "$STORE" && find accounts \( -path '*/pack/*' -o -path '*/body/*' \) -type f); do
	rm "$STORE/$key"
	check "missing: $key" fsck_says 4 "^error: $key: it is missing"
	rm -rf "$T/broken"
	check_refused 'export says so' 1 'cannot be read' "$ADMIN" export "$URL" / "$T/broken"
	cp "$T/store.good/$key" "$STORE/$key"
done
check 'all is well again' fsck_says 0 '^clean$' --deep

# ---- what is too much
stray=$(cd "$STORE" && find accounts \( -path '*/pack/*' -o -path '*/body/*' \) -type f | head -n 1)
stray=${stray%/*}/01234567-89ab-4def-8123-456789abcdef
echo stray >"$STORE/$stray"
touch -d '2 hours ago' "$STORE/$stray"
check 'an orphan' fsck_says 4 "^orphan: $stray"
check_refused 'no repair of what may be in use' 8 'written to within the grace' \
	"$ADMIN" fsck --repair "$URL"
check 'it is removed' fsck_says 1 "^orphan: $stray: .*removed" --repair --grace 1s
check 'and nothing else' sh -c "cd '$STORE' && find . -type f | sort | diff '$T/objects.before' -"
check 'clean at the end' fsck_says 0 '^clean$' --deep
finish
