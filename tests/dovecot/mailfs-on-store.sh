#!/bin/sh
# Dovecot end to end on a mailfs whose bodies lie on a real S3 or NFS server, which is killed and
# started again all the time. Run by s3-FORMAT.sh and nfs-FORMAT.sh:
#
#     mailfs-on-store.sh s3|nfs [FORMAT...]
#
# ack=local: what Dovecot has been told is safe here, so that no delivery may fail for the server's
# sake; what was evicted has to come back through the disturbance.
set -u
here=$(cd "$(dirname "$0")" && pwd)
kind=$1
shift
[ $# -gt 0 ] || set -- maildir sdbox mdbox
case $kind in
s3) server=$here/../support/radosgw.sh what=gateway ;;
nfs) server=$here/../support/ganesha.sh what='' ;;
*) exit 2 ;;
esac

directory=$(mktemp -d "${TMPDIR:-/var/tmp}/mailfs-on-$kind.XXXXXX") || exit 99
disturber=''
# shellcheck disable=SC2317 # called by the trap
cleanup()
{
	if [ -n "$disturber" ]; then
		touch "$directory/enough"
		wait "$disturber"
	fi
	"$server" stop "$directory/server" >/dev/null 2>&1
	rm -rf "$directory"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

"$server" start "$directory/server" >"$directory/started"
status=$?
if [ $status -ne 0 ]; then
	cat "$directory/started"
	exit $status
fi
set -a # for the mailfs processes
# shellcheck disable=SC1091
. "$directory/server/environment"
case $kind in
s3)
	MAILFS_URL=s3://$S3_BUCKET/%s
	MAILFS_BACKEND_OPTIONS=endpoint=$S3_ENDPOINT,region=$AWS_REGION,path_style
	;;
nfs)
	MAILFS_URL=${NFS_URL%%\?*}/%s?${NFS_URL#*\?} MAILFS_BACKEND_OPTIONS=
	for format in "$@"; do
		mkdir -p "$NFS_EXPORT/$format" "$NFS_EXPORT/$format-crash"
	done
	;;
esac
MAILFS_FORMATTED=1
set +a
# As long as the server stands still.
for format in "$@"; do
	for name in "$format" "$format-crash"; do
		# shellcheck disable=SC2059 # a format it is
		"${MAILFS_ADMIN:-${top_builddir:-$here/../..}/mailfs-admin}" format \
			-o "$MAILFS_BACKEND_OPTIONS" "$(printf "$MAILFS_URL" "$name")" || exit
	done
done

# Up for some seconds, away for up to three.
disturb()
{
	n=0
	while [ ! -e "$directory/enough" ]; do
		sleep $((3 + n % 4))
		# shellcheck disable=SC2086 # nothing, or a word
		"$server" kill "$directory/server" $what >>"$directory/disturbed" 2>&1
		sleep $((n % 3)).5
		# shellcheck disable=SC2086
		"$server" restart "$directory/server" $what >>"$directory/disturbed" 2>&1 || exit 1
		n=$((n + 1))
	done
	echo "# the server was killed and started $n times"
	[ $n -gt 0 ]
}
disturb &
disturber=$!
MANY=${MANY:-150} ROUNDS=${ROUNDS:-1} "$here/mailfs.sh" "$@"
status=$?
touch "$directory/enough"
if ! wait "$disturber"; then
	echo "not ok - the server did not come back:"
	tail -n 20 "$directory/disturbed" "$directory/server/log"/*
	status=1
fi
disturber=''
exit $status
