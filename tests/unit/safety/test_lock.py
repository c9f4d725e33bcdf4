"""What keeps a second test away, and what does not: who has the lock is the kernel's word."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.errors import TargetBusy
from perfhunt.safety.lock import LockHolder, lock_keys, read_words, target_lock

ME = LockHolder.ourselves("20260301-1", "http://127.0.0.1:8000", "2026-03-01T10:00:00Z")
HERE = ["127.0.0.1"]


@pytest.fixture
def scope() -> str:
    """Names of this test's own."""
    return f"perfhunt-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def stranger(scope: str) -> Iterator[socket.socket]:
    """A program that has the name of port 8000 and is no perfhunt."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as taken:
        taken.bind(f"\0{scope}/local_8000")
        taken.listen(1)
        yield taken


def busy(scope: str) -> TargetBusy:
    with pytest.raises(TargetBusy) as caught, target_lock(HERE, 8000, ME, scope):
        pass
    assert caught.value.exit_code == 94
    return caught.value


def test_a_held_target_is_busy_and_names_its_holder(scope: str) -> None:
    with target_lock(HERE, 8000, ME, scope):
        error = busy(scope)
        assert f"pid {os.getpid()}" in error.message
        assert "run 20260301-1" in error.message
        assert "2026-03-01T10:00:00Z" in error.message
        assert f"kill -INT {os.getpid()}" in error.hint
    with target_lock(HERE, 8000, ME, scope):
        pass


def test_the_lock_is_one_for_every_name_of_this_machine_and_one_per_port() -> None:
    assert (
        lock_keys(["127.0.0.1"], 80)
        == lock_keys(["::1", "127.0.0.1"], 80)
        == lock_keys(["127.9.9.9"], 80)
    )
    assert lock_keys(["127.0.0.1"], 80) != lock_keys(["127.0.0.1"], 81)
    assert lock_keys(["203.0.113.8", "203.0.113.7"], 80) == lock_keys(
        ["203.0.113.7", "203.0.113.8"], 80
    )
    assert len(lock_keys(["203.0.113.7", "203.0.113.8"], 80)) == 2


def test_a_unix_socket_has_one_lock_whatever_leads_to_it(scope: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path, other = f"{tmp_path}/{'a' * 60}.sock", f"{tmp_path}/b.sock"
    with target_lock((), 0, ME, scope, path):
        with pytest.raises(TargetBusy, match=f"pid {os.getpid()}"):  # noqa: SIM117
            with target_lock((), 0, ME, scope, f"{tmp_path}/link/{'a' * 60}.sock"):
                pass
        with target_lock((), 0, ME, scope, other), target_lock(HERE, 0, ME, scope):
            pass


def test_one_shared_address_is_enough_to_be_busy_and_leaves_nothing_held(scope: str) -> None:
    with target_lock(["203.0.113.8"], 80, ME, scope), pytest.raises(TargetBusy):  # noqa: SIM117
        with target_lock(["203.0.113.7", "203.0.113.8"], 80, ME, scope):
            pass
    with target_lock(["203.0.113.7"], 80, ME, scope):
        pass


def test_the_longest_address_has_a_lock(scope: str) -> None:
    with target_lock(["2001:0db8:1111:2222:3333:4444:5555:6666"], 65535, ME, scope):
        pass


def test_nothing_that_lies_in_a_shared_directory_matters(
    scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no file: what others leave, plant or forbid there cannot be met."""
    opened: list[str] = []
    monkeypatch.setattr(os, "open", lambda path, *_, **__: opened.append(str(path)))
    monkeypatch.setattr(os, "mkdir", lambda path, *_, **__: opened.append(str(path)))
    with target_lock(HERE, 8000, ME, scope):
        pass
    assert opened == []


def test_a_stranger_that_has_the_name_is_named_by_the_kernel_and_waited_for_shortly(
    scope: str, stranger: socket.socket
) -> None:
    error = busy(scope)
    assert f"pid {os.getpid()}" in error.message
    assert "does not say what for" in error.message


@pytest.mark.parametrize(
    "words",
    [b"", b"{", b"[]", b"null", b'{"pid": "x"}', b"[" * 4000, b"\xff" * 4096, b"x" * 100_000],
)
def test_whatever_a_stranger_says_is_no_more_than_what_it_is(
    scope: str, stranger: socket.socket, words: bytes
) -> None:
    def answer() -> None:
        asker, _ = stranger.accept()
        with asker:
            asker.setblocking(False)
            asker.send(words)

    teller = threading.Thread(target=answer)
    teller.start()
    error = busy(scope)
    teller.join()
    assert f"pid {os.getpid()}" in error.message


def test_a_stranger_with_a_full_queue_keeps_nobody_waiting(
    scope: str, stranger: socket.socket
) -> None:
    askers = []
    for _ in range(8):
        asker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        asker.setblocking(False)
        askers.append(asker)
        try:
            asker.connect(stranger.getsockname())
        except BlockingIOError:
            break
    error = busy(scope)
    for asker in askers:
        asker.close()
    assert "holds port 8000" in error.message


def test_what_a_holder_says_drives_no_terminal(scope: str) -> None:
    hostile = LockHolder.ourselves("r\x1b]0;x\x07", "http://h/\x9b31m\u202e", "s")
    with target_lock(HERE, 8000, hostile, scope):
        assert busy(scope).message.isprintable()


def test_words_come_back_as_they_were_said() -> None:
    assert read_words(b'{"pid": 1, "pid_started": 2, "run": "r", "url": "u", "started": "s"}')
    assert read_words(b'{"pid": 1}') is None


def test_a_lock_is_let_go_when_what_it_was_held_for_fails(scope: str) -> None:
    with pytest.raises(ZeroDivisionError), target_lock(HERE, 8000, ME, scope):
        raise ZeroDivisionError
    with target_lock(HERE, 8000, ME, scope):
        pass
