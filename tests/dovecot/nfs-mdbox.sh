#!/bin/sh
# Dovecot end to end on mailfs over NFS: mdbox.
exec "$(dirname "$0")/mailfs-on-store.sh" nfs mdbox
