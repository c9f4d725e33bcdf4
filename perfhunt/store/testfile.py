"""The test file on disk: `perfhunt.toml`, or `[tool.perfhunt]` of `pyproject.toml`, with the feeds
beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from perfhunt.errors import QuestionError, Unreadable
from perfhunt.model.question import Question
from perfhunt.model.redact import Mark
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.model.units import Bytes
from perfhunt.store.digest_key import FORGOTTEN
from perfhunt.store.files import regular_bytes
from perfhunt.store.listing import FILE_NAME, LARGEST_TEST_FILE, TABLE, find_test_file

_LARGEST_FEED: Bytes = 256 << 20  # it is held in memory by every load process


def read_question(
    path: Path | None,
    directory: Path,
    env: Mapping[str, str],
    pid: int | None = None,
    mark: Mark = FORGOTTEN,
) -> Question:
    """The question of a test file (None: the one that applies in `directory`). Paths in it start
    from its own directory.

    `mark` stands for what no store keeps of it (`digest_key.mark_of`). `pid` only makes the advice
    in a refusal exact. Raises QuestionError (exit 104): no file, unreadable, wrong, or no SLO.
    """
    file = path if path is not None else find_test_file(directory)
    write_one = f"Write one for the live service: perfhunt init --pid {pid or 'PID'}"
    if file is None:
        raise QuestionError(
            f"there is no {FILE_NAME} in {directory},"
            " so there is no SLO to judge by; nothing was sent",
            write_one,
        )
    try:
        text = regular_bytes(file, LARGEST_TEST_FILE).decode("utf-8-sig")
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}", write_one) from error
    except Unreadable as error:
        raise QuestionError(error.message, error.hint) from error
    except UnicodeDecodeError as error:
        raise QuestionError(
            f"{file} is not UTF-8 (byte {error.start})", "Save it as UTF-8 and run again."
        ) from error
    around = Surroundings(env, lambda name: _read(Path(name)), _base(file))
    table = TABLE if file.name == "pyproject.toml" else ""
    try:
        return parse_question(text, _shown(file), around, table).marked(mark)
    except QuestionError as error:
        error.hint = error.hint.replace("--pid PID", f"--pid {pid}") if pid else error.hint
        raise


def _base(file: Path) -> str:
    """Where paths in a file start from; relative where its full name is not UTF-8, for the load
    child's messages are.
    """
    base = str(file.resolve().parent)
    try:
        base.encode()
    except UnicodeEncodeError:
        return os.path.relpath(base)
    return base


def _read(path: Path) -> bytes:
    try:
        return regular_bytes(path, _LARGEST_FEED)
    except Unreadable as error:
        raise OSError(f"larger than {_LARGEST_FEED >> 20} MiB") from error


def _shown(path: Path) -> str:
    """The path as a message names it: relative where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
