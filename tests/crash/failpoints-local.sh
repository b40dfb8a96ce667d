#!/bin/sh
# mailfs dies at each failpoint, with ack=local; FAILPOINTS='PATTERN...' for some of them.
set -f
# shellcheck disable=SC2086 # patterns, of which each is a word
exec "$(dirname "$0")/failpoints-suite" local ${FAILPOINTS:-}
