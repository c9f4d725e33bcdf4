"""A container made by hand: a process in namespaces of its own, on a small root tree that holds an
interpreter and a service and nothing else: no shell, no tools, nothing that may be written to.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVICES = Path(__file__).parent / "services"
READY_WITHIN = 20.0
# As a container has them; a user namespace comes with `users`.
_APART = ("--pid", "--fork", "--mount", "--net", "--uts", "--ipc", "--cgroup", "--kill-child")
_PYTHON, _APP = "/opt/python", "/app"
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_UMOUNT_DETACH = 2
# Where shared libraries lie, of which the interpreter needs the C library.
_LIBRARIES = ("lib", "lib64", "usr/lib", "usr/lib64")


@dataclass(frozen=True)
class Box:
    """A service that is ready: the number we know it by, and the port it has in its own network."""

    pid: int
    port: int


@contextmanager
def box(
    script: Path, *arguments: str, unshared: Sequence[str] = _APART, users: bool = False
) -> Iterator[Box]:
    """The script running as process 1 of a container, ended with the block. Skips, with the reason,
    where such namespaces may not be made.
    """
    apart = [*unshared, *(["--user", "--map-root-user"] if users else [])]
    probe = subprocess.run(["unshare", *apart, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no namespaces of its own: {probe.stderr.strip()}")
    with tempfile.TemporaryDirectory(prefix="perfhunt-box-") as root:
        words = [sys.executable, __file__, root, str(script.resolve()), *arguments]
        outer = subprocess.Popen(
            ["unshare", *apart, *words], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert outer.stdout is not None
        try:
            readable, _, _ = select.select([outer.stdout], [], [], READY_WITHIN)
            word, port = (outer.stdout.readline() if readable else "silent 0").split()
            assert word == "ready", word
            tasks = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
            (inner,) = map(int, tasks)
            yield Box(inner, int(port))
        finally:
            os.killpg(outer.pid, signal.SIGKILL)
            outer.wait()
            outer.stdout.close()


def _enter(root: Path, script: Path, arguments: Sequence[str]) -> None:
    """Within the new namespaces: build the tree, make it the root, become the service."""
    _mount("--make-rprivate", "/")
    _mount("--bind", str(root), str(root))
    for name in ("opt/python", "app", "proc", "old"):
        (root / name).mkdir(parents=True)
    for name in _LIBRARIES:
        at = Path("/") / name
        if at.is_symlink():
            (root / name).symlink_to(os.readlink(at))
        elif at.is_dir():
            (root / name).mkdir(parents=True)
            _mount("--bind", str(at), str(root / name))
    _mount("--rbind", sys.base_prefix, f"{root}{_PYTHON}")
    _mount("--bind", str(script.parent), f"{root}{_APP}")
    _mount("-t", "proc", "proc", f"{root}/proc")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    _mount("-o", "remount,bind,ro", str(root))
    libc = ctypes.CDLL(None, use_errno=True)
    os.chdir(root)
    if libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"old") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    if libc.umount2(b"/old", _UMOUNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), "umount")
    program = f"{_PYTHON}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"LD_LIBRARY_PATH": f"{_PYTHON}/lib", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(program, [program, "-u", f"{_APP}/{script.name}", *arguments], environment)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    _enter(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
