from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.errors import StoreError, UsageError
from perfhunt.model.document.redaction import redacted
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.question import Expect, RequestTemplate
from perfhunt.model.run import ProcessIdentity, Run
from perfhunt.model.trial import Drained
from perfhunt.store.ledger import record
from perfhunt.store.listing import find, latest, list_runs
from perfhunt.store.owner import owner_of
from perfhunt.store.run_json import read_run
from perfhunt.store.rundir import RunDirectory, new_id, read_directory, repair
from tests.sample_run import sample_run

RUN = sample_run()
SECRET = "hunter2-5f3a9c1d"


def test_a_finished_run_is_read_back_whole(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    for trial in RUN.trials[:4]:
        directory.append_trial(trial)
    directory.append_drain(Drained(3.2, True))
    directory.write_artifact("report.html", "<p>")
    final = directory.finish(RUN)
    assert final == tmp_path / "runs" / RUN.id
    assert read_run(final) == replace(RUN, question=RUN.question.redacted())
    assert sorted(p.name for p in final.iterdir()) == [
        "profile-baseline.folded",
        "profile-knee.folded",
        "report.html",
        "run.json",
        "trials",
        "trials.jsonl",
    ]


def test_the_store_keeps_itself_out_of_git(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path, RUN)
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_a_run_in_progress_is_listed_as_running_and_left_alone_by_repair(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    assert [e.status for e in list_runs(tmp_path)] == ["running"]
    assert repair(tmp_path) == ()
    assert read_directory(directory.path).ended == "running"


def test_a_reused_pid_does_not_count_as_the_owner(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    owner = json.loads((directory.path / "owner.json").read_text())
    assert owner["pid"] == os.getpid()
    (directory.path / "owner.json").write_text(
        json.dumps(owner | {"pid_started": owner["pid_started"] - 1000})
    )
    assert not (found := owner_of(directory.path)) or not found.alive()
    assert [e.status for e in list_runs(tmp_path)] == ["aborted"]


def test_a_process_is_told_by_pid_and_start_within_a_second() -> None:
    process = ProcessIdentity(4242, 8123.4)
    assert process.is_same(ProcessIdentity(4242, 8123.9))
    assert not process.is_same(ProcessIdentity(4242, 8124.4))
    assert not process.is_same(ProcessIdentity(4243, 8123.4))
    assert not process.is_same(None)


def with_secrets() -> Run:
    """The run with a secret everywhere that one could stand."""
    assert RUN.target is not None
    label = Frame(f'process 4242:"gunicorn --token {SECRET} app:app"', kind=FrameKind.THREAD)
    return replace(
        RUN,
        question=replace(
            RUN.question,
            target=replace(RUN.question.target, url=f"http://shop:{SECRET}@127.0.0.1:8000"),
            traffic=(
                RequestTemplate(
                    name="list",
                    method="POST",
                    path=f"/items?key={SECRET}",
                    headers=(("Authorization", f"Bearer {SECRET}"),),
                    body=SECRET,
                    expect=Expect(body=SECRET),
                ),
            ),
        ),
        target=replace(
            RUN.target,
            processes=tuple(
                replace(p, cmdline=(*p.cmdline, "--token", SECRET)) for p in RUN.target.processes
            ),
        ),
        profiles={
            span: replace(profile, stacks={(label, *s): n for s, n in profile.stacks.items()})
            for span, profile in RUN.profiles.items()
        },
    )


def test_no_secret_of_a_run_reaches_the_disk(tmp_path: Path) -> None:
    run = with_secrets()
    assert SECRET in repr(run)
    assert SECRET not in repr(redacted(run))
    assert redacted(redacted(run)) == redacted(run)
    directory = RunDirectory.create(tmp_path, run)
    directory.save(run)
    record(tmp_path, run, directory.finish(run))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "profile-knee.folded", "trials.jsonl"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    before = (directory.path / "run.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        directory.finish(RUN)
    assert (directory.path / "run.json").read_bytes() == before
    assert not list(directory.path.glob(".*.tmp"))


def test_a_torn_line_in_the_middle_is_an_error_with_its_number(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    directory.append_trial(RUN.trials[0])
    lines = directory.path / "trials.jsonl"
    lines.write_text('{"tri\n' + lines.read_text())
    with pytest.raises(StoreError, match="line 1"):
        read_directory(directory.path)


def test_an_artifact_cannot_be_written_outside_the_run(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    with pytest.raises(StoreError, match="not a plain file name"):
        directory.write_artifact("../escape", "x")


def test_runs_are_found_by_last_id_prefix_and_path(tmp_path: Path) -> None:
    older = replace(RUN, id=new_id_at(2026, "aaaaaa"))
    newer = replace(RUN, id=new_id_at(2027, "bbbbbb"))
    paths = [RunDirectory.create(tmp_path, run).finish(run) for run in (older, newer)]
    assert latest(tmp_path) == find(tmp_path) == paths[1]
    assert (
        find(tmp_path, "2026")
        == find(tmp_path, "aaaaaa")
        == find(tmp_path, str(paths[0]))
        == paths[0]
    )
    with pytest.raises(UsageError, match="2 runs"):
        find(tmp_path, "20")
    with pytest.raises(UsageError, match="no run"):
        find(tmp_path, "zzz")


def new_id_at(year: int, token: str) -> str:
    from datetime import UTC, datetime

    return new_id(datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC), token)


def test_an_id_sorts_by_time_and_carries_its_token() -> None:
    assert new_id_at(2026, "abc123") == "20260102T030405Z-abc123"
