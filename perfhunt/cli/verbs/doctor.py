"""`perfhunt doctor`: what works here, and how to mend what does not."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from perfhunt.cli import console
from perfhunt.cli.options import (
    ExecPrefixOption,
    OneArrayOption,
    PidOption,
    PortOption,
    TestFileOption,
    WatchOption,
)
from perfhunt.errors import ExitCode

if TYPE_CHECKING:
    from perfhunt.target.host.check import Check

_NARROWEST = 60  # columns: a name takes 23, and a column of single words is not read


def doctor(
    pid: PidOption = None,
    port: PortOption = None,
    file: TestFileOption = None,
    watch: WatchOption = 10.0,
    exec_prefix: ExecPrefixOption = "",
    as_json: OneArrayOption = False,
) -> None:
    """Check every tool, permission and limit, and what else this host does; each failure comes with
    the command that mends it. Sends no load.
    """
    from perfhunt.cli.view.results import show_lines, show_plain
    from perfhunt.jobs.doctor import DoctorRequest, run_doctor

    result = run_doctor(DoctorRequest(pid, port, file, watch, exec_prefix))
    if as_json:
        plain = [asdict(check) for check in result.checks]
        show_plain(plain)
    else:
        columns, _ = console.size((sys.maxsize, 0))
        for check in (*result.checks, result.test_file):
            show_lines(check_lines(check, columns))
    if result.exit_code is not ExitCode.OK:
        raise typer.Exit(int(result.exit_code))


def check_lines(check: Check, columns: int) -> list[str]:
    """One check, no wider than a terminal has columns, and under it what to do about it, whole, to
    be copied.
    """
    from perfhunt.target.host.check import CheckStatus

    mark = "FAIL" if check.status is CheckStatus.FAIL else str(check.status)
    first = f"{mark:<5} {check.name:<16} "
    told = textwrap.wrap(
        check.sentence,
        max(columns, _NARROWEST),
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    needed = check.mend and check.status is not CheckStatus.OK
    return [*(told or [first]), *([f"      {'':<16} -> {check.mend}"] if needed else [])]
