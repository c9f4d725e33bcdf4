"""The code is asked for where requests are turned away, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.model.knee import KneeLabel
from perfhunt.model.run import TargetProcess
from perfhunt.stories.source_texts import with_sources
from perfhunt.target.process import process_of
from tests.unit.analysis.diagnosis.field import KNEE, climb, trial
from tests.unit.analysis.diagnosis.test_settled import below
from tests.unit.scenes import APP


def sourced(status: int, *words: str) -> Evidence:
    """The evidence of a service that this very process stands for, whose files are not there."""
    itself = process_of(os.getpid())
    assert itself is not None
    target = TargetProcess(
        root=itself.pid,
        processes=(replace(itself, cmdline=("uvicorn", *words), cwd="/nowhere"),),
        listeners=(),
        workers=(itself.pid,),
        runtime="cpython",
        runtime_version="",
    )
    failing = trial(150.0, 0.011, {200: 700, status: 300})
    knee = replace(KNEE, label=KneeLabel.ERRORS)
    return with_sources(below(), target, climb(knee, failing))


@pytest.mark.parametrize("status", [429, 503])
def test_a_file_that_was_met_and_is_not_to_be_had_is_said_to_be_unread(status: int) -> None:
    assert sourced(status).imported == {APP: None}


def test_other_failures_ask_for_no_more_than_was_met() -> None:
    assert sourced(500).imported == {}


def test_a_limit_of_the_command_is_told() -> None:
    assert sourced(503, "--limit-concurrency", "40").server_limits == ("--limit-concurrency",)
    assert sourced(503, "--limit-concurrency=40").server_limits == ("--limit-concurrency",)
    assert sourced(503, "--limit-max-requests", "40").server_limits == ()
