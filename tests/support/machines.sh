# machines.sh: machines that can be lost or cut off, for tests of replication; sourced after
# servers.sh, whose namespace is the network between them, with the servers at $SERVER_ADDRESS.
#
# A machine is a network, mount and process namespace with a link of its own to the bridge, and a
# directory $T/NAME (its disk). What it mounts only it can see; sockets in its directory can be
# reached from outside.
#
#   machine_start NAME N     N from 1 to 200: of the address
#   machine_run NAME COMMAND...
#   machine_cut NAME, machine_heal NAME
#   machine_lose NAME        SIGKILL of all its processes at once; its directory is removed
#   machine_stop NAME        the same, the directory stays
# shellcheck shell=sh

SERVER_ADDRESS=10.77.0.1
export SERVER_ADDRESS

machines_network()
{
	ip link add machines type bridge 2>"$T/bridge" || skip "no bridges here: $(cat "$T/bridge")"
	ip address add $SERVER_ADDRESS/24 dev machines && ip link set machines up ||
		bail_out 'cannot make a network'
}

# init_of NAME: the first process in it, as seen from here.
init_of()
{
	cat "$T/machine.$1" 2>/dev/null
}

# The first process is the one that unshare waits for; it collects orphans.
machine_first='
	ip link set lo up
	mkdir -p /run/mount
	mount -t tmpfs tmpfs /run/mount || exit 99
	trap "" INT TERM HUP
	while :; do
		sleep 3600 &
		wait $!
	done'

machine_start()
{
	mkdir -p "$T/$1"
	chmod 0755 "$T/$1"
	unshare -m -n -p -f --kill-child --mount-proc --propagation slave \
		sh -c "$machine_first" </dev/null >"$T/$1/console" 2>&1 &
	machine_outer=$!
	machine_n=0
	until machine_pid=$(cat "/proc/$machine_outer/task/$machine_outer/children" 2>/dev/null) &&
		[ -n "$machine_pid" ] && ip link add "link$2" type veth peer name eth0 \
		netns "${machine_pid% }" 2>/dev/null; do
		[ $((machine_n = machine_n + 1)) -lt 100 ] || bail_out "machine $1 does not start"
		sleep 0.1
	done
	machine_pid=${machine_pid% }
	echo "$machine_pid" >"$T/machine.$1"
	echo "$2" >"$T/machine.$1.number"
	ip link set "link$2" master machines up &&
		machine_run "$1" ip address add "10.77.0.$((10 + $2))/24" dev eth0 &&
		machine_run "$1" ip link set eth0 up || bail_out "machine $1 has no network"
}

machine_run()
{
	machine_pid=$(init_of "$1")
	shift
	nsenter -t "$machine_pid" -m -n -p -- "$@"
}

machine_cut()
{
	ip link set "link$(cat "$T/machine.$1.number")" down
}

machine_heal()
{
	ip link set "link$(cat "$T/machine.$1.number")" up
}

machine_stop()
{
	machine_pid=$(init_of "$1")
	[ -n "$machine_pid" ] || return 0
	kill -s KILL "$machine_pid"
	machine_n=0
	while [ -e "/proc/$machine_pid" ] && ! grep -q '^State:.Z' "/proc/$machine_pid/status"; do
		[ $((machine_n = machine_n + 1)) -lt 200 ] || bail_out "machine $1 does not end"
		sleep 0.05
	done 2>/dev/null
	rm -f "$T/machine.$1"
	ip link delete "link$(cat "$T/machine.$1.number")" 2>/dev/null
	return 0
}

machine_lose()
{
	machine_stop "$1"
	rm -rf --one-file-system "${T:?}/$1"
}
