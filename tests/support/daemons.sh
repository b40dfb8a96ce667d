# daemons.sh: what radosgw.sh and ganesha.sh share; sourced. Daemons run in the foreground of
# sessions of their own, and $dir/run/NAME.pid is theirs from the beginning. $dir/log has what they
# say.
#
#   $dir    where everything lives; absolute. Also in each daemon's environment, as DAEMON_DIR, so
#           that no stale pid file misleads.
# shellcheck shell=sh

start_seconds=60

fail()
{
	echo "$(basename "$0"): $*" >&2
	exit 99
}

# The lines of the script's head that show its commands.
usage()
{
	sed -n "/^#     $(basename "$0") /s/^#     //p" "$0" >&2
	exit 2
}

need()
{
	for program in "$@"; do
		command -v "$program" >/dev/null || {
			echo "SKIP: $program is not installed (scripts/install-dependencies)"
			exit 77
		}
	done
}

# ports N: free ones, below those that the kernel gives to clients, or a restart might find its own
# port taken.
ports()
{
	python3 - "$1" <<'PYTHON'
import os, random, socket, sys
low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
held = []
random.seed(os.urandom(8))
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(10000, max(low, 20000))))
        held.append(s)
    except OSError:
        s.close()
print(*(s.getsockname()[1] for s in held))
PYTHON
}

# A zombie runs no more.
alive()
{
	[ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

gone()
{
	! alive "$1"
}

# pid_of NAME: of the daemon that this $dir started, or nothing.
pid_of()
{
	pid=$(cat "$dir/run/$1.pid" 2>/dev/null) || return 0
	if alive "$pid" && grep -q -s -z -x -F "DAEMON_DIR=$dir" "/proc/$pid/environ"; then
		echo "$pid"
	fi
}

# wait_until SECONDS COMMAND...: polls; false when the time is over.
wait_until()
{
	tries=$(($1 * 20))
	shift
	until "$@"; do
		[ $tries -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.05
	done
}

# end_daemon NAME: with SIGKILL; nothing it holds is worth more.
end_daemon()
{
	pid=$(pid_of "$1")
	[ -n "$pid" ] || return 0
	kill -s KILL "$pid"
	wait_until 10 gone "$pid" || fail "$1 (process $pid) does not end"
	rm -f "$dir/run/$1.pid"
}

# run_daemon NAME COMMAND...: with no descriptor of ours.
run_daemon()
{
	name=$1
	shift
	DAEMON_DIR=$dir setsid "$@" </dev/null >>"$dir/log/$name.out" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
	echo $! >"$dir/run/$name.pid"
}

# answers_or_died NAME COMMAND...
answers_or_died()
{
	name=$1
	shift
	"$@" || [ -z "$(pid_of "$name")" ]
}

# wait_for NAME COMMAND...: until it answers; fails with its last words.
wait_for()
{
	wait_until $start_seconds answers_or_died "$@"
	name=$1
	shift
	"$@" && return
	tail -n 5 "$dir/log/$name.out" >&2
	fail "the $name does not answer; its log is in $dir/log"
}

# remove_directory FILE: unless it is none of ours, which FILE in it tells.
remove_directory()
{
	[ -d "$dir" ] || return 0
	[ -e "$dir/$1" ] || [ -z "$(ls -A "$dir")" ] || fail "$dir is not a directory of mine"
	rm -rf --one-file-system "$dir"
}
