#!/bin/sh
# A private Ceph with a RADOS Gateway (S3) on the loopback interface, for tests and benchmarks.
#
#     radosgw.sh start DIR                 everything of it lives below DIR, which is made or emptied
#     radosgw.sh stop DIR                  ends its processes and removes DIR
#     radosgw.sh kill DIR [gateway|all]    SIGKILL
#     radosgw.sh restart DIR [gateway|all] starts again what was killed, at the same address
#     radosgw.sh admin DIR ARGUMENT...     radosgw-admin on it
#
# `start` prints, and leaves in DIR/environment, what a client has to know, as lines for the shell's
# eval: S3_ENDPOINT, S3_BUCKET (made, empty), AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
# Exit status 77 and a line "SKIP: …" when it cannot run here.
#
# Environment: RADOSGW_STORE=memstore (default: objects die with the process) or bluestore (survives
# `kill all`); SERVER_ADDRESS, where the gateway answers, default 127.0.0.1. Ports are free ones, so
# that several may run at once.
#
# One monitor, one OSD, one gateway, no manager.
set -u
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin # Debian's python3 runs the ceph command
export LC_ALL PATH

access=testaccess secret=testsecretkey region=us-east-1 bucket=mailfs
# shellcheck source=tests/support/daemons.sh
. "$(dirname "$0")/daemons.sh"

run_monitor()
{
	run_daemon monitor ceph-mon -i a --conf "$dir/ceph.conf" -f
}

run_osd()
{
	run_daemon osd ceph-osd -i 0 --conf "$dir/ceph.conf" -f
}

gateway_answers()
{
	curl --noproxy '*' -s -m 5 -o /dev/null "$endpoint/"
}

run_gateway()
{
	run_daemon gateway radosgw -n client.rgw --conf "$dir/ceph.conf" -f
	wait_for gateway gateway_answers
}

write_configuration()
{
	cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon_host = v2:127.0.0.1:$monitor_port
mon_initial_members = a
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
ms_bind_ipv6 = false
ms_bind_msgr1 = false
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# without authentication the secure mode fails with -13
ms_mon_client_mode = crc
auth_allow_insecure_global_id_reclaim = true
run_dir = $dir/run
# a path below DIR may be too long for a socket
admin_socket =
log_file = $dir/log/\$name.log
crash_dir = $dir/log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 1000
# the machine's disk may be fuller than a cluster likes
mon_osd_nearfull_ratio = 0.97
mon_osd_backfillfull_ratio = 0.98
mon_osd_full_ratio = 0.99
osd_failsafe_full_ratio = 0.995
mon_data_avail_crit = 1
mon_data_avail_warn = 2
[mon]
mon_data = $dir/mon
mon_cluster_log_file = $dir/log/cluster.log
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
mon_election_timeout = 2
[osd]
osd_data = $dir/osd
osd_journal = $dir/osd/journal
osd_objectstore = ${RADOSGW_STORE:-memstore}
memstore_device_bytes = 4294967296
bluestore_block_size = 4294967296
bluestore_block_db_create = false
bluestore_block_wal_create = false
osd_memory_target = 1073741824
osd_heartbeat_grace = 120
[client]
keyring = $dir/keyring
[client.rgw]
# 44 ms stalls without tcp_nodelay
rgw_frontends = beast endpoint=${SERVER_ADDRESS:-127.0.0.1}:$gateway_port tcp_nodelay=1
rgw_data = $dir/rgw
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
rgw_dynamic_resharding = false
rgw_override_bucket_index_max_shards = 1
rgw_gc_max_objs = 1
rgw_lc_max_objs = 1
rgw_usage_max_shards = 1
rgw_usage_max_user_shards = 1
rgw_md_log_max_shards = 1
rgw_data_log_num_shards = 1
rgw_objexp_hints_num_shards = 1
rgw_run_sync_thread = false
rgw_num_rados_handles = 1
rgw_rados_pool_pg_num_min = 4
rgw_crypt_require_ssl = false
CONF
}

make_cluster()
{
	conf="--conf $dir/ceph.conf"
	{
		ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' &&
			ceph-authtool "$dir/keyring" --gen-key -n client.admin \
				--cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' &&
			ceph-authtool "$dir/keyring" --gen-key -n client.rgw \
				--cap mon 'allow *' --cap osd 'allow *' &&
			monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$monitor_port]" \
				--set-min-mon-release 16 --enable-all-features "$dir/monmap" &&
			ceph-mon $conf -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
	} >"$dir/log/make.out" 2>&1 || fail "cannot make a monitor: see $dir/log/make.out"
	run_monitor
	osd_uuid=$(cat /proc/sys/kernel/random/uuid)
	{
		timeout $start_seconds ceph $conf osd new "$osd_uuid" &&
			timeout $start_seconds ceph-osd $conf -i 0 --mkfs --osd-uuid "$osd_uuid"
	} >>"$dir/log/make.out" 2>&1 || fail "cannot make an OSD: see $dir/log/make.out"
	run_osd
}

# With curl's own signature, which is right for so simple a request.
make_bucket()
{
	curl --noproxy '*' -s -f -m 30 --aws-sigv4 "aws:amz:$region:s3" --user "$access:$secret" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -X PUT "$endpoint/$bucket"
}

radosgw_admin()
{
	timeout $start_seconds radosgw-admin --conf "$dir/ceph.conf" -n client.rgw "$@"
}

start()
{
	need ceph-mon ceph-osd ceph radosgw radosgw-admin ceph-authtool monmaptool curl python3
	stop
	mkdir -p "$dir/mon" "$dir/osd" "$dir/run" "$dir/log" "$dir/rgw" || exit 99
	fsid=$(cat /proc/sys/kernel/random/uuid)
	# shellcheck disable=SC2046
	set -- $(ports 2)
	monitor_port=$1 gateway_port=$2
	endpoint=http://${SERVER_ADDRESS:-127.0.0.1}:$gateway_port
	write_configuration
	make_cluster
	run_gateway
	radosgw_admin user create --uid=test --display-name=test --access-key="$access" \
		--secret-key="$secret" >"$dir/log/user.out" 2>&1 ||
		fail "cannot make a user: see $dir/log/user.out"
	make_bucket || fail 'cannot make a bucket'
	cat >"$dir/environment" <<VARIABLES
S3_ENDPOINT=$endpoint
S3_BUCKET=$bucket
AWS_ACCESS_KEY_ID=$access
AWS_SECRET_ACCESS_KEY=$secret
AWS_REGION=$region
VARIABLES
	cat "$dir/environment"
}

kill_all()
{
	for name in gateway osd monitor; do
		end_daemon $name
	done
}

stop()
{
	kill_all
	remove_directory ceph.conf
}

# At the address of before.
restart()
{
	endpoint=$(sed -n 's/^S3_ENDPOINT=//p' "$dir/environment") && [ -n "$endpoint" ] ||
		fail "$dir was not started"
	if [ "$1" = all ]; then
		[ -n "$(pid_of monitor)" ] || run_monitor
		[ -n "$(pid_of osd)" ] || run_osd
	fi
	[ -n "$(pid_of gateway)" ] || run_gateway
}

[ $# -ge 2 ] || usage
command=$1 dir=$2
shift 2
case $dir in
/*) ;;
*) dir=$PWD/$dir ;;
esac
what=${1:-all}
case $command:$what in
start:*) start ;;
stop:*) stop ;;
kill:all) kill_all ;;
kill:gateway) end_daemon gateway ;;
restart:all | restart:gateway) restart "$what" ;;
admin:*) radosgw_admin "$@" ;;
*) usage ;;
esac
