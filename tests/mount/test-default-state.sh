#!/bin/sh
# Without state=, the state directory is /var/lib/mailfs/VOLUME-UUID.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

mount -t tmpfs tmpfs /var/lib || skip 'cannot hide /var/lib in this namespace'
uuid=$("$ADMIN" format --json "$URL" | sed -n 's/.*"volume_uuid": "\(.*\)".*/\1/p')
check 'format gives the UUID' test -n "$uuid"
check 'mount' "$MAILFS" "$URL" "$MNT"
STATE=/var/lib/mailfs/$uuid
check 'the state is there' test -e "$STATE/state.json"
check 'and private' test "$(stat -c %a "$STATE")" = 700
check 'unmount' unmount_volume
finish
