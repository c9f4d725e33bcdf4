"""A calibration kept on disk: used where and when it holds, ignored with a sentence where it does
not.
"""

import json
import platform
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from perfhunt.analysis.verdict.calibration import Calibration, Noise
from perfhunt.cli.verbs.calibrate import calibration_lines
from perfhunt.errors import UsageError
from perfhunt.jobs.verify.versions import analysis_plan
from perfhunt.model.interval import Interval
from perfhunt.model.run import Event, Noted
from perfhunt.store.calibration import CALIBRATION_FILE, load_calibration, save_calibration

NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)
NOISE = Noise("cpu", Interval(0.012, 0.008, 0.024, 8), Interval(0.001, -0.009, 0.011, 8), 0.8, -0.1)
FOUND = Calibration(8, 320.0, (NOISE,))


def test_what_was_kept_is_what_is_used(tmp_path: Path) -> None:
    save_calibration(tmp_path, FOUND, ("gunicorn", "app:app"), NOW)
    assert load_calibration(tmp_path, NOW) == (FOUND, "")


def test_without_one_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert load_calibration(tmp_path, NOW) == (None, "")


def test_after_thirty_days_it_is_not_used_and_that_is_said(tmp_path: Path) -> None:
    save_calibration(tmp_path, FOUND, (), NOW)
    assert load_calibration(tmp_path, NOW + timedelta(days=30))[0] == FOUND
    found, said = load_calibration(tmp_path, NOW + timedelta(days=31))
    assert found is None
    assert "31 days old" in said
    assert "perfhunt calibrate" in said


@pytest.mark.parametrize("what", ["host", "kernel"])
def test_another_host_or_kernel_has_another_noise(tmp_path: Path, what: str) -> None:
    save_calibration(tmp_path, FOUND, (), NOW)
    plain = json.loads((tmp_path / CALIBRATION_FILE).read_text())
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({**plain, what: "elsewhere"}))
    found, said = load_calibration(tmp_path, NOW)
    assert found is None
    assert f"another {what} (elsewhere)" in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "made": "today", "calibration": {}}']
)
def test_a_damaged_file_is_reported_not_used(tmp_path: Path, text: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_text(text)
    found, said = load_calibration(tmp_path, NOW)
    assert found is None
    assert "cannot be read" in said


def test_secrets_of_the_command_are_not_kept(tmp_path: Path) -> None:
    save_calibration(tmp_path, FOUND, ("serve", "--db-password", "hunter2"), NOW)
    assert "hunter2" not in (tmp_path / CALIBRATION_FILE).read_text()


def test_a_host_that_differs_from_itself_gets_no_verdicts(tmp_path: Path) -> None:
    refused = replace(
        FOUND, refused="identical builds moved", advice=("stop what else runs on this host",)
    )
    save_calibration(tmp_path, refused, (), datetime.now(UTC))
    with pytest.raises(UsageError, match="identical builds moved") as error:
        analysis_plan(tmp_path)
    assert "stop what else runs" in error.value.hint
    assert any("REFUSED: identical builds moved" in line for line in calibration_lines(refused))


def test_the_kept_noise_reaches_the_comparison(tmp_path: Path) -> None:
    save_calibration(tmp_path, FOUND, (), datetime.now(UTC))
    analysis = analysis_plan(tmp_path)
    assert analysis.priors["cpu"].sd == 0.012
    assert "8 pairs of identical builds" in analysis.noise
    assert platform.node()


def test_the_plan_names_minutes_for_each_change() -> None:
    lines = calibration_lines(FOUND)
    assert any("±5%" in line for line in lines)
    assert "8 pairs of identical builds" in lines[0]


def test_a_noise_that_does_not_hold_here_is_not_used_and_whoever_watches_is_told(
    tmp_path: Path,
) -> None:
    save_calibration(tmp_path, FOUND, (), NOW - timedelta(days=3000))
    events: list[Event] = []
    assert analysis_plan(tmp_path, events.append).priors == {}
    (event,) = events
    assert isinstance(event, Noted)
    assert "days old" in event.sentence
