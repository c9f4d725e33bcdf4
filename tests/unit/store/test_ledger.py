from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.store.ledger import LEDGER_FILE, LedgerRow, history, rebuild, record
from perfhunt.store.rundir import RunDirectory
from tests.sample_run import aborted_run, keep, sample_run

RUN = sample_run()
LATER = replace(aborted_run(), id="20261124T000000Z-222222", started="2026-11-24T00:00:00Z")


def test_history_is_newest_first_and_says_what_happened(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    keep(tmp_path, LATER)
    later, first = history(tmp_path)
    assert first == LedgerRow(
        id=RUN.id,
        path=f"runs/{RUN.id}",
        kind="investigate",
        started="2026-11-23T04:30:00Z",
        ended="complete",
        verdict="MISSED",
        exit_code=99,
        target="http://127.0.0.1:8000",
        fingerprint=RUN.question.fingerprint(),
        git_revision="3f9c1d2ab44e",
        git_dirty=1,
        knee=141.3,
        knee_low=134.2,
        knee_high=147.9,
        knee_none="",
        capacity=162.4,
        p99_ms=first.p99_ms,
        bottleneck="lock",
        top_function="load_rules",
        seconds=402.0,
    )
    assert (later.id, later.verdict, later.knee, later.knee_none) == (
        LATER.id,
        "UNKNOWN",
        None,
        "stopped",
    )


def test_history_filters_by_what_is_asked(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    keep(tmp_path, LATER)
    assert len(history(tmp_path, kind=RUN.kind)) == 2
    assert history(tmp_path, kind="elsewhere") == ()
    assert [r.id for r in history(tmp_path, limit=1)] == [LATER.id]


def test_recording_twice_keeps_one_row(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    record(tmp_path, RUN, tmp_path / "runs" / RUN.id)
    assert len(history(tmp_path)) == 1


@pytest.mark.parametrize(
    "damage", [b"this is not a database", b"", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_or_empty_ledger_is_made_again_from_the_directories(
    tmp_path: Path, damage: bytes
) -> None:
    keep(tmp_path, RUN)
    before = history(tmp_path)
    for suffix in ("-wal", "-shm"):
        (tmp_path / (LEDGER_FILE + suffix)).unlink(missing_ok=True)
    (tmp_path / LEDGER_FILE).write_bytes(damage)
    assert sorted(r.id for r in history(tmp_path)) == sorted(r.id for r in before)


def test_recording_into_a_lost_ledger_brings_the_earlier_runs_back(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    (tmp_path / LEDGER_FILE).unlink()
    keep(tmp_path, LATER)
    assert len(history(tmp_path)) == 2


def test_a_missing_ledger_is_made_from_the_directories(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, RUN).finish(RUN)
    assert [r.id for r in history(tmp_path)] == [RUN.id]


def test_a_ledger_of_another_version_is_made_again(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    with sqlite3.connect(tmp_path / LEDGER_FILE) as ledger:
        ledger.execute("PRAGMA user_version = 9")
    ledger.close()
    assert [r.id for r in history(tmp_path)] == [RUN.id]


def test_an_aborted_partial_is_in_the_rebuilt_ledger_and_a_damaged_one_is_named(
    tmp_path: Path,
) -> None:
    partial = RunDirectory.create(tmp_path, RUN).path
    (partial / "owner.json").unlink()
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    (problem,) = rebuild(tmp_path)
    assert "broken is not in the ledger" in problem
    (row,) = history(tmp_path)
    assert row.ended.startswith("aborted")
