"""The py-spy program: where it is, which version, and what it means by what it prints."""

from __future__ import annotations

import shutil
import sys
from functools import cache
from pathlib import Path

from perfhunt.errors import AttachFailed
from perfhunt.target.host.environment import printed
from perfhunt.target.proc.files import text
from perfhunt.target.proc.process import stat, status_field
from perfhunt.target.runtime import python_image, runtime_of

NAME = "py-spy"


@cache
def binary() -> str:
    """The py-spy to run: the one installed beside this interpreter, else that on PATH, else ""."""
    beside = Path(sys.executable).with_name(NAME)
    return str(beside) if beside.exists() else shutil.which(NAME) or ""


@cache
def version() -> str:
    """Its version, `0.4.3`, or ""."""
    words = printed([binary(), "--version"]).split() if binary() else []
    return words[1] if len(words) == 2 else ""


def unusable() -> str:
    """Why it cannot be run here, with the command that mends it; "" when it can."""
    if not binary():
        return f"{NAME} is not installed: pip install {NAME}"
    return "" if version() else f"{binary()} does not run: pip install --force-reinstall {NAME}"


def unusable_on(pid: int) -> str:
    """Why it cannot be used on a process, as `unusable`; "" when nothing speaks against it."""
    if why := unusable():
        return why
    image = python_image(pid)
    if image is not None and image.replaced and not image.program:
        return (
            f"{NAME} opens {image.file} by its path, and that file was replaced since pid {pid}"
            " began: start the service again"
        )
    runtime, series = runtime_of(pid)
    if runtime == "cpython" and series.endswith("t"):
        return f"{NAME} does not read a Python without a GIL, such as the {series} of pid {pid}"
    return ""


def _permission_hint(pid: int) -> str:
    """What to do when py-spy may not read a process."""
    groups = text(f"/proc/{pid}/cgroup")
    container = "/docker" in groups or "/kubepods" in groups
    inside = " In a container: --cap-add SYS_PTRACE, or attach from the host." if container else ""
    return (
        f"Run as root (sudo perfhunt ... --pid {pid}), or as the owner"
        f" with kernel.yama.ptrace_scope=0 (sudo sysctl kernel.yama.ptrace_scope=0).{inside}"
    )


def failure(pid: int, output: str, code: int) -> AttachFailed:
    """What py-spy said about a capture that gave nothing, as a sentence with the way out."""
    error = next((line.strip() for line in output.splitlines() if line.startswith("Error:")), "")
    if stat(pid) is None:
        return AttachFailed(
            f"py-spy found no process {pid}", "Is the service still running? Try: perfhunt doctor"
        )
    if "ermission" in output or "Operation not permitted" in output:
        uid = status_field(pid, "Uid").split()
        owner = f" (owned by uid {uid[0]})" if uid else ""
        return AttachFailed(
            f"py-spy may not read the memory of pid {pid}{owner}", _permission_hint(pid)
        )
    if "Unsupported version" in output or "Failed to find python version" in output:
        return AttachFailed(
            f"py-spy {version()} does not know the Python of pid {pid}: {error}",
            "Is it Python at all? If so: pip install --upgrade py-spy",
        )
    return AttachFailed(
        f"py-spy gave no profile of pid {pid} (exit code {code}): {error or 'it said nothing'}"
    )
