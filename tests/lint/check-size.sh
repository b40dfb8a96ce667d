#!/bin/sh
# Files of at most 600 lines, functions of at most 100 (aim at 300 and 30).
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

check() {
	(
		cd "$1" || exit 99
		sources . '*.[ch]' | xargs awk -v max_file=600 -v max_function=100 -f "$lint_dir/size.awk"
	)
}

# plant LINES: a file whose one function has that many lines.
plant() {
	mkdir -p "$scratch/t/src"
	{
		printf 'static int f(int a,\n\tint b)\n{\n'
		awk -v n="$1" 'BEGIN { for (i = 4; i < n; i++) print "\ta++;" }'
		printf '}\n'
	} >"$scratch/t/src/x.c"
}

plant 100
must_pass 'a function of 100 lines' check "$scratch/t"
plant 101
must_fail 'a function of 101 lines' check "$scratch/t"
awk 'BEGIN { for (i = 0; i < 600; i++) print "/* */" }' >"$scratch/t/src/x.c"
must_pass 'a file of 600 lines' check "$scratch/t"
echo >>"$scratch/t/src/x.c"
must_fail 'a file of 601 lines' check "$scratch/t"

check "$tree"
