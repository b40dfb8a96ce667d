#!/bin/sh
# A machine with Dovecot is lost, disk and all, on a store of kind file.
exec "$(dirname "$0")/loss-suite" file
