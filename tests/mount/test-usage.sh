#!/bin/sh
# Wrong use of mailfs: status 2 and a message that names the mistake. Nothing is mounted.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

check_refused 'nothing given' 2 'no URL' "$MAILFS"
check_refused 'no mountpoint' 2 'no mountpoint' "$MAILFS" "$URL"
check_refused 'a word too many' 2 "'more'" "$MAILFS" "$URL" "$MNT" more
check_refused 'unknown flag' 2 "'-x'" "$MAILFS" "$URL" "$MNT" -x
check_refused 'unknown option' 2 "unknown mount option 'cachesize=1G'.*mailfs -h" \
	"$MAILFS" "$URL" "$MNT" -o "state=$STATE,cachesize=1G"
check_refused 'bad size' 2 'cache_size=SIZE' "$MAILFS" "$URL" "$MNT" -o cache_size=big
check_refused 'bad duration' 2 'commit_interval=DURATION' \
	"$MAILFS" "$URL" "$MNT" -o commit_interval=soon
check_refused 'bad ack' 2 'local.remote' "$MAILFS" "$URL" "$MNT" -o ack=maybe
check_refused 'no value' 2 'state=DIR' "$MAILFS" "$URL" "$MNT" -o state
check_refused 'remount' 2 'unmount it' "$MAILFS" "$URL" "$MNT" -o remount
check 'help is there' sh -c "'$MAILFS' -h | grep -q cache_size="
check 'version is there' sh -c "'$MAILFS' --version | grep -q '^mailfs [0-9]'"

for url in nothing s4://x file:relative file://host/x '' 'file:///x y://'; do
	case $url in
	'') expected=2 ;;
	*) expected=1 ;;
	esac
	check_refused "malformed URL '$url'" $expected . "$MAILFS" "$url" "$MNT" -o "state=$STATE"
done
check 'no state directory was made' test ! -e "$STATE"
check 'nothing is mounted' not is_mounted "$MNT"
finish
