#!/bin/sh
# The systemd unit: its lines are run as they are written, with the variables of its
# EnvironmentFile, and systemd-analyze finds nothing wrong with it.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

command -v python3 >/dev/null || skip 'python3 is not installed'
UNIT=$top_builddir/systemd/mailfs@.service
[ -f "$UNIT" ] || skip "the unit is not made in $top_builddir"
mount -t tmpfs tmpfs /var/lib || skip 'cannot hide /var/lib in this namespace'
install_helpers
format_volume

# command_of KEY: the words of its line, one a line; "${NAME}" is one word, also when it is empty.
command_of() {
	# shellcheck disable=SC2013 # words are what is wanted
	for word in $(sed -n "s/^$1=-\{0,1\}//p" "$UNIT"); do
		case $word in
		\$\{*\}) eval "echo \"$word\"" ;;
		*/mailfs) echo "$MAILFS" ;;
		*) echo "$word" ;;
		esac
	done
}

# run_line KEY: as systemd does. Sets pid.
run_line() {
	command_of "$1" >"$T/words"
	set --
	while IFS= read -r word; do
		set -- "$@" "$word"
	done <"$T/words"
	NOTIFY_SOCKET=$T/notify "$@" 2>>"$T/log" &
	pid=$!
}

# listen: what the daemon says to systemd.
listen() {
	rm -f "$T/notify"
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
text = ""
while "STOPPING" not in text:
    text = s.recv(4096).decode()
    print(text, flush=True)
' "$T/notify" >"$T/messages" 2>&1 &
	listener=$!
	wait_until 20 test -S "$T/notify"
}

# serve_and_stop WHAT: start and stop, with the variables that are set now.
serve_and_stop() {
	listen
	run_line ExecStart
	main=$pid
	check "$1: it serves" wait_until 60 grep -q '^READY=1$' "$T/messages"
	check "$1: it is mounted" is_mounted "$MNT"
	check "$1: it stays in front" alive "$main"
	run_line ExecStop
	check "$1: ExecStop" wait "$pid"
	check "$1: nothing is mounted" not is_mounted "$MNT"
	check "$1: the daemon had ended with 0" wait "$main"
	check "$1: it said so" wait "$listener"
	sed 's/^/    /' "$T/log"
	: >"$T/log"
}

# The variables of the unit's EnvironmentFile, for eval.
# shellcheck disable=SC2034
MOUNTPOINT=$MNT OPTIONS=allow_other,state=$STATE
serve_and_stop 'with OPTIONS'
# shellcheck disable=SC2034
OPTIONS=
serve_and_stop 'without OPTIONS'

check 'it is of Type=notify' grep -q '^Type=notify$' "$UNIT"
if command -v systemd-analyze >/dev/null; then
	# It looks for the programs and manual pages that the unit names.
	mkdir -p "$T/unit" "$T/man/man8"
	cp "$here/../../man/mailfs.8" "$T/man/man8/"
	sed "s|^ExecStart=[^ ]*|ExecStart=$MAILFS|" "$UNIT" >"$T/unit/mailfs@.service"
	check 'systemd-analyze verify' env MANPATH="$T/man" \
		systemd-analyze verify --man="$(command -v man >/dev/null && echo yes || echo no)" \
		"$T/unit/mailfs@mail.service"
	check 'without a word' test ! -s "$T/check.out"
else
	echo 'SKIP: systemd-analyze is not installed'
fi
finish
