#!/bin/sh
# faults= makes calls of the backend fail, so that one can see what mailfs does then: it tries again.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

figure() # NAME: of the backend, from the status
{
	"$ADMIN" status --json "$MNT" | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" | head -n 1
}

format_volume
check_refused 'rules that are none' 1 'frob' \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE,faults=frob:error=EIO"
for rule in :2 owner.claim: owner.claim:0 owner.claim:x; do
	check_refused "failpoint=$rule" 1 'is not NAME or NAME:N' "$MAILFS" "$URL" "$MNT" -o "state=$STATE,failpoint=$rule"
done
"$MAILFS" "$URL" "$MNT" -o "state=$STATE,faults=put:key=accounts*:times=3:error=EIO"
mkdir -p "$MNT/user/tmp" "$MNT/user/new"
head -c 300000 /dev/urandom >"$T/mail"
cp "$T/mail" "$MNT/user/tmp/m"
mv "$MNT/user/tmp/m" "$MNT/user/new/m"
check 'what fails is tried again' "$ADMIN" flush --timeout 60s "$MNT"
check 'as often as it failed' test "$(figure retries)" -eq 3
check 'and nothing was given up' test "$(figure gave_up)" -eq 0
unmount_volume

"$MAILFS" "$URL" "$MNT" -o "state=$STATE,faults=get:key=accounts*:corrupt"
check 'evict' "$ADMIN" evict "$MNT"
check_refused 'a corrupt object is no mail' 1 'Input/output error|Bad message' cat "$MNT/user/new/m"
unmount_volume
mount_volume
check 'it is whole where it lies' cmp "$T/mail" "$MNT/user/new/m"
unmount_volume
finish
