#!/bin/sh
# POSIX behaviour of a mounted volume: every case of posix-suite, in a directory of an account.
# POSIX_PATTERN limits it to the cases whose names contain that.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

[ -x "$top_builddir/posix-suite" ] || skip "posix-suite is not built in $top_builddir"
format_volume
mount_volume allow_other
mkdir -p "$MNT/user/suite"
chmod 0777 "$MNT/user/suite"

# run_suite: its own limits end a case that hangs; this one is for what it does not foresee.
run_suite() {
	timeout -k 10 1500 "$top_builddir/posix-suite" ${POSIX_PATTERN:+-k "$POSIX_PATTERN"} \
		"$MNT/user/suite" >"$T/tap" 2>&1
	status=$?
	grep -E '^(not ok|Bail out)' "$T/tap"
	return $status
}
check 'posix-suite' run_suite
grep ' # SKIP ' "$T/tap"
tail -n 1 "$T/tap"
check 'it ran to its end' grep -Eq '^# [1-9][0-9]* cases, 0 failed' "$T/tap"
check 'it left nothing behind' rmdir "$MNT/user/suite"
check 'unmount' unmount_volume
finish
