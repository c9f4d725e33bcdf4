"""What is said of a process that may not be looked into."""

from __future__ import annotations

import os

import pytest

from perfhunt.errors import TargetNotFound
from perfhunt.target import find


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
