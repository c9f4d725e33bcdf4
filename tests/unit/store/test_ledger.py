from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.cli.app import app
from perfhunt.errors import StoreError
from perfhunt.store.files import LARGEST
from perfhunt.store.ledger import LedgerRow, history, snapshots
from perfhunt.store.listing import latest
from perfhunt.store.rundir import RunDirectory, read_directory, repair
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
        capacity_low=first.capacity_low,
        capacity_high=first.capacity_high,
        judged_at=RUN.judged_at,
        p99_at_ms=first.p99_at_ms,
        cpu_ms=first.cpu_ms,
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


def test_a_run_is_listed_from_its_directory_alone(tmp_path: Path) -> None:
    """An index of an earlier version, whatever has become of it, is not looked at."""
    keep(tmp_path, RUN)
    (tmp_path / "ledger.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert [row.id for row in history(tmp_path)] == [RUN.id]


def test_a_run_that_was_deleted_is_listed_no_more(tmp_path: Path) -> None:
    shutil.rmtree(keep(tmp_path, RUN))
    assert history(tmp_path) == ()


def test_an_aborted_partial_is_listed_as_that(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    assert history(tmp_path)[0].ended == "running"
    directory._lock.close()  # what the kernel does for a process that was killed
    assert history(tmp_path)[0].ended.startswith("aborted")


def test_nothing_is_listed_of_nothing(tmp_path: Path) -> None:
    assert history(tmp_path) == history(tmp_path / "none") == ()
    (tmp_path / "runs").write_text("no directory")
    assert history(tmp_path) == ()
    with pytest.raises(StoreError, match="is not a directory"):
        history(tmp_path / "runs")


def damaged(text: str | bytes) -> Callable[[Path], None]:
    def poison(run: Path) -> None:
        (run / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    return poison


def changed(key: str, value: object) -> Callable[[Path], None]:
    def poison(run: Path) -> None:
        plain = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(plain | {key: value}))

    return poison


def a_pipe(run: Path) -> None:
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")


def a_device(run: Path) -> None:
    (run / "run.json").unlink()
    (run / "run.json").symlink_to("/dev/zero")


def a_loop(run: Path) -> None:
    (run / "run.json").unlink()
    (run / "run.json").symlink_to(run / "run.json")


def a_directory(run: Path) -> None:
    (run / "run.json").unlink()
    (run / "run.json").mkdir()


def huge(run: Path) -> None:
    os.truncate(run / "run.json", LARGEST + 1)


def missing(run: Path) -> None:
    (run / "run.json").unlink()


POISONS: dict[str, Callable[[Path], None]] = {
    "nothing there": missing,
    "empty": damaged(""),
    "cut": damaged('{"schema": 1, "id"'),
    "a list": damaged("[]"),
    "null": damaged("null"),
    "deep": damaged("[" * 100_000),
    "deep objects": damaged('{"a":' * 100_000),
    "not UTF-8": damaged(b"\xff\xfe{}"),
    "another schema": changed("schema", 2),
    "a number as id": changed("id", 5),
    "an endless number": changed("seconds", 10**400),
    "a url that is none": changed("question", {"target": {"url": "http://[::1"}}),
    "a knee of text": changed("knee", "high"),
    "a pipe": a_pipe,
    "a device": a_device,
    "a link to itself": a_loop,
    "a directory": a_directory,
    "larger than memory": huge,
}


@pytest.mark.parametrize("poison", POISONS)
def test_a_run_that_cannot_be_read_is_one_line_and_hides_no_other(
    tmp_path: Path, poison: str
) -> None:
    keep(tmp_path, RUN)
    POISONS[poison](keep(tmp_path, LATER))
    unreadable, whole = history(tmp_path)
    assert whole.id == RUN.id
    assert (unreadable.id, unreadable.kind) == (LATER.id, "unreadable")
    assert unreadable.ended.startswith("unreadable: ")
    assert "\n" not in unreadable.ended
    assert history(tmp_path, kind=RUN.kind) == (whole,)


@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_run_that_was_never_closed_is_one_line_too(tmp_path: Path, poison: str) -> None:
    keep(tmp_path, RUN)
    directory = RunDirectory.create(tmp_path, LATER)
    directory._lock.close()
    POISONS[poison](directory.path)
    assert repair(tmp_path) == ()
    assert [row.kind for row in history(tmp_path)] == ["unreadable", RUN.kind]


@pytest.mark.parametrize(
    "lines", ["5\n", "[]\n", '{"trial": 5}\n', '{"drain": []}\n', '{"trial": {}}\n', "x\n{}\n"]
)
def test_trials_that_are_none_are_an_error_of_the_store(tmp_path: Path, lines: str) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    (directory.path / "trials.jsonl").write_text(lines)
    try:
        assert read_directory(directory.path).trials == ()
    except StoreError as error:
        assert "trials.jsonl" in error.message


def test_directories_that_perfhunt_did_not_name_come_last_and_are_not_the_newest(
    tmp_path: Path,
) -> None:
    keep(tmp_path, RUN)
    (tmp_path / "runs" / "zzz").mkdir()
    (tmp_path / "runs" / "a file").write_text("")
    (tmp_path / "runs" / "loop").symlink_to("loop")
    shutil.copytree(tmp_path / "runs" / RUN.id, tmp_path / "runs" / "before")
    assert [row.id for row in history(tmp_path)] == [RUN.id, "zzz", "before"]
    assert latest(tmp_path).name == RUN.id


def test_what_a_poisoned_run_says_stays_on_its_line(tmp_path: Path) -> None:
    keep(tmp_path, RUN)
    changed("ended", "complete\n20990101T000000Z-ffffff  investigate  MET")(keep(tmp_path, LATER))
    said = CliRunner().invoke(app, ["history", "--store", str(tmp_path)])
    assert said.exit_code == 0
    assert len(said.stdout.splitlines()) == 2


def test_the_snapshots_that_runs_name_are_known_where_every_run_can_be_read(tmp_path: Path) -> None:
    named = replace(RUN, environment=replace(RUN.environment, git_snapshot="a" * 40))
    keep(tmp_path, named)
    keep(tmp_path, LATER)
    assert snapshots(tmp_path) == {"a" * 40} | ({LATER.environment.git_snapshot} - {""})
    (tmp_path / "runs" / LATER.id / "run.json").write_text("torn")
    with pytest.raises(StoreError):
        snapshots(tmp_path)
