#!/bin/sh
# Dovecot end to end on mailfs over S3: mdbox.
exec "$(dirname "$0")/mailfs-on-store.sh" s3 mdbox
