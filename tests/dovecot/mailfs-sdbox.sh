#!/bin/sh
# Dovecot end to end on mailfs: sdbox. A test for each format, so that they run side by side.
exec "$(dirname "$0")/mailfs.sh" sdbox
