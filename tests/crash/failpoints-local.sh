#!/bin/sh
# mailfs dies at each failpoint, with ack=local.
exec "$(dirname "$0")/failpoints-suite" local
