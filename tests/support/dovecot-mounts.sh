#!/bin/sh
# Mounts one kind of filesystem below which a private Dovecot is to run, for tests and benchmarks.
#
#     dovecot-mounts.sh COMMAND KIND STORE MNT
#
# COMMAND    mount, unmount, remount, kill, evict, count or requests
# KIND       plain                   MNT is an ordinary directory, nothing is mounted
#            passthrough             libfuse's example passthrough_ll, as shipped
#            passthrough-writeback   the same with everything cached and kernel write-back
#            mailfs                  mailfs, formatted when STORE is new; over a file:// backend in it,
#                                    or where MAILFS_URL says (%s in it is the name of STORE), with
#                                    the backend's options in MAILFS_BACKEND_OPTIONS; not formatted
#                                    where MAILFS_FORMATTED is set
# STORE      a directory of the target's own on local disk: data, state, pid, log
# MNT        where it is seen
#
# `kill` is SIGKILL of the daemon and a lazy unmount: what a crash leaves. `evict` drops what is
# local and also on the backend (mailfs only). `count` remounts in a slower way that counts requests
# where there is no other; `requests` prints them as JSON. Environment: MAILFS and MAILFS_ADMIN
# (default: from PATH), MAILFS_OPTIONS (default: ack=local), DOVECOT_MAIL_USER, CC.
set -u

: "${MAILFS:=mailfs}" "${MAILFS_ADMIN:=mailfs-admin}" "${MAILFS_OPTIONS:=ack=local}"
: "${DOVECOT_MAIL_USER:=mail}"

skip()
{
	echo "SKIPPED: $*" >&2
	exit 77
}

# Builds passthrough_ll from the source that Debian ships in libfuse3-dev.
build_passthrough()
{
	program=$1
	[ -x "$program" ] && return
	example=/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c
	[ -e "$example" ] || [ -e "$example.gz" ] || skip "needs $example (package libfuse3-dev)"
	directory=$(mktemp -d) || exit 99
	if [ -e "$example" ]; then
		cp "$example" "$(dirname "$example")"/*.h "$directory"
	else
		gzip -dc "$example.gz" >"$directory/passthrough_ll.c"
		cp "$(dirname "$example")"/passthrough_helpers.h* "$directory"
		gzip -d "$directory"/*.gz 2>/dev/null
	fi
	# shellcheck disable=SC2046
	"${CC:-cc}" -O2 -pthread -o "$program" "$directory/passthrough_ll.c" \
		$(pkg-config --cflags --libs fuse3) || skip "cannot build passthrough_ll"
	rm -rf "$directory"
}

# Also true when its daemon is dead, where mountpoint(1) sees nothing.
mounted()
{
	awk -v mnt="$mnt" '$2 == mnt { found = 1 } END { exit !found }' /proc/self/mounts
}

wait_mounted()
{
	n=0
	until mountpoint -q "$mnt"; do
		n=$((n + 1))
		if [ $n -gt 1200 ] || ! kill -0 "$(cat "$store/pid")" 2>/dev/null; then
			echo "dovecot-mounts: $kind is not mounted on $mnt:" >&2
			tail -n 20 "$store/log" >&2
			return 1
		fi
		sleep 0.05
	done
}

do_mount()
{
	mkdir -p "$store" "$mnt" || return
	chmod a+rx "$store" # the daemon of passthrough_ll runs as the mail user
	case $kind in
	plain) return 0 ;;
	passthrough | passthrough-writeback)
		mkdir -p "$store/data"
		chown "$DOVECOT_MAIL_USER:" "$store/data"
		build_passthrough "$store/passthrough_ll"
		options="source=$store/data"
		[ "$kind" = passthrough ] || options="$options,writeback,cache=always"
		[ -z "${count-}" ] || options="$options,debug"
		setsid python3 "$here/dovecot-passthrough.py" "$DOVECOT_MAIL_USER" "$mnt" \
			"$store/passthrough_ll" "$options" </dev/null >>"$store/log" 2>&1 &
		;;
	mailfs)
		command -v "$MAILFS" >/dev/null || skip "needs mailfs (set MAILFS)"
		command -v "$MAILFS_ADMIN" >/dev/null || skip "needs mailfs-admin (set MAILFS_ADMIN)"
		url=file://$store/data
		# shellcheck disable=SC2059 # a format it is
		[ -z "${MAILFS_URL:-}" ] || url=$(printf "$MAILFS_URL" "$(basename "$store")")
		if [ ! -d "$store/state" ]; then
			mkdir -p "$store/data" "$store/state"
			[ -n "${MAILFS_FORMATTED:-}" ] ||
				"$MAILFS_ADMIN" format -o "${MAILFS_BACKEND_OPTIONS:-}" "$url" || return
		fi
		options=state=$store/state,allow_other,$MAILFS_OPTIONS,${MAILFS_BACKEND_OPTIONS:-}
		setsid "$MAILFS" "$url" "$mnt" -f -o "$options" </dev/null >>"$store/log" 2>&1 &
		;;
	*)
		echo "dovecot-mounts: unknown kind '$kind'" >&2
		exit 2
		;;
	esac
	echo $! >"$store/pid"
	wait_mounted
}

# Waits until the daemon has ended.
wait_gone()
{
	n=0
	while [ -s "$store/pid" ] && running "$(cat "$store/pid")"; do
		n=$((n + 1))
		if [ $n -gt 1200 ]; then
			echo "dovecot-mounts: the daemon of $mnt does not end" >&2
			return 1
		fi
		sleep 0.05
	done
	rm -f "$store/pid"
}

# A zombie runs no more.
running()
{
	case $(ps -o stat= -p "$1" 2>/dev/null) in
	'' | Z*) return 1 ;;
	esac
}

do_unmount()
{
	[ "$kind" = plain ] && return 0
	if mounted && ! running "$(cat "$store/pid" 2>/dev/null)"; then
		echo "dovecot-mounts: the daemon of $mnt has died:" >&2
		tail -n 20 "$store/log" >&2
		umount -l "$mnt"
		return 1
	fi
	if mounted; then
		umount "$mnt" || return
	fi
	wait_gone
}

do_kill()
{
	if [ "$kind" = plain ]; then
		echo "dovecot-mounts: a plain directory has no daemon to kill" >&2
		return 2
	fi
	kill -s KILL "$(cat "$store/pid")"
	wait_gone
	umount -l "$mnt"
}

do_evict()
{
	[ "$kind" = mailfs ] || return 0
	"$MAILFS_ADMIN" flush "$mnt" && "$MAILFS_ADMIN" evict "$mnt"
}

# {"fuse_requests": {"LOOKUP": n, ...}}: from the debug output of libfuse, or as mailfs tells.
print_requests()
{
	case $kind in
	passthrough*)
		sed -n 's/^unique: [0-9]*, opcode: \([A-Z0-9_]*\) .*/\1/p' "$store/log" |
			awk '{ n[$1]++ }
				END {
					printf "{\"fuse_requests\": {"
					for (o in n) printf "%s\"%s\": %d", c++ ? ", " : "", o, n[o]
					printf "}, \"commits\": %d}\n", n["FSYNC"] + n["FSYNCDIR"]
				}'
		;;
	mailfs) "$MAILFS_ADMIN" status --json "$mnt" ;;
	*) echo '{}' ;;
	esac
}

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 4 ]; then
	sed -n '/^#     dovecot-mounts/,/^set/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
kind=$2 store=$3
# As /proc/mounts has it; of a dead mount only the directory above can be asked.
mnt=$(cd "$(dirname "$4")" && pwd)/$(basename "$4") || exit 2
case $1 in
mount) do_mount ;;
unmount) do_unmount ;;
remount) do_unmount && do_mount ;;
evict) do_evict ;;
count)
	count=1
	do_unmount && do_mount
	;;
requests) print_requests ;;
kill) do_kill ;;
*)
	echo "dovecot-mounts: unknown command '$1'" >&2
	exit 2
	;;
esac
