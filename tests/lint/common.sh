# common.sh: what the lint tests share; sourced. A lint test takes the source tree as its first
# argument (default: $top_srcdir, else the tree it stands in), proves on planted violations that it
# can fail, then checks the tree. Exit 0 clean, 1 violations, 77 a tool is missing.
# shellcheck shell=sh

set -u
LC_ALL=C
export LC_ALL

lint_dir=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC2034  # the tests use it
tree=${1:-${top_srcdir:-$lint_dir/../..}}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/mailfs-lint.XXXXXX") || exit 99
trap 'rm -rf "$scratch"' EXIT
trap 'exit 99' HUP INT TERM

# sources TREE PATTERN...: the C files of the tree whose names match, relative to it.
sources() {
	(
		cd "$1" || exit 99
		shift
		for pattern in "$@"; do
			find src tests bench -type f -name "$pattern" 2>/dev/null
		done | sort
	)
}

# must_fail NAME COMMAND...: the planted violation NAME has to be found.
must_fail() {
	name=$1
	shift
	if "$@" >"$scratch/planted.out" 2>&1; then
		echo "lint: does not notice: $name" >&2
		exit 99
	fi
}

# must_pass NAME COMMAND...: and what is right has to be let through.
must_pass() {
	name=$1
	shift
	if ! "$@" >"$scratch/planted.out" 2>&1; then
		echo "lint: false alarm: $name" >&2
		cat "$scratch/planted.out" >&2
		exit 99
	fi
}
