"""Is the running process the changed code, and is the change the only difference?"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfhunt.change.running import differences, stale
from perfhunt.model.run import Environment, Listener, Process, TargetProcess
from perfhunt.model.verdict.change import Atom, Change, Edit, Kind

NOW = time.clock_gettime(
    time.CLOCK_BOOTTIME
)  # both clocks read once: the ages below are from this moment
WRITTEN = time.time() - 100
ENVIRONMENT = Environment(
    host="a",
    kernel="6.1",
    cpu_model="x",
    cores=2,
    git_revision="b" * 40,
    distributions={"flask": "3.0.0", "redis": "5.0.1"},
    env_sha256="e",
    variables={"HOME": "1a2b", "WORKERS": "3c4d"},
)


def process(
    root: Path, started: float, pid: int = 10, cmdline: tuple[str, ...] = ("python", "app.py")
) -> Process:
    return Process(pid, 1, started, "/usr/bin/python3", cmdline, str(root), 0, 1)


def target(root: Path, started: float, port: int = 8000, **more: Any) -> TargetProcess:
    found = TargetProcess(
        10,
        (process(root, started),),
        (Listener("127.0.0.1", port, (10,)),),
        (10,),
        "cpython",
        "3.11",
    )
    return replace(found, **more)


def change(root: Path, *atoms: Atom, base: str = "b" * 40) -> Change:
    return Change(str(root), base, "", atoms or (Atom(Kind.CODE, "app.py", "f"),))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("x")
    os.utime(tmp_path / "app.py", (WRITTEN, WRITTEN))
    return tmp_path


def test_a_process_started_after_the_edit_is_the_changed_code(root: Path) -> None:
    assert stale(change(root), target(root, NOW - 50)) == ()


def test_a_process_started_before_the_edit_is_stale_and_the_sentence_names_process_and_file(
    root: Path,
) -> None:
    (said,) = stale(change(root), target(root, NOW - 160))
    assert ("process 10" in said, "60 s before app.py" in said, "restart" in said) == (
        True,
        True,
        True,
    )


def test_an_edit_of_the_schema_needs_no_restart(root: Path) -> None:
    assert (
        stale(change(root, Atom(Kind.SCHEMA, "app.py", "index a on b")), target(root, NOW - 160))
        == ()
    )


def test_a_removed_file_is_dated_by_its_directory(root: Path) -> None:
    (said,) = stale(
        change(root, Atom(Kind.CODE, "gone.py", "f", Edit.REMOVED)), target(root, NOW - 160)
    )
    assert "gone.py" in said


def test_a_process_that_runs_elsewhere_may_be_another_copy(root: Path) -> None:
    elsewhere = target(root, NOW - 50, processes=(process(Path("/srv/other"), NOW - 50),))
    assert "outside" in stale(change(root), elsewhere)[0]


def test_a_process_started_from_elsewhere_with_the_full_path_of_the_code_is_in_the_repository(
    root: Path,
) -> None:
    inside = replace(process(Path("/"), NOW - 50), cmdline=("python", f"{root}/app.py"))
    assert stale(change(root), target(root, NOW - 50, processes=(inside,))) == ()


def test_fresh_workers_of_a_preloading_master_are_stale(root: Path) -> None:
    master = process(root, NOW - 160, 10, ("gunicorn", "--preload", "app"))
    worker = process(root, NOW - 50, 11)
    found = stale(change(root), target(root, NOW, processes=(master, worker), workers=(11,)))
    assert "--preload" in found[0]


def test_fresh_workers_of_an_old_master_have_read_the_code_anew(root: Path) -> None:
    master, worker = process(root, NOW - 160, 10, ("gunicorn", "app")), process(root, NOW - 50, 11)
    assert stale(change(root), target(root, NOW, processes=(master, worker), workers=(11,))) == ()


def test_equal_surroundings_differ_in_nothing(root: Path) -> None:
    assert (
        differences(change(root), ENVIRONMENT, ENVIRONMENT, target(root, 1), target(root, 2)) == ()
    )


@pytest.mark.parametrize(
    ("altered", "word"),
    [
        ({"kernel": "6.2"}, "kernel"),
        ({"cores": 4}, "cores"),
        ({"cpu_model": "y"}, "CPU"),
        ({"host": "b"}, "host"),
        ({"env_sha256": "f"}, "environment variables"),
        ({"env_sha256": "f", "variables": {"HOME": "1a2b", "WORKERS": "ffff"}}, "(WORKERS)"),
        (
            {"env_sha256": "f", "variables": {"HOME": "1a2b", "WORKERS": "3c4d", "DEBUG": "0000"}},
            "(DEBUG)",
        ),
        ({"distributions": {"flask": "3.0.0", "redis": "5.0.7"}}, "redis"),
        ({"distributions": {"flask": "3.0.0", "redis": "5.0.1", "newrelic": "9"}}, "newrelic"),
    ],
)
def test_anything_else_that_changed_is_a_sentence(
    root: Path, altered: dict[str, Any], word: str
) -> None:
    (said,) = differences(change(root), ENVIRONMENT, replace(ENVIRONMENT, **altered))
    assert word in said


def test_the_edited_package_may_differ_and_must(root: Path) -> None:
    edit = change(
        root, Atom(Kind.DEPENDENCY, "requirements.txt", "redis", Edit.CHANGED, "5.0.1 -> 5.0.7")
    )
    installed = replace(ENVIRONMENT, distributions={"flask": "3.0.0", "redis": "5.0.7"})
    assert differences(edit, ENVIRONMENT, installed) == ()
    assert "still has 5.0.1" in differences(edit, ENVIRONMENT, ENVIRONMENT)[0]


def test_an_edited_env_file_may_change_the_environment(root: Path) -> None:
    edit = change(root, Atom(Kind.CONFIG, ".env", "POOL_MAX"))
    assert differences(edit, ENVIRONMENT, replace(ENVIRONMENT, env_sha256="f")) == ()


def test_a_base_other_than_the_stored_revision_is_said(root: Path) -> None:
    assert (
        "stored run was of" in differences(change(root, base="c" * 40), ENVIRONMENT, ENVIRONMENT)[0]
    )


def test_a_baseline_of_uncommitted_work_is_said(root: Path) -> None:
    assert (
        "uncommitted"
        in differences(change(root), replace(ENVIRONMENT, git_dirty=True), ENVIRONMENT)[0]
    )


def test_another_port_is_no_difference_and_another_worker_count_is(root: Path) -> None:
    then = target(root, 1, processes=(process(root, 1, cmdline=("gunicorn", "-b", ":8000")),))
    now = target(
        root, 2, port=8001, processes=(process(root, 2, cmdline=("gunicorn", "-b", ":8001")),)
    )
    assert differences(change(root), ENVIRONMENT, ENVIRONMENT, then, now) == ()
    assert (
        "worker"
        in differences(
            change(root), ENVIRONMENT, ENVIRONMENT, then, replace(now, workers=(10, 11))
        )[0]
    )


def test_a_command_line_is_never_printed(root: Path) -> None:
    now = target(
        root, 2, processes=(process(root, 2, cmdline=("python", "app.py", "--token=hunter2")),)
    )
    said = differences(change(root), ENVIRONMENT, ENVIRONMENT, target(root, 1), now)
    assert (len(said), "hunter2" in "".join(said)) == (1, False)
