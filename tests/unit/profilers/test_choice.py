"""Which profilers fit which target: a table, asked with stand-ins for the tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest

from perfhunt.model.run import Process, TargetProcess
from perfhunt.profilers import choose as choosing
from perfhunt.profilers.choose import choose
from perfhunt.profilers.profiler import PROFILERS, Capture, Profiler
from perfhunt.profilers.py_spy.profiler import PySpyProfiler


class Tool:
    """A profiler that can be used, or says why not."""

    needs: tuple[str, ...] = ()
    help = "stands in"
    runtimes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("cpu",)

    def __init__(self, name: str, why: str = "", opens: str = "") -> None:
        self.name, self.why, self.opens = name, why, opens

    def available(self, pids: Sequence[int] = ()) -> str:
        return self.why

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: str, out: Path
    ) -> Capture:
        raise AssertionError("a plan attaches nothing")


def tools(monkeypatch: pytest.MonkeyPatch, **why: str) -> None:
    names = {
        name: Tool(name, why.get(name.replace("-", "_"), ""), PROFILERS[name].opens)
        for name in PROFILERS
    }
    table: Mapping[str, Profiler] = MappingProxyType(names)
    monkeypatch.setattr(choosing, "PROFILERS", table)


def target(runtime: str, version: str = "", threads: int = 1, workers: int = 1) -> TargetProcess:
    processes = tuple(
        Process(10 + i, 1, 1.0, "", (), "/", 0, threads, runtime, version) for i in range(workers)
    )
    return TargetProcess(1, processes, (), tuple(one.pid for one in processes), runtime, version)


@pytest.mark.parametrize(
    ("threads", "version", "mode"),
    [
        (1, "3.12.1", "cpu"),
        (8, "3.12.1", "cpu"),
        (9, "3.12.1", "gil"),
        (2, "3.10.13", "gil"),
        (2, "3.14.0", "cpu"),
    ],
)
def test_the_mode_of_py_spy_follows_the_thread_count_and_what_the_version_can_tell(
    monkeypatch: pytest.MonkeyPatch, threads: int, version: str, mode: str
) -> None:
    tools(monkeypatch)
    plan = choose(target("cpython", version, threads, workers=2))
    assert [(use.profiler, use.mode, use.pids) for use in plan.profilers] == [
        ("py-spy", mode, (10, 11))
    ]
    assert plan.instants and plan.reasons


@pytest.mark.parametrize(
    ("runtime", "missing", "chosen"),
    [
        ("cpython", {}, ["py-spy"]),
        ("cpython", {"py_spy": "not installed"}, ["perf"]),
        ("go", {}, ["go"]),
        ("go", {"go": "serves none"}, ["perf"]),
        ("jvm", {}, ["jvm"]),
        ("native", {}, ["perf"]),
        ("", {"perf": "may not"}, []),
        ("node", {}, ["perf"]),  # the inspector is opened only when that was allowed
    ],
)
def test_the_best_profiler_that_can_be_used_is_chosen(
    monkeypatch: pytest.MonkeyPatch, runtime: str, missing: dict[str, str], chosen: list[str]
) -> None:
    tools(monkeypatch, **missing)
    plan = choose(target(runtime))
    assert [use.profiler for use in plan.profilers] == chosen
    for why in missing.values():
        assert why in plan.reasons


def test_a_door_into_the_target_is_opened_only_when_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools(monkeypatch)
    refused, allowed = choose(target("node")), choose(target("node"), opened=True)
    assert any("opens Node's inspector" in reason for reason in refused.reasons)
    assert [use.profiler for use in allowed.profilers] == ["node"]


def test_every_profiler_says_what_it_is_and_keys_its_own_row() -> None:
    assert "py-spy" in PROFILERS
    for name, profiler in PROFILERS.items():
        assert profiler.name == name and profiler.help and profiler.runtimes and profiler.modes
    with pytest.raises(ValueError, match="no mode"):
        PySpyProfiler().attach([1], 1, 100, "sideways", Path("unused"))
