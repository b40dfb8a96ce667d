#!/bin/sh
# The end-to-end suite itself, on a plain directory: what it demands, ext4 and Dovecot fulfil.
set -u
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../support/dovecot.sh"
dovecot_require
directory=$(mktemp -d "${TMPDIR:-/var/tmp}/mailfs-plain.XXXXXX") || exit 99
trap 'rm -rf "$directory"' EXIT
trap 'exit 130' INT TERM HUP
chmod 0755 "$directory"
failed=0
for format in maildir sdbox mdbox; do
	mkdir "$directory/$format"
	"$here/e2e-suite" --root "$directory/$format" --format $format --many 300 || failed=1
done
exit $failed
