#!/bin/sh
# mailfs -f stays in front; SIGTERM and SIGINT, also repeated, end it cleanly with status 0.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

# end_by SIGNAL: starts it in front, writes, signals three times; its status.
end_by() {
	"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,log_level=debug" 2>"$T/log" &
	pid=$!
	wait_until 60 is_mounted "$MNT" || return 99
	mkdir -p "$MNT/user" || return 98
	echo "$1" >"$MNT/user/$1" || return 97
	kill "-$1" $pid
	kill "-$1" $pid 2>/dev/null
	kill "-$1" $pid 2>/dev/null
	wait $pid
}

format_volume
for signal in TERM INT; do
	# A shell without job control starts background jobs with SIGINT ignored; mailfs sets its own.
	check "SIG$signal ends it with 0" end_by $signal
	check "nothing is mounted after SIG$signal" not is_mounted "$MNT"
	check "SIG$signal left the state free" test -z "$(pid_of "$STATE")"
done
mount_volume
check 'what was written before SIGTERM is there' grep -q TERM "$MNT/user/TERM"
check 'what was written before SIGINT is there' grep -q INT "$MNT/user/INT"
pid=$(pid_of "$STATE")
kill -HUP "$pid"
check 'SIGHUP does nothing' test -d "$MNT/user"
check 'unmount' unmount_volume

"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE" 2>"$T/log" &
pid=$!
wait_until 60 is_mounted "$MNT"
umount -i "$MNT"
check 'umount ends it with 0' wait $pid

# A store that is silent when the mount begins: nobody has to wait for its time limits.
ended_soon() {
	started=$(date +%s)
	kill "-$1" "$2"
	wait "$2"
	[ $? -gt 128 ] && [ $(($(date +%s) - started)) -lt 20 ]
}
holds_state() {
	[ -n "$(pid_of "$STATE")" ]
}
for signal in TERM INT; do
	"$MAILFS" -f "$URL" "$MNT" -o "state=$STATE,faults=list:key=owner*:hang" 2>"$T/log" &
	pid=$!
	wait_until 30 holds_state
	sleep 1
	check "SIG$signal ends a start that hangs" ended_soon $signal $pid
	check 'and says so' grep -q 'before the mount served' "$T/log"
done
mount_volume
check 'it left the state free and whole' grep -q TERM "$MNT/user/TERM"
check 'unmount, after that' unmount_volume
finish
