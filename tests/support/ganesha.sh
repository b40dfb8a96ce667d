#!/bin/sh
# A private NFS server (NFS-Ganesha, NFSv3 over TCP) on the loopback interface, for tests and
# benchmarks. Needs root.
#
#     ganesha.sh start DIR      everything of it lives below DIR, which is made or emptied
#     ganesha.sh stop DIR       ends its processes and removes DIR
#     ganesha.sh kill DIR       SIGKILL; the files stay
#     ganesha.sh restart DIR    starts again what was killed, at the same address
#
# `start` prints, and leaves in DIR/environment, what a client has to know, as lines for the shell's
# eval: NFS_URL (an empty directory), NFS_READONLY_URL (one that cannot be written), NFS_PORT,
# NFS_MOUNT_PORT, NFS_EXPORT (the directory as the server's machine sees it). Exit status 77 and a
# line "SKIP: …" when it cannot run here.
#
# Environment: GANESHA_GRACE=SECONDS, for `restart` too, in which writes are put off as after a crash;
# default 0, none. SERVER_ADDRESS, also for `restart`: where it answers, default 127.0.0.1. Ports are
# free ones, so that several may run at once.
#
# NFSv3 insists on a portmapper at /run/rpcbind.sock. Ours has a /run and a network of its own, so
# that neither the machine's nor another test's is touched; nobody else can ask it.
set -u
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

# shellcheck source=tests/support/daemons.sh
. "$(dirname "$0")/daemons.sh"

# write_configuration NFS_PORT MOUNT_PORT NLM_PORT RQUOTA_PORT
write_configuration()
{
	grace=${GANESHA_GRACE:-0} graceless=false
	[ "$grace" -gt 0 ] || grace=5 graceless=true
	echo "$@" >"$dir/ports"
	cat >"$dir/ganesha.conf" <<CONF
NFS_CORE_PARAM {
	Bind_addr = $address;
	NFS_Port = $1; MNT_Port = $2; NLM_Port = $3; Rquota_Port = $4;
	Protocols = 3;
	Enable_UDP = false;
	Enable_NLM = false;
	Enable_RQUOTA = false;
	mount_path_pseudo = false;
}
NFSv4 {
	Grace_Period = $grace; Lease_Lifetime = $grace;
	Graceless = $graceless;
	RecoveryBackend = fs; RecoveryRoot = $dir/recovery;
}
EXPORT_DEFAULTS {
	Squash = None; SecType = sys; Protocols = 3; Transports = TCP; PrivilegedPort = false;
}
EXPORT {
	Export_Id = 1; Path = $dir/export; Pseudo = $dir/export; Filesystem_id = 77.1;
	Access_Type = RW; FSAL { Name = VFS; }
}
EXPORT {
	Export_Id = 2; Path = $dir/readonly; Pseudo = $dir/readonly; Filesystem_id = 77.2;
	Access_Type = RO; FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
CONF
}

# The portmapper, then the server in place of this very process, in a mount namespace.
run_in_namespace='
	mount -t tmpfs tmpfs /run || exit 99
	unshare -n sh -c "ip link set lo up; exec rpcbind -f" >>"$1/log/rpcbind.out" 2>&1 &
	echo $! >"$1/run/rpcbind.pid"
	tries=200
	until [ -S /run/rpcbind.sock ]; do
		[ $((tries = tries - 1)) -gt 0 ] || exit 99
		sleep 0.05
	done
	exec ganesha.nfsd -F -f "$1/ganesha.conf" -L STDOUT -p "$1/run/own.pid" -N NIV_EVENT'

server_answers()
{
	python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)' \
		"$address" "$NFS_PORT" 2>/dev/null
}

# After a SIGKILL the port may be taken for a moment, and then the server ends at once.
run_server()
{
	tries=10
	while :; do
		end_daemon rpcbind
		run_daemon server unshare -m --propagation slave sh -c "$run_in_namespace" sh "$dir"
		wait_until $start_seconds answers_or_died server server_answers
		[ -z "$(pid_of server)" ] && [ $((tries = tries - 1)) -gt 0 ] || break
		sleep 0.1
	done
	wait_for server server_answers
}

start()
{
	need ganesha.nfsd rpcbind unshare ip python3
	[ "$(id -u)" = 0 ] || {
		echo 'SKIP: an NFS server needs root'
		exit 77
	}
	stop
	mkdir -p "$dir/run" "$dir/log" "$dir/recovery" "$dir/export" "$dir/readonly" || exit 99
	chmod 777 "$dir/export" "$dir/readonly"
	# shellcheck disable=SC2046
	set -- $(ports 4)
	write_configuration "$@"
	cat >"$dir/environment" <<VARIABLES
NFS_URL='nfs://$address$dir/export?nfsport=$1&mountport=$2&version=3'
NFS_READONLY_URL='nfs://$address$dir/readonly?nfsport=$1&mountport=$2&version=3'
NFS_PORT=$1
NFS_MOUNT_PORT=$2
NFS_EXPORT='$dir/export'
VARIABLES
	NFS_PORT=$1
	run_server
	cat "$dir/environment"
}

kill_all()
{
	end_daemon server
	end_daemon rpcbind
}

stop()
{
	kill_all
	remove_directory ganesha.conf
}

restart()
{
	NFS_PORT=$(sed -n 's/^NFS_PORT=//p' "$dir/environment") && [ -n "$NFS_PORT" ] ||
		fail "$dir was not started"
	# shellcheck disable=SC2046
	write_configuration $(cat "$dir/ports")
	[ -n "$(pid_of server)" ] || run_server
}

[ $# -eq 2 ] || usage
address=${SERVER_ADDRESS:-127.0.0.1}
dir=$2
case $dir in
/*) ;;
*) dir=$PWD/$dir ;;
esac
case $1 in
start) start ;;
stop) stop ;;
kill) kill_all ;;
restart) restart ;;
*) usage ;;
esac
