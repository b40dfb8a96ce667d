#!/usr/bin/env python3
"""Mounts a libfuse program that then runs as another user: USER MNT PROGRAM OPTIONS.

passthrough_ll makes files as the user it runs as, so for Dovecot it must run as the owner of the
mail, while root and Dovecot's processes see the mount (allow_other). Neither fusermount3 without
changes to /etc/fuse.conf nor a root daemon gives that; handing it a mounted /dev/fuse does. The
process becomes the daemon, in the foreground, so its id is the caller's $!.
"""

import ctypes
import os
import pwd
import resource
import sys

MS_NOSUID_NODEV = 2 | 4


def main():
    user, mountpoint, program, options = sys.argv[1:]
    account = pwd.getpwnam(user)
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR)
    os.set_inheritable(device, True)
    data = "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions" % device
    kind = os.path.basename(program)
    if libc.mount(
        kind.encode(), mountpoint.encode(), b"fuse." + kind.encode(), MS_NOSUID_NODEV, data.encode()
    ):
        sys.exit("mount %s: %s" % (mountpoint, os.strerror(ctypes.get_errno())))
    # passthrough_ll holds a descriptor for each file it knows.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.execv(program, [program, "-f", "-o", options, "/dev/fd/%d" % device])


if __name__ == "__main__":
    main()
