"""Who is writing a run directory: a marker file in it, until the directory is closed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from perfhunt.errors import StoreError
from perfhunt.model.run import ProcessIdentity
from perfhunt.model.text.escaping import json_text
from perfhunt.store.files import read_json, write_atomic

MARKER = "owner.json"


@dataclass(frozen=True, slots=True)
class RunWriter:
    """The process that writes a `.partial`, since when (ISO 8601, UTC), and the phase it is in."""

    process: ProcessIdentity
    started: str
    phase: str = "start"

    def alive(self) -> bool:
        """Whether that very process still runs."""
        try:
            return self.process.is_same(_identity(psutil.Process(self.process.pid)))
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # It is there, and the kernel will not say since when.
            return True


NOBODY = RunWriter(ProcessIdentity(0, 0.0), "")


def current_process() -> ProcessIdentity:
    """The identity of this process."""
    return _identity(psutil.Process())


def owner_of(path: Path) -> RunWriter | None:
    """Who was or is writing a directory; None when that was never noted, or is unreadable."""
    try:
        plain = read_json(path / MARKER)
        since_boot = float(plain["pid_started"]) - psutil.boot_time()
        process = ProcessIdentity(int(plain["pid"]), since_boot)
        return RunWriter(process, str(plain["started"]), str(plain["phase"]))
    except (StoreError, ValueError, LookupError, TypeError, OverflowError):
        return None


def write_owner(path: Path, owner: RunWriter) -> None:
    """Note in a directory who writes it. Raises StoreError."""
    plain = {
        "pid": owner.process.pid,
        # The time of day, so that after a reboot nobody with this pid is taken for the owner.
        "pid_started": psutil.boot_time() + owner.process.started,
        "started": owner.started,
        "phase": owner.phase,
    }
    write_atomic(path / MARKER, json_text(plain))


def _identity(process: psutil.Process) -> ProcessIdentity:
    return ProcessIdentity(process.pid, process.create_time() - psutil.boot_time())
