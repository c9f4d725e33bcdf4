"""Story two on real processes: started, loaded, judged and gone afterwards; and commands timed by
the kernel's own account.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from perfhunt.analysis.verdict.endpoints import Elasticities
from perfhunt.analysis.verdict.pairs import SlicePlan
from perfhunt.errors import PerfhuntError, Stopped, TargetDied, UsageError
from perfhunt.jobs.bench.measuring import measure
from perfhunt.jobs.bench.request import BenchRequest
from perfhunt.jobs.verify.starter import CommandStarter
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.verdict.verdict import Word
from perfhunt.stories.pair_bench import PairBench
from perfhunt.stories.paired_question import PairedQuestion
from perfhunt.stories.verification import verify_paired
from perfhunt.target.command_timer import Command, time_command
from perfhunt.target.launch import (
    ServiceCommand,
    await_ready,
    check_alive,
    end,
    free_port,
    healthy,
    launch,
    running,
)
from perfhunt.target.proc.sockets import connection_ports
from tests.live.running import until

pytestmark = pytest.mark.live

SERVICE = """
import http.server, os, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        sum(i * i for i in range(int(os.environ["WORK"])))
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
URL = "http://127.0.0.1:8000"
QUESTION = Question(
    Target(URL),
    (RequestTemplate("page", "GET", "/"),),
    Slo((Objective(Measure.LATENCY, "p99", "<=", 0.5),)),
)
# Short slices: the change is fourfold, so that it takes no precision to see.
PLAN = SlicePlan(knee=40.0, saturating=60.0, seed=1, seconds=2.0, burst=1.5, settle=0.5, warmup=0.5)


def command(name: str, directory: Path, work: int) -> ServiceCommand:
    (directory / "service.py").write_text(SERVICE)
    return ServiceCommand(name, (sys.executable, "service.py"), directory, {"WORK": str(work)})


def listening(directory: Path) -> list[psutil.Process]:
    return [
        p
        for p in psutil.process_iter(["cwd"])
        if p.info["cwd"] == str(directory) and p.status() != psutil.STATUS_ZOMBIE
    ]


def test_a_fourfold_faster_version_is_kept_and_both_versions_are_gone_afterwards(
    tmp_path: Path,
) -> None:
    commands = {
        "base": command("base", tmp_path, 60_000),
        "head": command("head", tmp_path, 15_000),
    }
    bench = PairBench(
        starter=CommandStarter(commands, tmp_path / "logs"),
        engine=LocustEngine,
        clock=time.monotonic,
        directory=tmp_path / "raw",
    )
    verdict = verify_paired(
        PairedQuestion(QUESTION, PLAN, Elasticities(), "latency.p99"), bench, budget=45.0
    )
    cpu = verdict.effect("cpu")
    assert cpu is not None
    assert 0.8 < cpu.speed.value < 8.0
    assert verdict.word is Word.KEEP
    assert listening(tmp_path) == []


def test_a_service_listens_on_its_port_and_ends_with_all_its_children(tmp_path: Path) -> None:
    script = (
        f'{sys.executable} -c "import time; time.sleep(600)" & exec {sys.executable} -m http.server'
        " $PORT --bind 127.0.0.1"
    )
    service = launch(
        ServiceCommand("head", ("/bin/sh", "-c", script), tmp_path), free_port(), tmp_path / "log"
    )
    try:
        await_ready(service)
        assert len(listening(tmp_path)) >= 2
    finally:
        end(service)
    assert listening(tmp_path) == []


def test_a_service_that_cannot_be_started_is_refused_at_once(tmp_path: Path) -> None:
    missing = ServiceCommand("head", (f"{tmp_path}/nothing",), tmp_path)
    with pytest.raises(UsageError, match="cannot be started"):
        launch(missing, free_port(), tmp_path / "log")


def test_a_process_that_left_the_session_of_its_service_ends_with_it(tmp_path: Path) -> None:
    script = (
        f"setsid {sys.executable} -c 'import time; time.sleep(600)' & "
        f"exec {sys.executable} -m http.server $PORT --bind 127.0.0.1"
    )
    command = ServiceCommand("head", ("/bin/sh", "-c", script), tmp_path)
    with running(command, tmp_path / "log") as service:
        assert until(lambda: len(listening(tmp_path)) >= 2, within=5.0)
        assert service.url == f"http://127.0.0.1:{service.port}"
    assert until(lambda: listening(tmp_path) == [], within=2.0)


def test_a_service_may_say_itself_when_it_is_ready(tmp_path: Path) -> None:
    (tmp_path / "up").touch()
    words = (sys.executable, "-m", "http.server", "$PORT", "--bind", "127.0.0.1")
    service = launch(ServiceCommand("head", words, tmp_path), free_port(), tmp_path / "log")
    try:
        await_ready(service, ready=healthy("/up"))
        with pytest.raises(UsageError, match="did not listen"):
            await_ready(service, within=0.3, ready=healthy("/down"))
    finally:
        end(service)


def test_a_port_that_is_taken_is_not_the_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        assert free_port(port) != port
    assert free_port(port) == port


def test_a_service_that_ends_at_once_is_refused_with_its_own_last_words(tmp_path: Path) -> None:
    words = ("/bin/sh", "-c", "echo no such table: shop >&2; exit 3")
    service = launch(ServiceCommand("head", words, tmp_path), free_port(), tmp_path / "log")
    with pytest.raises(UsageError, match="exit code 3") as refused:
        await_ready(service)
    assert "no such table: shop" in refused.value.hint
    end(service)


def test_a_service_that_never_listens_on_the_port_is_told_how_to(tmp_path: Path) -> None:
    service = launch(
        ServiceCommand("head", ("sleep", "60"), tmp_path), free_port(), tmp_path / "log"
    )
    with pytest.raises(UsageError) as refused:
        await_ready(service, within=0.5)
    assert "$PORT" in refused.value.hint
    end(service)
    assert listening(tmp_path) == []


def test_a_command_that_builds_first_has_as_long_as_it_works(tmp_path: Path) -> None:
    build = "import time\nwhile time.process_time() < 1.9: pass"
    script = f"{sys.executable} -c '{build}'; exec {sys.executable} -m http.server $PORT"
    words = ("/bin/sh", "-c", f"{script} --bind 127.0.0.1")
    service = launch(ServiceCommand("head", words, tmp_path), free_port(), tmp_path / "log")
    try:
        assert await_ready(service, within=1.6) > 1.6
    finally:
        end(service)


def test_a_stop_while_waiting_for_a_service_is_obeyed(tmp_path: Path) -> None:
    service = launch(
        ServiceCommand("head", ("sleep", "60"), tmp_path), free_port(), tmp_path / "log"
    )
    with pytest.raises(Stopped):
        await_ready(service, stop=lambda: "stopped by Ctrl-C")
    end(service)


def test_a_service_that_was_killed_is_missed_with_its_exit_code(tmp_path: Path) -> None:
    service = launch(command("head", tmp_path, 1), free_port(), tmp_path / "log")
    await_ready(service)
    service.process.signal(signal.SIGKILL)
    service.process.wait()
    with pytest.raises(TargetDied, match="exit code -9"):
        check_alive(service)
    end(service)


def test_cpu_time_and_peak_memory_are_the_kernels_own_account(tmp_path: Path) -> None:
    said = tmp_path / "cpu"
    # A peak below this process's own cannot be seen (Linux carries it through fork and exec), and
    # after hundreds of tests that may be a few hundred MB.
    size = 100_000_000 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    burn = (
        f"import time\nx = bytearray({size})\nwhile time.process_time() < 0.3: pass\n"
        f"open({str(said)!r}, 'w').write(str(time.process_time()))"
    )
    run = time_command(Command("burn", (sys.executable, "-c", burn)))
    assert run.cpu is not None
    assert run.peak_rss is not None
    own = float(said.read_text())
    assert own <= run.cpu < 2 * own  # giving the memory back is not in what it could say itself
    assert size < run.peak_rss < size + 80_000_000
    assert run.wall >= run.cpu * 0.9
    assert run.exit_code == 0


def test_sleeping_costs_wall_clock_and_no_cpu() -> None:
    run = time_command(Command("sleep", ("sleep", "0.2")))
    assert run.wall >= 0.2
    assert run.cpu is not None
    assert run.cpu < 0.1


def test_a_command_over_its_time_is_ended_with_its_children(tmp_path: Path) -> None:
    words = ("/bin/sh", "-c", "sleep 60 & sleep 60")
    with pytest.raises(PerfhuntError, match="longer than"):
        time_command(Command("slow", words, tmp_path), timeout=0.3)
    assert until(lambda: listening(tmp_path) == [], within=2.0)


def test_commands_take_turns_in_abba_order_after_a_warm_up_that_does_not_count(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    commands = tuple(Command(n, ("/bin/sh", "-c", f"echo {n} >> {log}")) for n in ("a", "b"))
    found = measure(commands, BenchRequest(("echo",), runs=4, warmup=1))
    assert log.read_text().split() == ["a", "b", "a", "b", "b", "a", "a", "b", "b", "a"]
    assert [len(t.runs) for t in found] == [4, 4]


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot be started"):
        time_command(Command("none", (os.devnull + "/none",)))


def test_a_port_for_a_service_is_none_that_a_connection_may_be_given_meanwhile() -> None:
    first, last = connection_ports()
    if first <= 10_000 and last >= 65_000:
        pytest.skip(f"connections are given all ports here ({first} to {last})")
    assert not any(first <= free_port() <= last for _ in range(20))
