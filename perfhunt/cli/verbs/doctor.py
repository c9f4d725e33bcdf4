"""`perfhunt doctor`: what works here, and how to mend what does not."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from perfhunt.cli import console
from perfhunt.cli.options import PidOption, PortOption, TestFileOption
from perfhunt.errors import ExitCode, QuestionError


def doctor(
    pid: PidOption = None,
    port: PortOption = None,
    file: TestFileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Check every tool, permission and limit; each failure comes with the command that mends it.
    Sends no load.
    """
    from perfhunt.model.question import ProcessSelector
    from perfhunt.profilers.preflight import checks
    from perfhunt.store.testfile import read_question
    from perfhunt.target.find import find_target

    target = (
        None if pid is None and port is None else find_target(ProcessSelector(pid=pid, port=port))
    )
    try:
        question, trouble = read_question(file, Path.cwd(), os.environ, pid), None
    except QuestionError as error:
        question, trouble = None, error
    found = checks(target, question)
    if as_json:
        console.out(json.dumps([asdict(check) for check in found], indent=2, default=str))
    else:
        for check in found:
            console.out(
                console.clean(
                    f"{_MARK.get(str(check.status), '?'):<5} {check.name:<16} {check.sentence}"
                )
            )
            if check.mend and str(check.status) != "ok":
                console.out(console.clean(f"      {'':<16} -> {check.mend}"))
        if trouble is not None:
            console.out(console.clean(f"{'warn':<5} {'test file':<16} {trouble.message}"))
            console.out(console.clean(f"      {'':<16} -> {trouble.hint}"))
        else:
            console.out(f"{'ok':<5} {'test file':<16} {question.source if question else ''}")
    if any(str(check.status) == "fail" for check in found):
        raise typer.Exit(int(ExitCode.ATTACH_FAILED) if target else int(ExitCode.INTERNAL))


_MARK = {"ok": "ok", "warn": "warn", "fail": "FAIL"}
