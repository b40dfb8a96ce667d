#!/bin/sh
# Dovecot on a store of kind nfs that fails and goes away.
exec "$(dirname "$0")/outage-suite" nfs
