# servers.sh: for tests against real servers; sourced first thing. Such a test speaks TAP, or sets
# skip_status to 77 before.
#
# The test runs as root in mount, network and process namespaces of its own, where there is nothing
# but a loopback interface, and below one scratch directory $T. However it ends, nothing is left of
# it: its servers die with the namespace, and the shell that made that removes $T.
#
#   start_radosgw     sets and exports what radosgw.sh prints, and MAILFS_TEST_S3_URL,
#                     MAILFS_TEST_S3_OPTIONS
#   start_ganesha     what ganesha.sh prints, and MAILFS_TEST_NFS_URL
# shellcheck shell=sh

set -u
LC_ALL=C
export LC_ALL

top_builddir=$(cd "${top_builddir:-.}" && pwd)
support=${top_srcdir:-$(dirname "$0")/../..}/tests/support
support=$(cd "$support" && pwd)
# No proxy for what stays on this machine.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

skip()
{
	echo "SKIP: $*"
	echo "1..0 # SKIP $*"
	exit "${skip_status:-0}"
}

bail_out()
{
	echo "Bail out! $*"
	exit 99
}

clean_up()
{
	trap - EXIT
	[ -z "${inner:-}" ] || kill -s KILL "$inner" 2>/dev/null
	wait
	# The last of the killed may still be writing.
	tries=50
	until rm -rf --one-file-system "$T" 2>/dev/null || [ $((tries = tries - 1)) -le 0 ]; do
		sleep 0.1
	done
}

if [ -z "${MAILFS_TEST_SERVERS:-}" ]; then
	[ "$(id -u)" = 0 ] || skip 'namespaces and an NFS server need root'
	unshare -m -n -p -f --propagation slave true 2>/dev/null || skip 'no namespaces here'
	T=$(mktemp -d "${TMPDIR:-/tmp}/mailfs-servers.XXXXXX") || exit 99
	trap clean_up EXIT
	trap 'exit 99' HUP INT TERM
	MAILFS_TEST_SERVERS=$T unshare -m -n -p -f --kill-child --mount-proc --propagation slave \
		sh "$0" "$@" &
	inner=$!
	wait "$inner"
	status=$?
	inner=
	exit $status
fi
T=$MAILFS_TEST_SERVERS
ip link set lo up || exit 99
# Where all addresses are 127.*, getaddrinfo() with AI_ADDRCONFIG finds none.
ip address add 192.0.2.1/32 dev lo || exit 99

# set_from PROGRAM DIR: starts a server, exports what it prints.
set_from()
{
	printed=$(sh "$support/$1" start "$2")
	case $? in
	0) ;;
	77) skip "${printed#SKIP: }" ;;
	*) bail_out "$1 could not start its server" ;;
	esac
	set -a
	eval "$printed"
	set +a
}

start_radosgw()
{
	set_from radosgw.sh "$T/radosgw"
	MAILFS_TEST_S3_URL=s3://$S3_BUCKET/battery
	MAILFS_TEST_S3_OPTIONS=endpoint=$S3_ENDPOINT,region=$AWS_REGION,path_style
	export MAILFS_TEST_S3_URL MAILFS_TEST_S3_OPTIONS
}

start_ganesha()
{
	set_from ganesha.sh "$T/ganesha"
	MAILFS_TEST_NFS_URL=$NFS_URL
	export MAILFS_TEST_NFS_URL
}
