"""Tools that look from inside, each on a service with a planted hot line, leak and wait."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.inside.look import LineUse
from perfhunt.model.question import ProcessSelector
from perfhunt.profilers.inside import agent
from perfhunt.profilers.inside.agent import sitecustomize
from perfhunt.profilers.inside.interpreter import imports, python_command
from perfhunt.profilers.inside.pyinstrument import PyinstrumentProfiler
from perfhunt.profilers.inside.scalene import ScaleneProfiler
from perfhunt.profilers.inside.talk import ask
from perfhunt.profilers.inside.tool import InsideProfiler, Sight
from perfhunt.profilers.inside.tracemalloc import TracemallocProfiler
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand, await_ready, end, free_port, launch
from tests.live.running import until

pytestmark = [pytest.mark.live, pytest.mark.beside]

HERE = Path(__file__).parent / "launched_targets"
LEAKY = HERE / "leaky.py"
REQUESTS = 40  # a window
MANY = 100_000  # turns, for two hundred samples of a function: one each 10 ms
PAUSE = 0.02  # seconds, that `pause` awaits


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty directory whose name is short enough for a socket in it."""
    return tmp_path_factory.mktemp("i")


def leaky(kind: str, turns: int = 20_000) -> ServiceCommand:
    words = (sys.executable, str(LEAKY), kind, "{port}", str(turns))
    return ServiceCommand("leaky", words, HERE)


def seen(tool: InsideProfiler, command: ServiceCommand, log: Path, windows: int = 1) -> Sight:
    """What a tool sees of so many windows of requests, one after another."""
    service = launch(tool.under(command), free_port(), log)
    try:
        await_ready(service)
        send(service.port, 5)
        tool.begin(find_target(ProcessSelector(pid=service.pid)))
        for _ in range(windows):
            send(service.port, REQUESTS)
            tool.mark()
        tool.take()
    finally:
        end(service, tool.grace)
    return tool.sight(REQUESTS * windows, 1.0)


def send(port: int, times: int) -> None:
    for _ in range(times):
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        link.request("GET", "/")
        assert link.getresponse().read() == b"ok"
        link.close()


def of(lines: tuple[LineUse, ...], function: str) -> list[LineUse]:
    return [line for line in lines if line.function == function]


def needs_scalene() -> None:
    if not imports(python_command(leaky("serial")), "scalene", HERE):
        pytest.skip(f"{sys.executable} has no scalene")


def test_scalene_puts_the_time_of_the_hot_function_on_its_lines(short: Path) -> None:
    needs_scalene()
    sight = seen(ScaleneProfiler(short), leaky("serial", MANY), short / "log", 3)
    assert not sight.missing
    # Of what ran Python: what lines waited for is decided by whatever else the machine does.
    spun, every = (
        sum(line.python or 0.0 for line in lines)
        for lines in (of(sight.lines, "spin"), sight.lines)
    )
    assert spun > 0.5 * every > 0
    assert sum(line.cpu for line in sight.lines) == pytest.approx(1.0)
    # A sample each MiB: which of the lines that allocate it falls on is chance.
    assert {line.function for line in sight.lines if line.allocated} & {"keep", "remember"}
    assert all(not line.allocated for line in of(sight.lines, "spin"))


def test_scalene_is_not_believed_where_other_threads_do_the_work(short: Path) -> None:
    needs_scalene()
    sight = seen(ScaleneProfiler(short), leaky("threads"), short / "log", 3)
    assert not sight.lines
    assert "other threads than the main" in sight.missing


@pytest.mark.parametrize("kind", ["tasks", "uvloop"])
def test_pyinstrument_tells_what_a_task_does_from_what_it_awaits(short: Path, kind: str) -> None:
    if kind == "uvloop":  # a loop without Python frames
        pytest.importorskip("uvloop")
    sight = seen(PyinstrumentProfiler(short), leaky(kind), short / "log")
    assert sight.request is not None
    assert sight.request.function == "handle"
    assert sight.request.n >= 5
    (paused,) = of(sight.lines, "pause")
    assert (paused.awaiting or 0.0) >= 0.9 * PAUSE
    assert (paused.running or 0.0) < 0.2 * PAUSE
    # Not what runs when it goes on: `spin` awaits nothing.
    assert not any(line.awaiting for line in of(sight.lines, "spin"))
    assert sum(line.running or 0.0 for line in of(sight.lines, "spin")) > 0
    assert sight.request.seconds >= PAUSE


def test_pyinstrument_follows_a_thread_for_each_request(short: Path) -> None:
    sight = seen(PyinstrumentProfiler(short), leaky("threads"), short / "log")
    assert sight.request is None
    spun, kept = (
        sum(line.running or 0.0 for line in of(sight.lines, name)) for name in ("spin", "keep")
    )
    assert spun > 2 * kept


def test_tracemalloc_names_the_line_that_leaks_and_not_the_one_that_remembers(short: Path) -> None:
    sight = seen(TracemallocProfiler(short), leaky("threads"), short / "log", 3)
    (kept,) = [line for line in sight.lines if line.leak]
    assert kept.function == "keep"
    assert "KEPT.append" in LEAKY.read_text().splitlines()[(kept.line or 0) - 1]
    # 100 kB and the head of a bytearray for each request.
    assert sum(kept.held) == pytest.approx(3 * REQUESTS * 100_000, rel=0.1)
    assert all(not line.leak for line in of(sight.lines, "remember"))


def test_a_python_that_does_not_heed_pythonpath_is_said_to_be_silent(short: Path) -> None:
    isolated = ServiceCommand("leaky", (sys.executable, "-I", str(LEAKY), "serial", "{port}"), HERE)
    with pytest.raises(AttachFailed, match="no Python of the service answers"):
        seen(TracemallocProfiler(short), isolated, short / "log")


FORKED = """
import os, sys, time
if os.fork() == 0:
    pass
os.write(1, b"%r\\n" % getattr(sys, "theirs", False))  # both at once may write
sys.stdin.read()
"""


def test_what_forks_answers_too_and_the_services_own_sitecustomize_runs(
    short: Path,
) -> None:
    (short / "own").mkdir()
    (short / "own" / "sitecustomize.py").write_text("import sys\nsys.theirs = True\n")
    paths = os.pathsep.join([str(Path(agent.__file__).parent), str(short / "own")])
    around = {sitecustomize.DIRECTORY: str(short), sitecustomize.TOOL: "tracemalloc"}
    child = subprocess.Popen(
        [sys.executable, "-c", FORKED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, **around},
    )
    try:
        assert child.stdout is not None
        assert [child.stdout.readline(), child.stdout.readline()] == ["True\n", "True\n"]
        assert until(lambda: len(list(short.glob("*.sock"))) == 2, 10)
        assert len(ask(short, "begin")) == 2
    finally:
        child.communicate("")
