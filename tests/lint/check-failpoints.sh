#!/bin/sh
# Every failpoint of the sources is in tests/crash/failpoints.list, and the other way round. What a
# name has in the sources is a string in the call itself, so that it can be found.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

# Calls over the whole tree; the module itself defines it.
calls() {
	(
		cd "$1" || exit 99
		sources "$1" '*.c' | grep '^src/' | grep -v '^src/util/failpoint\.c$' |
			xargs grep -n -H '\<failpoint(' /dev/null
	)
}

# Of "a ? b : c" both.
names() {
	calls "$1" | sed 's/.*\<failpoint(//' | grep -o '"[^"]*"' | tr -d '"' | sort -u
}

listed() {
	sed -e '/^#/d' -e '/^$/d' "$1/tests/crash/failpoints.list" | cut -d ' ' -f 1 | sort -u
}

check() {
	failed=0
	names "$1" >"$scratch/names"
	listed "$1" >"$scratch/listed"
	if calls "$1" | grep -v '\<failpoint(\([^"]* ? "[^"]*" : \)\{0,1\}"[^"]*")'; then
		echo 'a failpoint whose name is no string'
		failed=1
	fi
	if grep -v '^[a-z_]*\.[a-z_]*$' "$scratch/names"; then
		echo 'a failpoint is not named MODULE.STEP'
		failed=1
	fi
	sed -n 's/^\([a-z_.]*\) elsewhere \(.*\)$/\1 \2/p' "$1/tests/crash/failpoints.list" \
		>"$scratch/elsewhere"
	while read -r name file; do
		grep -q "\"$name[\":]" "$1/$file" || {
			echo "$name: not in $file"
			failed=1
		}
	done <"$scratch/elsewhere"
	comm -23 "$scratch/names" "$scratch/listed" | sed 's/$/: in no test (failpoints.list)/' >"$scratch/out"
	comm -13 "$scratch/names" "$scratch/listed" | sed 's/$/: listed, but not in the sources/' >>"$scratch/out"
	cat "$scratch/out"
	[ ! -s "$scratch/out" ] && [ $failed -eq 0 ]
}

tree=$(cd "$tree" && pwd)
mkdir -p "$scratch/t/src/a" "$scratch/t/tests/crash"
echo '	failpoint("a.b");' >"$scratch/t/src/a/x.c"
printf '# what\na.b kept\n' >"$scratch/t/tests/crash/failpoints.list"
must_pass 'one that is tested' check "$scratch/t"
echo '	failpoint(is_c ? "a.b" : "a.c");' >>"$scratch/t/src/a/x.c"
must_fail 'one that is not tested' check "$scratch/t"
printf 'a.b kept\na.c kept\na.d empty 2\n' >"$scratch/t/tests/crash/failpoints.list"
must_fail 'one that is no more' check "$scratch/t"
printf '	failpoint("a.b");\n	failpoint(name);\n' >"$scratch/t/src/a/x.c"
echo 'a.b kept' >"$scratch/t/tests/crash/failpoints.list"
must_fail 'a name that cannot be found' check "$scratch/t"

check "$tree"
