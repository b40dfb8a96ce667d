#!/bin/sh
# Dovecot end to end on mailfs over NFS: sdbox.
exec "$(dirname "$0")/mailfs-on-store.sh" nfs sdbox
