#!/bin/sh
# Dovecot on a store of kind s3 that fails and goes away.
exec "$(dirname "$0")/outage-suite" s3
