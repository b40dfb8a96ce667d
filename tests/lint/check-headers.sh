#!/bin/sh
# Every header has a guard named by its path and compiles alone. CC and HEADER_CPPFLAGS come from
# make; by hand, cc and pkg-config do.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

CC=${CC:-cc}
build=${top_builddir:-$tree}
if [ -z "${HEADER_CPPFLAGS:-}" ]; then
	HEADER_CPPFLAGS=$(pkg-config --cflags fuse3 check 2>/dev/null)
fi

# src/util/log.h UTIL_LOG_H, tests/support/x.h TESTS_SUPPORT_X_H
guard_of() {
	printf '%s' "${1#src/}" | tr 'a-z/.-' 'A-Z___'
}

# With MAILFS_ in front, which what stands outside of src/ may leave out.
check_guard() {
	guard=MAILFS_$(guard_of "$2")
	case $2 in
	src/*) ;;
	*) grep -q "^#ifndef $guard\$" "$1/$2" || guard=${guard#MAILFS_} ;;
	esac
	if ! grep -q "^#ifndef $guard\$" "$1/$2" || ! grep -q "^#define $guard\$" "$1/$2"; then
		echo "$2: its guard is not $guard"
		return 1
	fi
}

check_alone() {
	# shellcheck disable=SC2086  # CC and the flags are lists
	if ! printf '#include <config.h>\n#include "%s"\n' "$1/$2" |
		$CC -std=gnu11 -fsyntax-only -I"$build" -I"$1/src" -I"$1/tests/support" \
			$HEADER_CPPFLAGS -x c - >"$scratch/cc.out" 2>&1; then
		echo "$2: does not compile alone"
		cat "$scratch/cc.out"
		return 1
	fi
}

check() {
	failed=0
	for header in $(sources "$1" '*.h'); do
		check_guard "$1" "$header" || failed=1
		check_alone "$1" "$header" || failed=1
	done
	return $failed
}

[ -e "$build/config.h" ] || { echo "no config.h: configure first"; exit 77; }
build=$(cd "$build" && pwd)
tree=$(cd "$tree" && pwd)
mkdir -p "$scratch/t/src/a"
printf '#ifndef MAILFS_A_B_H\n#define MAILFS_A_B_H\nint f(void);\n#endif\n' >"$scratch/t/src/a/b.h"
must_pass 'a good header' check "$scratch/t"
printf '#ifndef MAILFS_B_H\n#define MAILFS_B_H\nint f(void);\n#endif\n' >"$scratch/t/src/a/b.h"
must_fail 'a wrong guard' check "$scratch/t"
printf '#ifndef MAILFS_A_B_H\n#define MAILFS_A_B_H\nuint64_t f(void);\n#endif\n' >"$scratch/t/src/a/b.h"
must_fail 'a header that needs another' check "$scratch/t"

check "$tree"
