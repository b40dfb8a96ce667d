#!/bin/sh
# mailfs dies at each failpoint, with ack=remote.
exec "$(dirname "$0")/failpoints-suite" remote
