#!/bin/sh
# Who may include whom: src/LAYERS against every include under src/, and the table against cycles.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"

check() {
	sources "$1" '*.[ch]' | grep '^src/' |
		awk -v tree="$1" -f "$lint_dir/layers.awk"
}

# plant TABLE LINE: a small tree with modules low, high and the given include in high/x.c.
plant() {
	rm -rf "$scratch/t"
	mkdir -p "$scratch/t/src/low" "$scratch/t/src/high"
	printf '%b' "$1" >"$scratch/t/src/LAYERS"
	: >"$scratch/t/src/low/a.h"
	: >"$scratch/t/src/high/b.h"
	printf '#include <config.h>\n%s\n' "$2" >"$scratch/t/src/high/x.c"
}

plant 'low:\nhigh: low\nexternal lib/: high\n' '#include "low/a.h"'
must_pass 'an allowed include' check "$scratch/t"
plant 'low:\nhigh: low\nexternal lib/: high\n' '#include <lib/x.h>'
must_pass 'an allowed external header' check "$scratch/t"
plant 'low:\nhigh:\nhigh/x: low\n' '#include "low/a.h"'
must_pass 'a file with a rule of its own' check "$scratch/t"
plant 'low:\nhigh:\n' '#include "low/a.h"'
must_fail 'a forbidden include' check "$scratch/t"
plant 'low:\nhigh: low\nexternal lib/: low\n' '#include <lib/x.h>'
must_fail 'a forbidden external header' check "$scratch/t"
plant 'low:\nhigh: low\n' '#include "b.h"'
must_fail 'an include without its module' check "$scratch/t"
plant 'low:\nhigh: low\n' '#include "low/missing.h"'
must_fail 'a missing header' check "$scratch/t"
plant 'low: high\nhigh: low\n' '#include "low/a.h"'
must_fail 'a cycle' check "$scratch/t"
plant 'low:\n' ''
must_fail 'a module without a rule' check "$scratch/t"
plant 'low:\nhigh: low\n' ''
printf '#include <stdio.h>\n' >"$scratch/t/src/low/x.c"
must_fail 'no config.h' check "$scratch/t"

check "$tree"
