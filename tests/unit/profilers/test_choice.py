"""Which profilers fit which target: a table, asked with stand-ins for the tools."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from perfhunt.model.profile import ProfileMode
from perfhunt.model.run import Application, Process, TargetProcess
from perfhunt.profilers import choose as choosing
from perfhunt.profilers.choose import AttachPlan, choose
from perfhunt.profilers.profiler import Capture, Profiler
from perfhunt.profilers.py_spy.profiler import PySpyProfiler
from perfhunt.profilers.table import PROFILERS, versions


class StandIn(Profiler):
    """A profiler of the table that can be used, or says why not."""

    def __init__(self, real: Profiler, why: str) -> None:
        self.real, self.why = real, why
        self.name, self.opens, self.runtimes = real.name, real.opens, real.runtimes
        self.needs, self.suffix, self.help, self.modes = (), real.suffix, "stands in", real.modes

    def is_for(self, target: TargetProcess) -> bool:
        return self.real.is_for(target)

    def available(self, pids: Sequence[int] = ()) -> str:
        return self.why

    def mode_for(self, target: TargetProcess) -> tuple[ProfileMode, str]:
        return self.real.mode_for(target)

    def attach(
        self, pids: Sequence[int], seconds: int, rate_hz: int, mode: ProfileMode, out: Path
    ) -> Capture:
        raise AssertionError("a plan attaches nothing")


def tools(monkeypatch: pytest.MonkeyPatch, **why: str) -> None:
    stand_ins = {
        name: StandIn(real, why.get(name.replace("-", "_"), "")) for name, real in PROFILERS.items()
    }
    monkeypatch.setattr(choosing, "PROFILERS", MappingProxyType(stand_ins))


def chosen_by(plan: AttachPlan) -> list[str]:
    return [plan.profiler.name] if plan.profiler else []


def target(runtime: str, version: str = "", threads: int = 1, workers: int = 1) -> TargetProcess:
    processes = tuple(
        Process(10 + i, 1, 1.0, "", (), "/", 0, threads, runtime, version) for i in range(workers)
    )
    return TargetProcess(1, processes, (), tuple(one.pid for one in processes), runtime, version)


@pytest.mark.parametrize(
    ("threads", "version", "mode"),
    [
        (1, "3.12.1", ProfileMode.CPU),
        (8, "3.12.1", ProfileMode.CPU),
        (9, "3.12.1", ProfileMode.GIL),
        (2, "3.10.13", ProfileMode.GIL),
        (2, "3.14.0", ProfileMode.CPU),
    ],
)
def test_the_mode_of_py_spy_follows_the_thread_count_and_what_the_version_can_tell(
    monkeypatch: pytest.MonkeyPatch, threads: int, version: str, mode: ProfileMode
) -> None:
    tools(monkeypatch)
    plan = choose(target("cpython", version, threads, workers=2))
    assert chosen_by(plan) == ["py-spy"]
    assert plan.mode is mode
    assert plan.looks and plan.because


def test_a_program_with_tokios_console_in_it_is_asked_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    linked = Application(libraries=("console_subscriber::", "tokio::"))
    tools(monkeypatch)
    assert chosen_by(choose(replace(target("native"), application=linked))) == ["tokio-console"]
    tools(monkeypatch, tokio_console="does not answer")
    plan = choose(replace(target("native"), application=linked))
    assert chosen_by(plan) == ["perf"]
    assert "does not answer" in plan.reasons


@pytest.mark.parametrize(
    ("runtime", "tool"), [("ruby", "rbspy"), ("php", "phpspy"), ("dotnet", "dotnet-trace")]
)
def test_who_sees_the_functions_of_a_runtime_that_nothing_here_does_is_said_with_the_command(
    monkeypatch: pytest.MonkeyPatch, runtime: str, tool: str
) -> None:
    tools(monkeypatch)
    plan = choose(target(runtime))
    assert chosen_by(plan) == ["perf"]
    assert any(f"{tool} " in reason and "10" in reason for reason in plan.reasons)
    assert any("perfhunt flamegraph" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    ("runtime", "missing", "chosen"),
    [
        ("cpython", {}, ["py-spy"]),
        ("cpython", {"py_spy": "not installed"}, ["looks"]),
        ("cpython", {"py_spy": "not installed", "looks": "not readable"}, ["perf"]),
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
    assert chosen_by(plan) == chosen
    for why in missing.values():
        assert why in plan.reasons


def test_a_door_into_the_target_is_opened_only_when_that_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools(monkeypatch)
    refused, allowed = choose(target("node")), choose(target("node"), opened=True)
    assert any("opens Node's inspector" in reason for reason in refused.reasons)
    assert chosen_by(allowed) == ["node"]


def test_every_profiler_says_what_it_is_and_keys_its_own_row() -> None:
    assert "py-spy" in PROFILERS
    for name, profiler in PROFILERS.items():
        assert profiler.name == name and profiler.help and profiler.runtimes and profiler.modes
        assert profiler.suffix.startswith(".")
    with pytest.raises(ValueError, match="no mode"):
        PySpyProfiler().attach([1], 1, 100, ProfileMode.NONE, Path("unused"))
    assert set(versions()) <= set(PROFILERS) and all(versions().values())


@pytest.mark.parametrize(
    ("mode", "threads", "then"),
    [
        (ProfileMode.CPU, 2, ProfileMode.CPU),
        (ProfileMode.CPU, 3, ProfileMode.GIL),
        (ProfileMode.GIL, 1, ProfileMode.GIL),
        (ProfileMode.WALL, 9, ProfileMode.WALL),
    ],
)
def test_threads_that_contend_are_sampled_by_the_gil(
    mode: ProfileMode, threads: int, then: ProfileMode
) -> None:
    assert PySpyProfiler().mode_under_load(mode, threads) == then
    assert PROFILERS["perf"].mode_under_load(ProfileMode.CPU, threads) == ProfileMode.CPU
