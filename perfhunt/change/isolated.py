"""Files of others are read in a child process with limits of time, memory and depth, so that no
text can hang, fill or crash the one who asks. What cannot be read within them counts as one edit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, TypeAlias

import msgspec

from perfhunt.change.paths import Role
from perfhunt.change.readers.every import ReadingTask, tasks_of, whole
from perfhunt.change.readers.packages.atoms import is_read_lock
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import json_value
from perfhunt.model.units import Bytes, Seconds
from perfhunt.target.proc.files import reader_until

_COMMAND = ("-P", "-m", "perfhunt.change.readers")  # -P: the directory we are in is not ours
_LARGEST: Bytes = 128 << 20  # of its answers
_CHUNK: Bytes = 1 << 20
_SAID: Bytes = 400
# Of its first task; the child gives itself less than half of it, in CPU time. Other work on the
# host may hold it up.
_LEAST_WAIT: Seconds = 30.0
_WAIT_PER_CHARACTER: Seconds = 3e-5
_PATIENCE: Seconds = 60.0  # for all files that cannot be read, after which the others are not tried

Answer: TypeAlias = FileAtoms | str  # what was read, or why not, as the end of a sentence


def read_apart(
    by_role: Mapping[Role, Sequence[FileTexts]], present: Collection[str]
) -> list[FileAtoms]:
    """The atoms of files by their role; `present` are the paths of the newer tree."""
    tasks = tasks_of(by_role)
    locks = sorted(filter(is_read_lock, present))
    end = time.monotonic() + _PATIENCE
    answers = _answers(tasks, locks, end)
    return [
        atoms
        for task, answer in zip(tasks, answers, strict=True)
        for atoms in (
            [answer] if isinstance(answer, FileAtoms) else _retried(task, answer, locks, end)
        )
    ]


def _retried(
    task: ReadingTask, why: str, locks: Sequence[str], end: Seconds
) -> Iterator[FileAtoms]:
    """A task that failed: each file on its own tells which of them cannot be read, and the others
    are read together once more.
    """
    alone = [ReadingTask(task.role, (texts,)) for texts in task.files]
    tried: list[Answer] = _answers(alone, locks, end) if len(alone) > 1 else [why]
    pairs = list(zip(task.files, tried, strict=True))
    left = tuple(texts for texts, answer in pairs if isinstance(answer, FileAtoms))
    again: Answer = why
    if 0 < len(left) < len(alone):
        again = _answers([ReadingTask(task.role, left)], locks, end)[0]
    if isinstance(again, FileAtoms):
        yield again
        pairs = [(texts, answer) for texts, answer in pairs if texts not in left]
    for texts, answer in pairs:
        yield whole(texts, task.role, answer if isinstance(answer, str) else str(again))


def _answers(tasks: Sequence[ReadingTask], locks: Sequence[str], end: Seconds) -> list[Answer]:
    """What came of each task. A child that ends before its time ends at one of them; the rest is
    asked of another child.
    """
    answers: list[Answer] = []
    while len(answers) < len(tasks):
        if answers and time.monotonic() > end:
            answers += ["was not read: others took too long"] * (len(tasks) - len(answers))
            break
        answers += _one_child(tasks[len(answers) :], locks)
    return answers


def _one_child(tasks: Sequence[ReadingTask], locks: Sequence[str]) -> list[Answer]:
    """The answers of one child, the last of them the reason if it ended at that task."""
    asked = {"tasks": msgspec.to_builtins(tasks), "present": locks}
    answers: list[Answer] = []
    with tempfile.TemporaryFile("w+", encoding="ascii") as orders, tempfile.TemporaryFile() as said:
        json.dump(asked, orders)
        orders.seek(0)
        child = subprocess.Popen(
            [sys.executable, *_COMMAND], stdin=orders, stdout=subprocess.PIPE, stderr=said
        )
        assert child.stdout is not None
        try:
            with child.stdout as output:
                for answer in _received(output, tasks):
                    answers.append(answer)  # noqa: PERF402 - those before a bad one count
        except (OSError, ValueError, Unreadable, msgspec.ValidationError) as error:
            answers.append(f"was not read ({error})")
        finally:
            child.kill()
            code = child.wait()
        if len(answers) < len(tasks) and not (answers and isinstance(answers[-1], str)):
            answers.append(_why(code, os.pread(said.fileno(), _SAID, 0).decode(errors="replace")))
    return answers


def _received(output: IO[bytes], tasks: Sequence[ReadingTask]) -> Iterator[FileAtoms]:
    """The answers as they come, until the child ends. Raises OSError when one is late."""
    line, left = b"", _LARGEST
    for task in tasks:
        wait = _LEAST_WAIT + task.size * _WAIT_PER_CHARACTER
        read = reader_until(output.fileno(), time.monotonic() + wait)
        parts = [line]
        while b"\n" not in parts[-1]:
            chunk = read(_CHUNK)
            left -= len(chunk)
            if not chunk or left < 0:
                return
            parts.append(chunk)
        answer, _, line = b"".join(parts).partition(b"\n")
        yield msgspec.convert(json_value(answer, "the answer"), FileAtoms)


def _why(code: int, said: str) -> str:
    """What a child's end says of the file it was at."""
    if code == -signal.SIGXCPU:
        return "takes more time to read than any file should"
    if code < 0:
        return f"ended its reader by {signal.Signals(-code).name}"
    return f"cannot be read ({said.strip().rpartition(chr(10))[2].rstrip(': ') or 'no reason'})"
