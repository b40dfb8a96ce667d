#!/bin/sh
# mailfs-admin format makes a volume once, and touches nothing that is there.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

check 'format' "$ADMIN" format "$URL"
before=$(cat "$STORE/volume.json")
check_refused 'a second format' 1 . "$ADMIN" format "$URL"
check 'the volume is as it was' test "$before" = "$(cat "$STORE/volume.json")"

mkdir "$T/json" "$T/foreign"
check 'format --json' sh -c \
	"'$ADMIN' format --json --account-depth 2 file://$T/json | grep -q '\"account_depth\": 2'"
echo precious >"$T/foreign/file"
check_refused 'a directory with other things' 1 . "$ADMIN" format "file://$T/foreign"
check 'they are as they were' grep -q precious "$T/foreign/file"
check_refused 'no such directory' 1 . "$ADMIN" format "file://$T/missing"
check_refused 'depth 3' 2 '0, 1 or 2' "$ADMIN" format --account-depth 3 "file://$T/foreign"
check_refused 'no URL' 2 'no URL' "$ADMIN" format
check_refused 'malformed URL' 1 . "$ADMIN" format nonsense
check_refused 'unknown option' 2 'frob' "$ADMIN" format --frob "$URL"
check 'help says the default' sh -c "'$ADMIN' format --help | grep -q 'default'"
finish
