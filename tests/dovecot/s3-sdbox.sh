#!/bin/sh
# Dovecot end to end on mailfs over S3: sdbox.
exec "$(dirname "$0")/mailfs-on-store.sh" s3 sdbox
