#!/bin/sh
# Dovecot end to end on the mailfs of this build tree, remounts, evictions and kills included. Run by
# mailfs-FORMAT.sh, or by hand: mailfs.sh [FORMAT...], default all formats.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${MAILFS:=${top_builddir:-$here/../..}/mailfs}"
: "${MAILFS_ADMIN:=${top_builddir:-$here/../..}/mailfs-admin}"
export MAILFS MAILFS_ADMIN
MANY=${MANY:-500} ROUNDS=${ROUNDS:-2} exec "$here/dovecot-on" mailfs "$@"
