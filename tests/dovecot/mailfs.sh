#!/bin/sh
# Dovecot end to end on the mailfs of this build tree: all formats, remounts, evictions, kills.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${MAILFS:=${top_builddir:-$here/../..}/mailfs}"
: "${MAILFS_ADMIN:=${top_builddir:-$here/../..}/mailfs-admin}"
export MAILFS MAILFS_ADMIN
MANY=${MANY:-500} ROUNDS=${ROUNDS:-2} exec "$here/dovecot-on" mailfs
