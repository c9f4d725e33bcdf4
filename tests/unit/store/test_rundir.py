from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.errors import StoreError, UsageError
from perfhunt.model.document.redaction import redacted
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.question import RequestTemplate
from perfhunt.model.run import Run
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Drained
from perfhunt.store.ledger import history
from perfhunt.store.listing import find, latest, list_runs
from perfhunt.store.owner import LOCK, is_held
from perfhunt.store.run_json import read_run, write_run
from perfhunt.store.rundir import (
    RESERVE,
    RESERVED,
    RunDirectory,
    keep_run,
    new_id,
    read_directory,
    repair,
    write_artifact,
)
from tests.sample_run import sample_run

RUN = sample_run()
SECRET = "hunter2-5f3a9c1d"


def test_a_finished_run_is_read_back_whole(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    for trial in RUN.trials[:4]:
        directory.append_trial(trial)
    directory.append_drain(Drained(3.2, True))
    final = directory.finish(RUN)
    write_artifact(final, "report.html", "<p>")
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


def test_only_the_lock_says_whether_a_run_is_alive(tmp_path: Path) -> None:
    """Not a pid: in another pid namespace that is nobody, or somebody else."""
    directory = RunDirectory.create(tmp_path, RUN)
    marker = directory.path / "owner.json"
    for pid in (1, 2**22 + 1):
        marker.write_text(json.dumps(json.loads(marker.read_text()) | {"pid": pid}))
        assert [e.status for e in list_runs(tmp_path)] == ["running"]
    directory._lock.close()  # as the kernel does when the process is no more
    marker.write_text(json.dumps(json.loads(marker.read_text()) | {"pid": os.getpid()}))
    assert [e.status for e in list_runs(tmp_path)] == ["aborted"]


def test_who_looks_does_not_keep_a_writer_from_its_lock(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    directory._lock.close()
    with open(directory.path / LOCK, "rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_held(directory.path)


@pytest.mark.parametrize("planted", ["pipe", "link", "directory"])
def test_a_lock_that_is_none_is_nobodys_and_is_not_waited_for(tmp_path: Path, planted: str) -> None:
    lock = tmp_path / LOCK
    if planted == "pipe":
        os.mkfifo(lock)
    elif planted == "link":
        lock.symlink_to("/dev/stdin")
    else:
        lock.mkdir()
    assert not is_held(tmp_path)


def test_no_half_made_directory_is_ever_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def look(path: Path, run: Run) -> None:
        seen.append(list_runs(tmp_path))
        write_run(path, run)

    monkeypatch.setattr("perfhunt.store.rundir.write_run", look)
    directory = RunDirectory.create(tmp_path, RUN)
    assert seen == [()]
    assert directory.path.name == f"{RUN.id}.partial"
    assert [e.status for e in list_runs(tmp_path)] == ["running"]


def test_four_first_writers_at_once_all_keep_their_runs(tmp_path: Path) -> None:
    runs = [replace(RUN, id=new_id_at(2026, f"{n}{n}{n}{n}{n}{n}")) for n in range(4)]
    store = tmp_path / "new" / ".perfhunt"
    ready = threading.Barrier(len(runs))

    def write(run: Run) -> Path:
        ready.wait()
        return RunDirectory.create(store, run).finish(run)

    with ThreadPoolExecutor(len(runs)) as writers:
        places = list(writers.map(write, runs))
    assert [row.id for row in history(store)] == sorted((run.id for run in runs), reverse=True)
    assert all(read_run(place).trials for place in places)
    assert sorted(path.name for path in store.iterdir()) == [".gitignore", "runs"]


def test_a_disk_that_is_full_for_a_moment_leaves_no_half_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    directory.append_trial(RUN.trials[0])

    def full(handle: int, raw: bytes) -> int:
        if len(raw) < 100:
            raise OSError(28, "No space left on device")
        return whole(handle, raw[: len(raw) // 2])

    with monkeypatch.context() as patched:
        whole = os.write
        patched.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left"):
            directory.append_trial(RUN.trials[1])
    final = directory.finish(RUN)
    assert read_run(final).trials == RUN.trials


def test_room_for_the_end_is_kept_from_the_beginning(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    assert (directory.path / RESERVE).stat().st_blocks * 512 >= RESERVED
    assert not (directory.finish(RUN) / RESERVE).exists()


def test_a_run_that_its_store_refuses_is_kept_elsewhere_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    directory = RunDirectory.create(tmp_path / "store", RUN)
    shutil.rmtree(tmp_path / "store")
    run, place = keep_run(directory, RUN)
    assert place is not None and place.is_relative_to(tmp_path / "tmp")
    assert read_run(place).judged == RUN.judged
    assert str(place) in run.cautions[0].sentence
    assert run.cautions == read_run(place).cautions
    assert (run.verdict, run.exit_code) == (RUN.verdict, RUN.exit_code)


def test_a_run_that_can_be_kept_nowhere_keeps_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    directory = RunDirectory.create(tmp_path / "store", RUN)
    shutil.rmtree(tmp_path / "store")
    run, place = keep_run(directory, RUN)
    assert place is None
    assert "all there is" in run.cautions[0].sentence
    assert (run.verdict, run.exit_code, run.knee) == (RUN.verdict, RUN.exit_code, RUN.knee)


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
    RunDirectory.create(tmp_path, run).finish(run)
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
    with pytest.raises(StoreError, match="not a plain file name"):
        write_artifact(tmp_path, "../escape", "x")


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
