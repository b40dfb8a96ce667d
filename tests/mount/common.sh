# common.sh: what the tests of the real programs share; sourced first thing.
#
# A test runs as root in a mount namespace of its own and below one scratch directory, so that it
# leaves nothing behind on the machine. It needs only $top_builddir. Exit 77 skips.
#
#   $T scratch directory   $STORE backend directory   $URL its URL   $STATE state directory
#   $MNT mountpoint        $MAILFS, $ADMIN the programs
# shellcheck shell=sh

set -u
LC_ALL=C
export LC_ALL

top_builddir=$(cd "${top_builddir:-.}" && pwd)
MAILFS=$top_builddir/mailfs
ADMIN=$top_builddir/mailfs-admin
here=$(cd "$(dirname "$0")" && pwd)

skip() {
	echo "SKIP: $*"
	exit 77
}

if [ -z "${MAILFS_TEST_NAMESPACE:-}" ]; then
	[ "$(id -u)" = 0 ] || skip 'mounting needs root'
	[ -c /dev/fuse ] || skip 'no /dev/fuse'
	if [ ! -x "$MAILFS" ] || [ ! -x "$ADMIN" ]; then
		skip "mailfs and mailfs-admin are not built in $top_builddir"
	fi
	unshare -m --propagation slave true 2>/dev/null || skip 'no mount namespaces here'
	MAILFS_TEST_NAMESPACE=1
	export MAILFS_TEST_NAMESPACE
	exec unshare -m --propagation slave sh "$here/$(basename "$0")" "$@"
fi

# libmount's notes are the machine's own.
[ -d /run/mount ] || mount -t tmpfs tmpfs /run || exit 99
mkdir -p /run/mount
mount -t tmpfs tmpfs /run/mount || exit 99

T=$(mktemp -d "${TMPDIR:-/tmp}/mailfs-mount.XXXXXX") || exit 99
T=$(cd "$T" && pwd -P)
# What a sanitizer has to say must not get lost with a daemon's standard error.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$T/sanitizer
UBSAN_OPTIONS=${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$T/sanitizer:print_stacktrace=1
TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$T/sanitizer:ignore_noninstrumented_modules=1
TSAN_OPTIONS=$TSAN_OPTIONS:suppressions=$here/../support/tsan.supp
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
STORE=$T/store
URL=file://$STORE
STATE=$T/state
MNT=$T/mnt
mkdir "$STORE" "$MNT"
n_checks=0
n_failed=0

# pid_of STATE: the daemon that holds the state directory, or nothing.
pid_of() {
	head -n 1 "$1/lock" 2>/dev/null
}

alive() {
	[ -n "$1" ] && [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

is_mounted() {
	grep -q " $1 .* - fuse\.mailfs " /proc/self/mountinfo
}

# wait_until SECONDS COMMAND...: polls; false when the time is over.
wait_until() {
	tries=$(($1 * 20))
	shift
	while ! "$@"; do
		[ $tries -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.05
	done
}

not() {
	! "$@"
}

clean_up() {
	trap - EXIT
	for lock in "$T"/*/lock; do
		pid=$(head -n 1 "$lock" 2>/dev/null)
		if [ -n "$pid" ] && alive "$pid" && grep -q mailfs "/proc/$pid/comm" 2>/dev/null; then
			kill -CONT "$pid"
			kill "$pid"
			wait_until 20 not alive "$pid" || kill -KILL "$pid"
		fi
	done
	# Deepest first; what does not go now goes with the namespace.
	awk -v t="$T/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mounted; do
			umount -l -i "$mounted" 2>/dev/null
		done
	rm -rf --one-file-system "$T"
}
trap clean_up EXIT
trap 'exit 99' HUP INT TERM

# ---- checks: each says what holds; the test goes on after a failure

check() {
	what=$1
	shift
	n_checks=$((n_checks + 1))
	if "$@" >"$T/check.out" 2>&1; then
		echo "ok: $what"
	else
		n_failed=$((n_failed + 1))
		echo "FAILED: $what"
		sed 's/^/    /' "$T/check.out"
	fi
}

# check_refused WHAT STATUS PATTERN COMMAND...: ends with this status, and standard error matches.
check_refused() {
	what=$1
	expected=$2
	pattern=$3
	shift 3
	n_checks=$((n_checks + 1))
	timeout 60 "$@" >"$T/check.out" 2>"$T/check.err" </dev/null
	status=$?
	if [ $status -ne "$expected" ] || ! grep -Eq -e "$pattern" "$T/check.err"; then
		n_failed=$((n_failed + 1))
		echo "FAILED: $what: status $status, expected $expected and /$pattern/; it said:"
		sed 's/^/    /' "$T/check.err"
	else
		echo "ok: $what"
	fi
}

# Ends the test with the verdict.
finish() {
	for report in "$T"/sanitizer.*; do
		[ -e "$report" ] || continue
		n_failed=$((n_failed + 1))
		echo "FAILED: a sanitizer complained:"
		sed 's/^/    /' "$report"
	done
	echo "$n_checks checks, $n_failed failed"
	[ $n_failed -eq 0 ] && [ $n_checks -gt 0 ]
	exit $?
}

# ---- what most tests begin with

format_volume() {
	"$ADMIN" format "$URL" >/dev/null || { echo 'cannot format'; exit 99; }
}

# mount_volume [OPTIONS]: in the background; stops the test when it does not work.
mount_volume() {
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE${1:+,$1}" ||
		{ echo 'cannot mount'; exit 1; }
}

# Plain umount(2), and the daemon's end.
unmount_volume() {
	pid=$(pid_of "$STATE")
	umount -i "$MNT"
	wait_until 60 not alive "$pid"
}

# In this namespace only: our helpers where mount(8) and umount(8) look for them.
install_helpers() {
	sbin=$(readlink -f /sbin)
	mkdir "$T/sbin"
	mount --bind "$sbin" "$T/sbin"
	mount -t tmpfs tmpfs "$sbin"
	for program in "$T"/sbin/*; do
		ln -s "$program" "$sbin/"
	done
	rm -f "$sbin/mount.fuse.mailfs" "$sbin/umount.fuse.mailfs"
	cp "$top_builddir/tests/mount/mount.fuse.mailfs" "$top_builddir/umount.fuse.mailfs" "$sbin/"
}
