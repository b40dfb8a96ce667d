#!/bin/sh
# systemd is told when the mount serves and when it ends.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

command -v python3 >/dev/null || skip 'python3 is not installed'

# listen: prints the messages that come to the socket, a line each, until it has heard STOPPING.
listen() {
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
text = ""
while "STOPPING" not in text:
    text = s.recv(4096).decode()
    print(text, flush=True)
' "$T/notify" >"$T/messages" 2>&1
}

format_volume
listen &
listener=$!
wait_until 20 test -S "$T/notify"
NOTIFY_SOCKET=$T/notify "$MAILFS" -f "$URL" "$MNT" -o "state=$STATE" 2>"$T/log" &
pid=$!
check 'READY comes' wait_until 60 grep -q '^READY=1$' "$T/messages"
check 'when it is mounted' is_mounted "$MNT"
check 'and serves' mkdir "$MNT/user"
kill $pid
check 'the end is clean' wait $pid
check 'the listener has all' wait $listener
check 'STOPPING comes' grep -q '^STOPPING=1$' "$T/messages"
check 'with time for the uploads' grep -q '^EXTEND_TIMEOUT_USEC=90000000$' "$T/messages"
finish
