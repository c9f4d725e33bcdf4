"""What every run of the tests says at its end: how long each folder took, and what it left out. No
property is judged by how fast this machine is.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no reason to fail: pytest's own timeout ends what hangs.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# A shell has what it starts in the background ignore Ctrl-C, and so all that this starts: tests
# send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

UNIT_SECONDS = 60.0  # that tests/unit may take on two cores, so that people run it at every change
LIMITS = {"tests/unit": UNIT_SECONDS}


@dataclass
class Spent:
    """The tests of one folder."""

    tests: int = 0
    skipped: int = 0
    seconds: float = 0.0


SPENT: dict[str, Spent] = defaultdict(Spent)


def folder_of(nodeid: str) -> str:
    """`tests/unit` for whatever lies under it."""
    return "/".join(PurePosixPath(nodeid.partition("::")[0]).parts[:2])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """What stands for a value in a test's id: for bytes the name of the argument, which pytest
    numbers. Bytes may hold the second they were made in, and then no two processes have the test.
    """
    return argname if isinstance(val, bytes) else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    spent = SPENT[folder_of(report.nodeid)]
    spent.seconds += report.duration
    if report.when == "setup":
        spent.tests += 1
    if report.skipped:
        spent.skipped += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not SPENT:
        return
    terminalreporter.section("seconds by folder")
    for folder, spent in sorted(SPENT.items()):
        limit = LIMITS.get(folder)
        notes = [f"{spent.skipped} skipped, why is said above"] if spent.skipped else []
        if limit is not None:
            word = "within" if spent.seconds <= limit else "OVER"
            notes.append(f"{word} the {limit:g} s it may take on two cores")
        terminalreporter.write_line(
            f"{folder:20} {spent.tests:5} tests {spent.seconds:8.1f} s  {'; '.join(notes)}".rstrip()
        )
