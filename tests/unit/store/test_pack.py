"""A run as one file: out of a store, into another one, whole or not at all."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from perfhunt.errors import PerfhuntError, StoreError, UsageError
from perfhunt.jobs.stored import baseline
from perfhunt.jobs.stored.pack import pack_run, packed_run, unpack_run
from perfhunt.model.run import RunEnd, RunKind
from perfhunt.store.digest_key import KEY_FILE, mark_of
from perfhunt.store.files import write_atomic
from perfhunt.store.listing import latest, list_runs
from perfhunt.store.pack import archive, place
from perfhunt.store.pack.archive import Pack, packed, unpacked
from perfhunt.store.rundir import RunDirectory, read_directory, write_artifact
from tests.sample_run import sample_run

RUN = sample_run()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a run that has raw samples and a report."""
    root = tmp_path / "store"
    directory = RunDirectory.create(root, RUN)
    (directory.trials / "0001.samples").write_bytes(bytes(range(256)) * 9)
    final = directory.finish(RUN)
    write_artifact(final, "report.html", "<p>")
    return root


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def everything(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.rglob("*"))


def saved(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "baseline.pack"
    path.write_bytes(content)
    return path


def test_a_run_comes_to_another_store_file_by_file(store: Path, tmp_path: Path) -> None:
    file, other = saved(tmp_path, pack_run("last", store).content), tmp_path / "other"
    arrived = unpack_run(file, other)
    assert arrived == other / "runs" / RUN.id == latest(other)
    assert contents(arrived) == contents(latest(store))
    assert "trials/0001.samples" in contents(arrived)
    assert read_directory(arrived) == read_directory(latest(store)) == packed_run(file)
    assert (other / ".gitignore").read_text() == "*\n"
    assert os.stat(arrived).st_mode == os.stat(latest(store)).st_mode


def test_equal_runs_have_equal_bytes_wherever_and_whenever_they_are_packed(
    store: Path, tmp_path: Path
) -> None:
    first = pack_run("last", store).content
    moved = tmp_path / "elsewhere"
    unpack_run(saved(tmp_path, first), moved)
    for path in moved.rglob("*"):
        os.utime(path, (1e9, 1e9))
        path.chmod(0o700)
    assert pack_run(RUN.id[:-2], moved).content == first


def test_any_tar_reads_a_pack(store: Path, tmp_path: Path) -> None:
    file = saved(tmp_path, pack_run("last", store).content)
    listed = subprocess.run(["tar", "tzf", file], capture_output=True, text=True, check=True)
    names = listed.stdout.split()
    assert names[0] == archive.MANIFEST
    assert names[1:] == sorted(contents(latest(store)))


def test_the_key_of_a_store_and_its_other_runs_are_in_no_pack(store: Path) -> None:
    mark_of(store)
    key = (store / KEY_FILE).read_bytes()
    pack = unpacked(pack_run("last", store).content, "it")
    assert KEY_FILE not in pack.files
    assert not any(key in content for content in pack.files.values())


def test_the_same_pack_twice_is_one_run_and_another_of_its_name_is_refused(
    store: Path, tmp_path: Path
) -> None:
    file, other = saved(tmp_path, pack_run("last", store).content), tmp_path / "other"
    assert unpack_run(file, other) == unpack_run(file, other)
    assert len(list_runs(other)) == 1
    write_artifact(latest(other), "report.html", "<p>mine")
    before = contents(other)
    with pytest.raises(StoreError, match="there already") as refused:
        unpack_run(file, other)
    assert refused.value.hint
    assert contents(other) == before


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = saved(tmp_path, pack_run("last", store).content), tmp_path / "other"
    written: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 4:
            raise StoreError(f"{path} cannot be written: No space left on device")
        write_atomic(path, content)

    monkeypatch.setattr(place, "write_atomic", full)
    with pytest.raises(StoreError, match="No space left"):
        unpack_run(file, other)
    assert len(written) == 4
    assert list((other / "runs").iterdir()) == []


def test_what_is_no_whole_run_of_its_name_is_not_unpacked(store: Path, tmp_path: Path) -> None:
    files = contents(latest(store))
    wrong = {
        "holds": Pack("20261123T043000Z-ffffff", files),
        "run.json": Pack(RUN.id, {n: c for n, c in files.items() if n != "run.json"}),
        "not a run|not JSON|damaged": Pack(RUN.id, {**files, "run.json": b'{"schema": 1}'}),
        "no closed run": Pack(f"{RUN.id}.partial", files),
    }
    for words, pack in wrong.items():
        other = tmp_path / "other"
        with pytest.raises(StoreError, match=words):
            unpack_run(saved(tmp_path, packed(pack)), other)
        assert not [p for p in other.rglob("*") if p.name not in ("runs", ".gitignore")]


def damages(good: bytes) -> Iterator[tuple[str, bytes]]:
    yield "cut short", good[: len(good) // 2]
    yield "cut short", good[:-1]
    yield "more follows", good + good
    yield "does not unzip", good[:20] + bytes(20) + good[40:]
    yield "not gzipped", b""
    yield "not gzipped", b"PK\x03\x04 a zip"
    yield "not gzipped", good[1:]


def test_truncated_and_foreign_files_are_told_as_what_they_are(store: Path, tmp_path: Path) -> None:
    for words, raw in damages(pack_run("last", store).content):
        with pytest.raises(StoreError, match=words) as refused:
            unpack_run(saved(tmp_path, raw), tmp_path / "other")
        assert str(tmp_path / "baseline.pack") in refused.value.message and refused.value.hint
    for path in (tmp_path / "nowhere", tmp_path, Path("/dev/zero")):
        with pytest.raises(StoreError, match="cannot be read"):
            unpack_run(path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_link_or_a_pipe_in_a_run_is_not_packed(store: Path) -> None:
    path = latest(store) / "trials" / "extra"
    for make in (partial(path.symlink_to, "/etc/passwd"), partial(os.mkfifo, path)):
        make()
        with pytest.raises(StoreError, match="no plain file"):
            pack_run("last", store)
        path.unlink()
    path.with_name(".out of sight").write_text("")
    with pytest.raises(StoreError, match="no plain name"):
        pack_run("last", store)


def test_a_run_beyond_what_a_pack_holds_is_refused_when_it_is_packed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    with pytest.raises(StoreError, match="more than 3"):
        pack_run("last", store)
    monkeypatch.undo()
    (latest(store) / "zeros").write_bytes(bytes(3 * archive.ROOM))
    with pytest.raises(StoreError, match="more than a pack may unpack to"):
        pack_run("last", store)


def test_a_run_that_is_being_written_is_not_packed(tmp_path: Path) -> None:
    directory = RunDirectory.create(tmp_path, RUN)
    with pytest.raises(UsageError, match="not closed"):
        pack_run(RUN.id, tmp_path)
    directory.finish(RUN)
    assert pack_run(RUN.id, tmp_path).run == RUN.id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": RunKind.SMOKE}, "is a smoke"),
        ({"kind": RunKind.PROFILE}, "is a profile"),
        ({"ended": f"{RunEnd.STOPPED}: by a signal"}, "cut short"),
    ],
)
def test_a_baseline_is_a_whole_run_that_looked_for_a_knee(
    changes: dict[str, object], words: str, tmp_path: Path
) -> None:
    run = replace(RUN, **changes)  # type: ignore[arg-type]
    RunDirectory.create(tmp_path / "store", run).finish(run)
    file = saved(tmp_path, pack_run("last", tmp_path / "store").content)
    with pytest.raises(PerfhuntError, match=words) as refused:
        baseline.packed_baseline(file)
    assert refused.value.hint
