"""The program of a container, run once more as the container would run it (`layouts.inside`)."""

from __future__ import annotations

import errno
import inspect
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from perfhunt.profilers.cpython.layouts import inside
from perfhunt.target.proc.files import link
from perfhunt.target.proc.namespaces import (
    Namespace,
    inner_ids,
    lives_apart,
    open_within,
    shares_files,
)
from perfhunt.target.proc.tree import children

# What keeps a container's program from everything outside it.
_ENTERED = (Namespace.IPC, Namespace.NETWORK, Namespace.PIDS, Namespace.MOUNTS)


@dataclass(frozen=True, slots=True)
class Container:
    """The files that a process runs on, where they are not ours; two are equal that have the same.
    `program` is the device and the number of what it runs; `pid` is one of its processes.
    """

    mounts: str
    root: str
    program: tuple[int, int]
    pid: int = field(compare=False)

    @staticmethod
    def of(pid: int) -> Container | None:
        """That of a process; None where it shares our files. Raises OSError."""
        if shares_files(pid):
            return None
        at = os.stat(f"/proc/{pid}/exe")
        return Container(link(pid, "ns/mnt"), link(pid, "root"), (at.st_dev, at.st_ino), pid)

    def start(
        self, words: Sequence[str], file: str, owner: tuple[int, int], libraries: str
    ) -> subprocess.Popen[bytes]:
        """A program of the container with these words, its own name first, as the only child of
        what is returned. `file` is its path there, or that of /proc/PID/exe; `owner` a uid and a
        gid of ours. Raises OSError.
        """
        kinds = [kind for kind in _ENTERED if lives_apart(self.pid, kind)]
        if lives_apart(self.pid, Namespace.USERS):
            # Whoever made a user namespace enters the others from within it; root cannot go back.
            kinds.insert(len(kinds) if os.geteuid() == 0 else 0, Namespace.USERS)
        ids = inner_ids(self.pid, owner) if os.geteuid() == 0 else (-1, -1)
        with ExitStack() as held:
            namespaces = [self._open(f"ns/{kind}", held) for kind in kinds]
            root, program = self._open("root", held), self._program(file)
            held.callback(os.close, program)
            told = (",".join(map(str, namespaces)), root, program, *ids, libraries)
            launcher = ("-I", "-S", "-c", inspect.getsource(inside), *map(str, told))
            return subprocess.Popen(
                [sys.executable, *launcher, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
                pass_fds=(*namespaces, root, program),
            )

    def _program(self, file: str) -> int:
        if file == f"/proc/{self.pid}/exe":
            return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        return open_within(self.pid, file)

    def _open(self, name: str, held: ExitStack) -> int:
        descriptor = os.open(f"/proc/{self.pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        held.callback(os.close, descriptor)
        return descriptor


def only_child(pid: int) -> int:
    """The process that `Container.start` started below what it returned. Raises OSError."""
    below = children(pid)
    if not below:
        raise ProcessLookupError(errno.ESRCH, "it has ended")
    return below[0]
