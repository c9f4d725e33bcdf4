"""What the numbers depend on besides the code: host, interpreter, tools, installed distributions.
Read-only.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from perfhunt.model.redact import Mark
from perfhunt.model.run import Environment, TargetProcess
from perfhunt.model.units import Seconds
from perfhunt.target.code.compiled import code_sha256
from perfhunt.target.code.installed import versions_installed
from perfhunt.target.proc.files import read, text
from perfhunt.target.proc.process import MEMORY
from perfhunt.version import __version__

# These change from shell to shell, or from worker to worker, without changing what the service
# does.
_VOLATILE = re.compile(
    rb"(PWD|OLDPWD|SHLVL|_|TERM\w*|COLUMNS|LINES|SSH_\w+|WINDOWID|DISPLAY|XDG_\w+"
    rb"|NODE_UNIQUE_ID|SERVER_SOFTWARE|PORT)="
)
_VARIABLE = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{0,63}")
# What the load and the statistics are made with.
_PACKAGES = ("locust", "gevent", "httptools", "numpy", "scipy")
_DIGITS = 4  # hexadecimal ones, of the mark of a variable: enough to tell which one changed
ANSWER: Seconds = 10.0  # for a program that says its version, on a slow disk


def environment(target: TargetProcess, profilers: Mapping[str, str], mark: Mark) -> Environment:
    """The environment of a run as it is now, but for the code's revision; `profilers` are the
    versions of those there are, and `mark` stands for the variables, which are not kept.
    """
    lead = next((process for process in target.processes if process.pid in target.workers), None)
    return Environment(
        host=platform.node(),
        kernel=platform.release(),
        cpu_model=_cpu_model(),
        cores=os.cpu_count() or 0,
        memory=MEMORY,
        virtualised=_virtualised(),
        load_average=round(os.getloadavg()[0], 2),
        perfhunt=__version__,
        python=platform.python_version(),
        tools=_tool_versions(profilers),
        code_sha256=code_sha256(target),
        distributions=versions_installed(lead) if lead else {},
        env_sha256=_env_hash(lead.pid, mark) if lead else "",
        variables=_env_digests(lead.pid, mark) if lead else {},
    )


def _cpu_model() -> str:
    """The processor's name as the kernel prints it, else the architecture."""
    match = re.search(r"^model name\s*:\s*(.+)$", text("/proc/cpuinfo"), re.MULTILINE)
    return match[1].strip() if match else platform.machine()


def _virtualised() -> str:
    """What lies between us and the metal: `container`, `virtual machine (product name)`, both, or
    "".
    """
    layers = []
    groups = text("/proc/1/cgroup")
    if (
        Path("/.dockerenv").exists()
        or Path("/run/.containerenv").exists()
        or re.search("docker|kubepods|libpod|lxc", groups)
    ):
        layers.append("container")
    if re.search(r"^flags\s*:.*\bhypervisor\b", text("/proc/cpuinfo"), re.MULTILINE):
        product = text("/sys/class/dmi/id/product_name")
        layers.append(f"virtual machine ({product})" if product else "virtual machine")
    return " in a ".join(layers)


def _tool_versions(profilers: Mapping[str, str]) -> dict[str, str]:
    """Name to version of the tools a run may lean on; those that are absent are left out."""
    versions = {name: version for name in _PACKAGES if (version := package_version(name))}
    versions.update(profilers)
    return versions


def package_version(name: str) -> str:
    """The installed version of a Python package, without importing it; "" when it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _env_hash(pid: int, mark: Mark) -> str:
    """A mark of the sorted environment of a process, without what changes from shell to shell; ""
    when unreadable.
    """
    kept = _variables(pid)
    return "" if kept is None else mark(_text(b"\x00".join(kept)) or "none")


def _env_digests(pid: int, mark: Mark) -> dict[str, str]:
    """Name -> the first hex digits of the mark of `name=value`, of the same variables. What is no
    name of a variable is text that a program wrote over its environment, and is not kept.
    """
    pairs = _variables(pid) or []
    return {
        _text(name): mark(_text(pair)).rpartition(":")[2][:_DIGITS]
        for pair in pairs
        if _VARIABLE.fullmatch(name := pair.partition(b"=")[0]) and b"=" in pair
    }


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _variables(pid: int) -> list[bytes] | None:
    try:
        pairs = read(f"/proc/{pid}/environ").split(b"\x00")
    except OSError:
        return None
    return sorted(pair for pair in pairs if pair and not _VOLATILE.match(pair))


def printed(
    command: list[str], extra: Mapping[str, str] | None = None, within: Seconds = ANSWER
) -> str:
    """What a command printed, or "" when it is absent, failed or hung."""
    if shutil.which(command[0]) is None:
        return ""
    env = {**os.environ, "LC_ALL": "C", **(extra or {})}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=within, env=env, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
