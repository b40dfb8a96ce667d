#!/bin/sh
# Dovecot end to end on mailfs over NFS: maildir.
exec "$(dirname "$0")/mailfs-on-store.sh" nfs maildir
