#!/bin/sh
# A machine with Dovecot is lost, disk and all, on a store of kind s3.
exec "$(dirname "$0")/loss-suite" s3
