"""What is made of the answers from inside a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profiles.readers.python.pyinstrument import read_pyinstrument
from perfhunt.model.profiles.readers.python.scalene import ScaleneError, scalene_lines
from perfhunt.profilers.inside import pyinstrument, tracemalloc
from perfhunt.profilers.inside.enclosing import function_at
from perfhunt.profilers.inside.pyinstrument import PyinstrumentProfiler
from perfhunt.profilers.inside.tracemalloc import TracemallocProfiler

KIB = 1 << 10
SOURCE = "class Shop:\n    def price(self):\n        return 1\n"
NESTED = "def outer():\n    def inner():\n        return 1\n    return inner\nKEPT = []\n"


def memory(
    monkeypatch: pytest.MonkeyPatch, levels: list[dict[int, int]], file: str = "/srv/app.py"
) -> dict[int, tuple[tuple[int, ...], bool]]:
    """Line -> what it held more in each window, and whether that is a leak."""
    tool = TracemallocProfiler(Path())
    for level in levels:
        rows = [[[[file, line]], size] for line, size in level.items()]
        monkeypatch.setattr(tracemalloc, "ask", lambda _, word, rows=rows: [rows, rows])
        tool.mark()
    return {line.line or 0: (line.held, line.leak) for line in tool.sight(1.0, 1.0).lines}


def test_a_leak_grows_in_every_window_and_processes_are_added_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    levels = [{7: 50 * KIB}, {7: 100 * KIB}, {7: 150 * KIB}]
    assert memory(monkeypatch, levels) == {7: ((100 * KIB, 100 * KIB, 100 * KIB), True)}


@pytest.mark.parametrize(
    "levels",
    [[100, 100, 100], [90, 110, 112], [10, 100, 101], [60, 20, 100]],
    ids=["working set", "cache that fills", "burst", "comes and goes"],
)
def test_what_does_not_grow_evenly_is_no_leak(
    monkeypatch: pytest.MonkeyPatch, levels: list[int]
) -> None:
    (seen,) = memory(monkeypatch, [{7: level * KIB} for level in levels]).values()
    assert not seen[1]


def test_little_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory(monkeypatch, [{7: KIB}, {7: 2 * KIB}, {7: 3 * KIB}]) == {}


def test_an_answer_of_another_shape_is_said_to_be_unreadable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracemalloc, "ask", lambda *_: [[["x"]]])
    with pytest.raises(AttachFailed, match="cannot be read"):
        TracemallocProfiler(Path()).mark()


def test_the_function_around_a_line_is_the_innermost(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(NESTED)
    app = str(tmp_path / "app.py")
    assert [function_at(app, line) for line in (1, 3, 4, 5)] == [
        "outer",
        "outer.inner",
        "outer",
        "",
    ]
    assert function_at(str(tmp_path / "gone.py"), 1) == ""
    (tmp_path / "shop.py").write_text(SOURCE)
    assert function_at(str(tmp_path / "shop.py"), 3) == "Shop.price"


def frame(function: str, file: str, line: int) -> str:
    return f"{function}\x00{file}\x001\x01l{line}"


HANDLE = frame("handle", "/srv/app.py", 10)
QUERY = frame("query", "/srv/db.py", 4)
SEND = frame("send", "/usr/lib/python3.11/asyncio/streams.py", 9)


def calls(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], completed: float = 10.0
) -> PyinstrumentProfiler:
    tool = PyinstrumentProfiler(Path())
    monkeypatch.setattr(pyinstrument, "ask", lambda *_: [answer])
    tool.take()
    return tool


def test_a_request_is_the_kind_of_task_that_runs_the_applications_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stacks = [
        ["handle", [HANDLE, QUERY, "[await]"], 0.4],
        ["handle", [HANDLE], 0.1],
        ["handle", [HANDLE, SEND], 0.1],
        ["handle", [], 0.3],
        ["accept", [SEND, "[await]"], 5.0],
        ["", [HANDLE], 9.0],
    ]
    tasks = [["handle", 20, 1.0], ["accept", 500, 5.0]]
    tool = calls(monkeypatch, {"stacks": stacks, "tasks": tasks, "dropped": 0.0})
    sight = tool.sight(10.0, 5.0)
    assert sight.request is not None
    assert (sight.request.function, sight.request.n) == ("handle", 20)
    assert sight.request.seconds == pytest.approx(0.05)
    running = {line.function: line.running for line in sight.lines}
    awaiting = {line.function: line.awaiting for line in sight.lines}
    assert running == {"query": 0.0, "handle": pytest.approx(0.01)}
    assert awaiting == {"query": pytest.approx(0.02), "handle": 0.0}
    assert sight.record is not None
    session = read_pyinstrument(json.loads(sight.record))
    assert sum(session.stacks.values()) == pytest.approx(0.9)


def test_of_threads_seconds_are_of_a_request_that_was_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle = [frame("<module>", "/srv/app.py", 99), frame("select", "/usr/lib/python3.11/s.py", 1)]
    stacks = [["", [HANDLE], 0.5], ["", idle, 60.0]]
    tool = calls(monkeypatch, {"stacks": stacks, "tasks": [], "dropped": 2.0})
    sight = tool.sight(50.0, 5.0)
    assert sight.request is None
    assert [(line.function, line.running) for line in sight.lines] == [("handle", 0.01)]
    assert "2.0 s of stacks were too many" in sight.notes[0]


def scalene(**more: object) -> dict[str, Any]:
    lines: list[dict[str, float]] = [
        {"lineno": 7, "n_cpu_percent_python": 30.0, "n_cpu_percent_c": 6.0, "n_sys_percent": 4.0},
        {"lineno": 9, "n_cpu_percent_c": 10.0, "n_malloc_mb": 20.0, "n_copy_mb_s": 1.5},
        {"lineno": 10},
    ]
    lines[0]["start_function_line"] = 3
    functions = [{"line": "Shop.price", "lineno": 3}]
    files = {"/srv/app.py": {"lines": lines, "functions": functions}}
    return {"elapsed_time_sec": 10.0, "files": files, **more}


def test_the_shares_of_scalenes_lines_are_of_what_it_saw_in_them() -> None:
    first, second = scalene_lines(scalene())
    assert (first.line, first.function) == (7, "price")
    assert [first.python, first.native, first.system] == pytest.approx([0.6, 0.12, 0.08])
    assert (second.line, second.function, second.native) == (9, "<module>", 0.2)
    assert (second.allocated, second.copied) == (2.0 * KIB * KIB, 1.5 * KIB * KIB)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_time_of_scalenes_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ScaleneError, match="the time it took"):
        scalene_lines(scalene(elapsed_time_sec=seconds))
