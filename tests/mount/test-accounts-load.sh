#!/bin/sh
# Accounts are evicted while mail is delivered into them and read from them: nothing is lost.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

ACCOUNTS=${MAILFS_TEST_ACCOUNTS:-50}
ROUNDS=${MAILFS_TEST_ROUNDS:-6}

format_volume
mount_volume "commit_interval=100ms"
i=0
names=
while [ $i -lt "$ACCOUNTS" ]; do
	mkdir -p "$MNT/u$i/tmp" "$MNT/u$i/new"
	names="$names u$i"
	i=$((i + 1))
done

# deliver FROM STEP: mails into every STEPth account, and a line into its log, until told to end.
deliver() {
	n=0
	while [ ! -e "$T/end" ]; do
		i=$1
		while [ "$i" -lt "$ACCOUNTS" ]; do
			printf 'mail %s of u%s\n' "$n" "$i" >"$MNT/u$i/tmp/m$n" &&
				mv "$MNT/u$i/tmp/m$n" "$MNT/u$i/new/m$n" &&
				printf 'line %s\n' "$n" >>"$MNT/u$i/dovecot.index.log" ||
				echo "u$i/m$n" >>"$T/failed"
			i=$((i + $2))
		done
		n=$((n + 1))
		echo $n >"$T/delivered.$1"
	done
}

# What is there is right, whenever somebody looks.
read_on() {
	i=0
	while [ ! -e "$T/end" ]; do
		log=$MNT/u$i/dovecot.index.log
		n=$(cat "$log" 2>/dev/null | tee "$T/seen" | wc -l)
		[ "$n" = 0 ] || seq -f 'line %g' 0 $((n - 1)) | cmp - "$T/seen" >>"$T/wrong" 2>&1
		i=$(((i + 1) % ACCOUNTS))
	done
}

# One who keeps his file open all the time, and his directory.
hold_on() {
	cd "$MNT/u0" || exit 1
	exec 8>>held 9<held
	n=0
	while [ ! -e "$T/end" ]; do
		echo "line $n" >&8
		read -r line <&9
		[ "$line" = "line $n" ] || echo "line $n: '$line'" >>"$T/wrong"
		n=$((n + 1))
		sleep 0.01
	done
	echo $n >"$T/held"
}

deliver 0 2 &
one=$!
deliver 1 2 &
other=$!
read_on &
reader=$!
(hold_on) &
holder=$!
# shellcheck disable=SC2086
check 'evict under load' sh -c "
	round=0
	while [ \$round -lt $ROUNDS ]; do
		'$ADMIN' evict --force --timeout 2m '$MNT' $names || exit 1
		round=\$((round + 1))
	done"
touch "$T/end"
wait $one $other $reader $holder
check 'no delivery failed' test ! -e "$T/failed"
check 'nothing wrong was read' test ! -s "$T/wrong"
check 'something was delivered' test "$(cat "$T/delivered.0")" -gt 0

# whole: every mail and every line is there once.
whole() {
	i=0
	while [ $i -lt "$ACCOUNTS" ]; do
		n=$(cat "$T/delivered.$((i % 2))")
		[ "$(ls "$MNT/u$i/new" | wc -l)" = "$n" ] || { echo "u$i: mails"; return 1; }
		[ "$(cat "$MNT/u$i/new"/* | sort | uniq | wc -l)" = "$n" ] ||
			{ echo "u$i: content"; return 1; }
		seq -f 'line %g' 0 $((n - 1)) | cmp - "$MNT/u$i/dovecot.index.log" || return 1
		i=$((i + 1))
	done
	seq -f 'line %g' 0 $(($(cat "$T/held") - 1)) | cmp - "$MNT/u0/held"
}

check 'everything is there' whole
# shellcheck disable=SC2086
check 'evict all' "$ADMIN" evict $MNT $names
check 'everything comes back' whole
check 'unmount' unmount_volume
rm -rf "$STATE"
mount_volume
check 'also on an empty machine' whole
check 'unmount' unmount_volume
finish
