#!/bin/sh
# A machine with Dovecot is lost, disk and all, on a store of kind nfs.
exec "$(dirname "$0")/loss-suite" nfs
