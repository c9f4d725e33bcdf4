"""What is said of a process that may not be looked into, and of the cores that another may use."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from perfhunt.errors import TargetNotFound
from perfhunt.model.question import ProcessSelector
from perfhunt.target import find
from perfhunt.target.proc import cgroup
from perfhunt.target.process import process_of
from perfhunt.target.selection import selected


@pytest.mark.parametrize(
    ("owner", "told", "untold"),
    [
        (os.geteuid(), "the kernel forbids it, whoever asks", "owned by"),
        (os.geteuid() + 1, "the kernel forbids it" if os.geteuid() == 0 else "owned by", "sudo -u"),
    ],
)
def test_a_process_of_ones_own_is_not_told_as_somebody_elses(
    owner: int, told: str, untold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(pid: int) -> frozenset[int]:
        raise PermissionError(pid)

    monkeypatch.setattr(find, "held_inodes", forbidden)
    monkeypatch.setattr(find, "uid", lambda _: owner)
    with pytest.raises(TargetNotFound) as refused:
        find._held(1)
    assert told in refused.value.message and untold not in refused.value.message


@pytest.mark.parametrize(
    ("runtime", "own", "limit"),
    [
        ("go", "1", (1.0, "GOMAXPROCS=1")),
        ("go", "9", (4.0, "cores of the host")),
        ("go", "0", (4.0, "cores of the host")),
        ("go", "9" * 5000, (4.0, "cores of the host")),
        ("node", "1", (4.0, "cores of the host")),
    ],
)
def test_a_go_program_may_use_as_many_cores_as_it_was_told_to(
    runtime: str, own: str, limit: tuple[float, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "cpu_limit", lambda _: (4.0, "cores of the host"))
    monkeypatch.setattr(find, "variables", lambda _: {"GOMAXPROCS": own})
    me = process_of(os.getpid())
    assert me is not None
    assert find._cpu_limit(replace(me, runtime=runtime)) == limit


def test_perfhunts_own_pid_is_told_as_that() -> None:
    with pytest.raises(TargetNotFound) as refused:
        find.find_target(ProcessSelector(pid=os.getpid()))
    assert "is perfhunt itself" in refused.value.message


@pytest.mark.parametrize(
    ("raised", "told"),
    [(PermissionError, "another user's process"), (ProcessLookupError, "there is no process")],
)
def test_a_process_that_proc_hides_is_not_said_to_be_none(
    raised: type[OSError], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise raised(pid, signal)

    monkeypatch.setattr(os, "kill", forbidden)
    beyond = 1 << 22  # the largest pid there may be is one less (PID_MAX_LIMIT)
    with pytest.raises(TargetNotFound, match=told):
        selected(ProcessSelector(pid=beyond), None)
