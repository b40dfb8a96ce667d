#!/bin/sh
# A private, unmodified Dovecot below any directory, for tests and benchmarks.
#
# Everything about one instance is in one directory (INSTANCE, made by start):
#
#     dovecot.conf   the generated configuration
#     imap.sock      IMAP, as a client sees it (login with any password)
#     lmtp.sock      LMTP
#     dovecot.log    the log of this run; older runs are dovecot.log.1, .2 ...
#     pid            the master process, which leads a session of its own
#
# No port, no file outside INSTANCE and the mail root. Users need no account: every name exists,
# with its home at ROOT/<name>, and all mail belongs to one system user.
#
# As a library:   . dovecot.sh; dovecot_start INSTANCE ROOT FORMAT [LINE...]
# As a program:   dovecot.sh start INSTANCE ROOT FORMAT [LINE...]
#                 dovecot.sh stop|check-log INSTANCE
#                 dovecot.sh doveadm INSTANCE ARGUMENT...
#
# FORMAT is maildir, sdbox or mdbox; LINEs are added to the configuration. Environment:
# DOVECOT_MAIL_USER (default: the system user "mail") owns the mail; DOVECOT_ENTER are words before
# doveadm, where the mail root is in another namespace.

: "${DOVECOT_MAIL_USER:=mail}"

# Ends the program with 77 (skipped) when something needed is not there.
dovecot_require()
{
	dovecot_missing=
	[ "$(id -u)" -eq 0 ] || dovecot_missing="$dovecot_missing; root"
	for dovecot_p in dovecot doveadm python3 setsid ps; do
		command -v "$dovecot_p" >/dev/null 2>&1 ||
			dovecot_missing="$dovecot_missing; the program $dovecot_p"
	done
	for dovecot_p in imap lmtp; do
		[ -x "/usr/lib/dovecot/$dovecot_p" ] || [ -x "/usr/libexec/dovecot/$dovecot_p" ] ||
			dovecot_missing="$dovecot_missing; the package dovecot-${dovecot_p}d"
	done
	id "$DOVECOT_MAIL_USER" >/dev/null 2>&1 ||
		dovecot_missing="$dovecot_missing; the user $DOVECOT_MAIL_USER"
	case $(dovecot --version 2>/dev/null) in
	2.3.* | '') ;;
	*) dovecot_missing="$dovecot_missing; Dovecot 2.3 (this is $(dovecot --version))" ;;
	esac
	if [ -n "$dovecot_missing" ]; then
		echo "1..0 # SKIP needs ${dovecot_missing#; }"
		echo "SKIPPED: needs ${dovecot_missing#; }" >&2
		exit 77
	fi
}

# dovecot_config INSTANCE ROOT FORMAT [LINE...]: writes INSTANCE/dovecot.conf.
dovecot_config()
{
	dovecot_i=$1 dovecot_root=$2 dovecot_format=$3
	shift 3
	case $dovecot_format in
	maildir) dovecot_location='maildir:~/Maildir' ;;
	sdbox | mdbox) dovecot_location="$dovecot_format:~/$dovecot_format" ;;
	*)
		echo "dovecot: unknown format '$dovecot_format' (maildir, sdbox or mdbox)" >&2
		return 2
		;;
	esac
	dovecot_uid=$(id -u "$DOVECOT_MAIL_USER") && dovecot_gid=$(id -g "$DOVECOT_MAIL_USER") || return
	cat >"$dovecot_i/dovecot.conf" <<CONF
base_dir = $dovecot_i/run
state_dir = $dovecot_i/state
instance_name = $(basename "$dovecot_i")
log_path = $dovecot_i/dovecot.log
log_timestamp = "%Y-%m-%d %H:%M:%S "
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
mail_location = $dovecot_location
mail_max_userip_connections = 200
login_greeting = ready
hostname = mx.mailfs.test
postmaster_address = postmaster@mailfs.test

passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=$dovecot_uid gid=$dovecot_gid home=$dovecot_root/%u allow_all_users=yes
}

service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 0
  }
  unix_listener $dovecot_i/imap.sock {
    mode = 0666
  }
}
service lmtp {
  unix_listener $dovecot_i/lmtp.sock {
    mode = 0666
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
CONF
	for dovecot_line in "$@"; do
		printf '%s\n' "$dovecot_line"
	done >>"$dovecot_i/dovecot.conf"
}

# dovecot_start INSTANCE ROOT FORMAT [LINE...]: returns when IMAP and LMTP answer. ROOT must exist;
# it is given to the mail user. The log of an earlier run of INSTANCE is kept under another name.
dovecot_start()
{
	dovecot_i=$1
	if [ ! -d "$2" ]; then
		echo "dovecot: the mail root $2 is not a directory" >&2
		return 1
	fi
	mkdir -p "$dovecot_i/state" "$dovecot_i/run" || return
	chmod 0755 "$dovecot_i"
	if dovecot_running "$dovecot_i"; then
		echo "dovecot: $dovecot_i runs already" >&2
		return 1
	fi
	dovecot_keep_log "$dovecot_i"
	chown "$DOVECOT_MAIL_USER:" "$2" || return
	dovecot_config "$@" || return
	setsid dovecot -F -c "$dovecot_i/dovecot.conf" </dev/null >"$dovecot_i/console" 2>&1 &
	echo $! >"$dovecot_i/pid"
	dovecot_n=0
	until dovecot_answers "$dovecot_i"; do
		dovecot_n=$((dovecot_n + 1))
		# In its first moment it has no session of its own yet.
		if [ $dovecot_n -ge 150 ] || { [ $dovecot_n -ge 10 ] && ! dovecot_running "$dovecot_i"; }; then
			echo "dovecot: does not start:" >&2
			cat "$dovecot_i/console" "$dovecot_i/dovecot.log" >&2
			dovecot_stop "$dovecot_i"
			return 1
		fi
		sleep 0.1
	done
}

# The process ids of the instance: master and all it started that still lives (a zombie does not).
dovecot_processes()
{
	[ -s "$1/pid" ] || return 0
	ps -o pid=,stat= -s "$(cat "$1/pid")" 2>/dev/null | awk '$2 !~ /^Z/ { print $1 }'
}

dovecot_running()
{
	[ -n "$(dovecot_processes "$1")" ]
}

# The current log becomes dovecot.log.N, so that check-log speaks of the run to come.
dovecot_keep_log()
{
	[ -s "$1/dovecot.log" ] || return 0
	dovecot_n=1
	while [ -e "$1/dovecot.log.$dovecot_n" ]; do
		dovecot_n=$((dovecot_n + 1))
	done
	mv "$1/dovecot.log" "$1/dovecot.log.$dovecot_n"
}

# Do both sockets greet? (An IMAP greeting says that login and authentication are ready.)
dovecot_answers()
{
	[ -S "$1/imap.sock" ] && [ -S "$1/lmtp.sock" ] &&
		python3 - "$1" <<'PY'
import socket, sys
for name, greeting in (("imap.sock", b"* OK"), ("lmtp.sock", b"220")):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    try:
        s.connect(sys.argv[1] + "/" + name)
        ok = s.recv(100).startswith(greeting)
    except OSError:
        ok = False
    if not ok:
        sys.exit(1)
PY
}

# dovecot_stop INSTANCE: returns when all processes of the instance are gone. Asks them first, kills
# them after ten seconds (a process may hang in a filesystem that does not answer).
dovecot_stop()
{
	dovecot_n=0
	while dovecot_running "$1"; do
		if [ $dovecot_n -ge 300 ]; then
			echo "dovecot: processes do not end:" >&2
			dovecot_processes "$1" >&2
			return 1
		fi
		# All ids are of the session whose leader we started.
		# shellcheck disable=SC2046
		if [ $dovecot_n -eq 0 ]; then
			kill -s TERM "$(cat "$1/pid")" 2>/dev/null
		elif [ $dovecot_n -eq 50 ]; then
			kill -s TERM $(dovecot_processes "$1") 2>/dev/null
		elif [ $dovecot_n -ge 100 ]; then
			kill -s KILL $(dovecot_processes "$1") 2>/dev/null
		fi
		dovecot_n=$((dovecot_n + 1))
		sleep 0.1
	done
	rm -f "$1/pid" "$1/imap.sock" "$1/lmtp.sock"
}

# dovecot_doveadm INSTANCE ARGUMENT...
dovecot_doveadm()
{
	dovecot_i=$1
	shift
	# shellcheck disable=SC2086 # words
	${DOVECOT_ENTER:-} doveadm -c "$dovecot_i/dovecot.conf" "$@"
}

# What Dovecot says of an mdbox whose map transaction was interrupted; see let_rebuild() in
# tests/dovecot/load.py.
dovecot_mdbox_rebuild='Inconsistency in map index \(|: rebuilding indexes$|: fscking index file '
dovecot_mdbox_rebuild="$dovecot_mdbox_rebuild|reset, view is now inconsistent$"

# dovecot_check_log INSTANCE [PATTERN]: 0 if the log of this run is free of complaints; prints the
# others. Allowed are only Dovecot's words about being stopped, which dovecot_stop causes, and those
# that match the pattern.
dovecot_check_log()
{
	[ -e "$1/dovecot.log" ] || return 0
	dovecot_complaints=$(grep -E -a \
		'(Error|Panic|Fatal|Warning): |[Cc]orrupt|[Bb]roken|[Rr]ebuild' "$1/dovecot.log" |
		grep -E -v "Warning: (Killed with signal 15 |Shutting down logging for )${2:+|$2}")
	[ -z "$dovecot_complaints" ] && return 0
	printf '%s\n' "$dovecot_complaints"
	return 1
}

# Sourced, only the functions are wanted.
case ${0##*/} in
dovecot.sh)
	set -u
	dovecot_command=${1-}
	[ $# -ge 2 ] || dovecot_command=
	[ $# -ge 1 ] && shift
	case $dovecot_command in
	start) dovecot_require && dovecot_start "$@" ;;
	stop) dovecot_stop "$1" ;;
	doveadm) dovecot_doveadm "$@" ;;
	check-log) dovecot_check_log "$1" ;;
	*)
		sed -n '/^# As a program/,/^$/s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
	;;
esac
