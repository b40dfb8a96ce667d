#!/bin/sh
# mailfs-admin dump shows each kind of object, and says what is wrong with a damaged one.
# shellcheck source=tests/mount/common.sh
. "$(dirname "$0")/common.sh"

corpus=$here/../fuzz/corpus/segment # objects as a node would write them
journal=journal/01020300-0000-0000-0000-000000000000/0000000000000002
checkpoint=accounts/67/0000001a/checkpoint/0000000000000005

# dump_has PATTERN KEY [OPTION...]: the dump succeeds and has the text.
dump_has() {
	pattern=$1
	key=$2
	shift 2
	"$ADMIN" dump "$@" "$URL" "$key" >"$T/dump" && grep -q -e "$pattern" "$T/dump"
}

# json_holds KEY [OPTION...]: what is printed is JSON, where there is a program that knows.
json_holds() {
	command -v python3 >/dev/null || return 0
	key=$1
	shift
	"$ADMIN" dump "$@" "$URL" "$key" 2>/dev/null | python3 -m json.tool
}

# shown PATTERN: the last dump, perhaps one that was refused, had this text.
shown() {
	grep -q -e "$1" "$T/dump"
}

# dump_refused WHAT PATTERN KEY [OPTION...]: the status is 1 and the message matches.
dump_refused() {
	what=$1
	pattern=$2
	key=$3
	shift 3
	check_refused "$what" 1 "$pattern" "$ADMIN" dump "$@" "$URL" "$key"
	cp "$T/check.out" "$T/dump"
}

# damage KEY OFFSET: changes one byte of an object.
damage() {
	printf '\377' | dd of="$STORE/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

format_volume
mount_volume
mkdir -p "$MNT/user/Maildir/tmp" "$MNT/user/Maildir/new"
seq 30000 >"$T/mail"
cp "$T/mail" "$MNT/user/Maildir/tmp/m1"
mv "$MNT/user/Maildir/tmp/m1" "$MNT/user/Maildir/new/m1"
for i in 2 3; do # small ones
	seq ${i}000 >"$MNT/user/Maildir/tmp/m$i"
	mv "$MNT/user/Maildir/tmp/m$i" "$MNT/user/Maildir/new/m$i"
done
"$ADMIN" flush "$MNT" >/dev/null
unmount_volume
body=$(cd "$STORE" && find accounts -path '*/body/*' -type f | head -n 1)

check 'volume.json as it is' sh -c "'$ADMIN' dump '$URL' volume.json | cmp - '$STORE/volume.json'"
check 'a body was put' test -n "$body"
check 'a body' dump_has '"encoding": "zstd"' "$body"
check 'nothing is wrong with it' grep -q '"problems": \[\]' "$T/dump"
pack=$(cd "$STORE" && find accounts -path '*/pack/*' -type f | head -n 1)
check 'a pack was put' test -n "$pack"
check 'a pack' dump_has '"n_bodies": 2' "$pack"
check 'nothing is wrong with the pack' grep -q '"problems": \[\]' "$T/dump"
check 'its bodies' dump_has '"content_bytes": 8893' "$pack" --records
check 'its content' sh -c "'$ADMIN' dump --content '$URL' '$body' | cmp - '$T/mail'"

mkdir -p "$STORE/$journal" "$STORE/${checkpoint%/*}"
cp "$corpus/with-part" "$STORE/$journal/0000000000000007"
cp "$corpus/part" "$STORE/$journal/0000000000000007.0001"
cp "$corpus/checkpoint" "$STORE/$checkpoint"
check 'a segment' dump_has '"type": "changes"' $journal/0000000000000007
check 'sections here are checked' grep -q '"part": 0,.*"good": true' "$T/dump"
check 'sections in parts are not' sh -c "! grep '\"part\": 1,' '$T/dump' | grep -q good"
check 'its records' dump_has '"type": "name"' $journal/0000000000000007 --records
check 'a part' dump_has '"object": "part"' $journal/0000000000000007.0001
check 'a checkpoint' dump_has '"account": 26' $checkpoint --json
check 'removals' dump_has '"operation": "remove"' $checkpoint --records
for key in "$body" "$pack" $checkpoint $journal/0000000000000007 $journal/0000000000000007.0001; do
	check "JSON: $key" json_holds "$key"
done
check 'JSON with records' json_holds $checkpoint --records
cp "$corpus/checkpoint-of-a-mail" "$STORE/${checkpoint%5}6"
check 'an account with one mail' dump_has '"records"' ${checkpoint%5}6 --records
check 'its directory' shown '"inode": 1, "value": {"mode": "040700",'
check 'its mail' shown '"inode": 2, "value": {"mode": "100600".*"mtime": "2026-01-01T00:00:00.123Z"'
check 'its name' shown '"directory": 1, "name": "u.1", "value": {"inode": 28587302322178,'
check 'a name that is no UTF-8' shown '"name_hex": "636166e9"'
check 'a symlink' shown '"type": "symlink", "inode": 3, "value": "../u1"'
check 'an xattr' shown '"name": "user.mark", "value_hex": "0102"'
check 'an extent' shown '"offset_bytes": 0, "value": {"size_bytes": 5, "object": "01020304-'
check 'a block' shown '"table": "data".*"block": 0, "value_hex": "68656c6c6f"'
check 'the allocation' shown '"type": "account", "value": {"next_inode": 1025,'
check 'JSON with records of a mail' json_holds ${checkpoint%5}6 --records
"$top_builddir/tests/mount/make_segment" 1000 >"$STORE/$journal/0000000000000007"
check 'a directory larger than the first read' dump_has '"account": 999,.*"good": true' \
	$journal/0000000000000007
dd if="$STORE/$journal/0000000000000007" of="$T/cut" bs=70000 count=1 2>/dev/null
cp "$T/cut" "$STORE/$journal/0000000000000007"
dump_refused 'one that ends in it' 'shorter than its directory' $journal/0000000000000007
cp "$corpus/seal" "$STORE/$journal/0000000000000007"
check 'a seal' dump_has '"taker": "09090000' $journal/0000000000000007

# ---- damaged, misplaced, missing
damage "$body" 100
dump_refused 'a damaged body' "$body: the stored content's checksum" "$body"
check 'its header is shown' shown '"content_bytes": 168894'
check 'with what is wrong' shown "the stored content's checksum"
dump_refused 'its content is not' 'checksum' "$body" --content
check 'nothing of it' test ! -s "$T/dump"
damage "$pack" 400
dump_refused 'a damaged pack' 'the checksum of body 0 does not fit' "$pack"
check 'its index is shown' shown '"n_bodies": 2'
damage "$pack" 100
dump_refused 'a damaged index' "the index's checksum does not fit" "$pack"
damage $checkpoint 300
dump_refused 'a damaged section' 'section 0, of account 26: the stored' $checkpoint --records
check 'it is not shown' shown '"good": false'
check 'the other section is' shown '"good": true'
check 'JSON of a damaged object' json_holds $checkpoint --records
damage $checkpoint 150
dump_refused 'a damaged directory' "the directory's checksum" $checkpoint
check 'the header is shown' shown '"number": "0000000000000005"'
damage $checkpoint 60
dump_refused 'a damaged header' "the header's checksum" $checkpoint
check 'JSON of a damaged header' json_holds $checkpoint
dd if="$corpus/changes" of="$STORE/$journal/0000000000000007" bs=200 count=1 2>/dev/null
dump_refused 'a segment that is cut' 'shorter than its directory' $journal/0000000000000007
: >"$STORE/$journal/0000000000000007"
dump_refused 'an empty one' 'shorter than its header' $journal/0000000000000007
{ cat "$corpus/changes" && echo; } >"$STORE/$journal/0000000000000007"
dump_refused 'one that is too long' 'it has 673 bytes and should have 672' \
	$journal/0000000000000007
cp "$corpus/changes" "$STORE/$journal/0000000000000008"
dump_refused 'one in the wrong place' 'the position is not that of the key' \
	$journal/0000000000000008
echo '{}' >"$STORE/volume.json"
dump_refused 'volume.json that is none' '"mailfs" must be' volume.json
dump_refused 'no such object' "there is no '$journal/0000000000000009' at '$URL'" \
	$journal/0000000000000009
check_refused 'no such store' 1 . "$ADMIN" dump "file://$T/missing" volume.json

# ---- wrong use
check_refused 'a key that is none' 2 "'accounts/00/0000001a/checkpoint/5' is no key" \
	"$ADMIN" dump "$URL" accounts/00/0000001a/checkpoint/5
check_refused 'no KEY' 2 'no KEY' "$ADMIN" dump "$URL"
check_refused 'no URL' 2 'no URL' "$ADMIN" dump
check_refused 'a word too many' 2 "'more'" "$ADMIN" dump "$URL" volume.json more
check_refused 'unknown flag' 2 "'--frob'" "$ADMIN" dump --frob "$URL" volume.json
check_refused '--content of no body' 2 'for bodies' "$ADMIN" dump --content "$URL" volume.json
check_refused '--records of none' 2 'for packs, segments' "$ADMIN" dump --records "$URL" "$body"
check_refused 'unknown option of the backend' 1 'frob' "$ADMIN" dump -o frob=1 "$URL" volume.json
check 'help' sh -c "'$ADMIN' dump --help | grep -q -e --records"
finish
