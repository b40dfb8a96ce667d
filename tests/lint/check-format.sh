#!/bin/sh
# clang-format decides how C looks (.clang-format of the tree).
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }

check() {
	(
		cd "$1" || exit 99
		sources . '*.[ch]' | xargs clang-format --style=file --dry-run -Werror || exit 1
	)
}

mkdir -p "$scratch/t/src"
cp "$tree/.clang-format" "$scratch/t/"
printf 'int f(void)\n{\n\treturn 0;\n}\n' >"$scratch/t/src/x.c"
must_pass 'a tidy file' check "$scratch/t"
printf 'int f(void) { return 0; }\n' >"$scratch/t/src/x.c"
must_fail 'an untidy file' check "$scratch/t"

check "$tree"
