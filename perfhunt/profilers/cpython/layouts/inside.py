"""Runs the program of a container as that container would: in its namespaces, on its files, as its
user, and with no capability at all, for the program is whatever the container made of it.

To be run by itself, since whoever has threads may not enter all namespaces. Its arguments:
descriptors of the namespaces in the order to enter them ("5,6"; "" for none), those of the root
directory and of the program, a uid and a gid as the container numbers them (-1: those there are),
LD_LIBRARY_PATH ("" for none), then the program's own words. The program is its only child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

# linux/prctl.h, linux/securebits.h: without these bits a root's program gets capabilities back.
_DIE_WITH_PARENT, _DROP_BOUND, _SECURE_BITS, _NO_NEW_PRIVILEGES = 1, 24, 28, 38
_NO_ROOT_AND_LOCKED = 0x3
_MOST_CAPABILITIES = 64  # linux/capability.h: they are bits of two words
_libc = ctypes.CDLL(None, use_errno=True)


def main(namespaces: str, root: int, program: int, user: tuple[int, int], libraries: str) -> None:
    """Returns once the program has ended. Raises OSError where that is not allowed."""
    for namespace in filter(None, namespaces.split(",")):
        if _libc.setns(int(namespace), 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")
    # A pid namespace that was entered is that of children.
    if child := os.fork():
        os.waitpid(child, 0)
        return
    for capability in range(_MOST_CAPABILITIES):
        _libc.prctl(_DROP_BOUND, capability, 0, 0, 0)
    _libc.prctl(_SECURE_BITS, _NO_ROOT_AND_LOCKED, 0, 0, 0)
    uid, gid = user
    if uid >= 0:
        with suppress(PermissionError):  # A user namespace may forbid groups.
            os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    os.execve(program, sys.argv[7:], {"LD_LIBRARY_PATH": libraries} if libraries else {})


if __name__ == "__main__":
    main(
        sys.argv[1],
        int(sys.argv[2]),
        int(sys.argv[3]),
        (int(sys.argv[4]), int(sys.argv[5])),
        sys.argv[6],
    )
