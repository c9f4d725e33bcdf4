"""Services that perfhunt starts itself: measured, looked into, and ended whatever happens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from perfhunt.errors import UsageError
from perfhunt.jobs.launched.service import launched
from perfhunt.target.launch import free_port
from tests.live.running import until

pytestmark = pytest.mark.live

LEAKY = str(Path(__file__).parent / "launched_targets" / "leaky.py")
QUICK = (
    'schema = 1\n[target]\nname = "leaky"\n[[traffic]]\nname = "page"\nrequest = "GET /"\n'
    '[slo]\nlatency = { p90 = "<= 2s" }\nmin_samples = 20\n[report]\nkeep_error_text = true\n'
    '[ramp]\nstart = "10/s"\nbudget = "4s"\nbaseline = "3s"\nhold = "4s"\n'
)


def perfhunt(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (directory / "perfhunt.toml").write_text(QUICK)
    return subprocess.run(
        [sys.executable, "-m", "perfhunt", *words], cwd=directory, capture_output=True, text=True
    )


def stored(directory: Path) -> dict[str, Any]:
    (found,) = (directory / ".perfhunt" / "runs").glob("*/run.json")
    document: dict[str, Any] = json.loads(found.read_text())
    return document


def leaky(kind: str = "serial", port: str = "{port}") -> tuple[str, ...]:
    return ("--", sys.executable, LEAKY, kind, port)


@pytest.mark.beside
def test_a_launched_service_is_measured_kept_and_ended(tmp_path: Path) -> None:
    done = perfhunt(tmp_path, "investigate", "--profile", "off", *leaky())
    run = stored(tmp_path)
    assert run["ended"] == "complete", done.stderr
    assert run["launched"]["command"][1].endswith("leaky.py")
    assert run["launched"]["directory"] == str(tmp_path)
    assert 0 < run["launched"]["ready"] < 30
    assert not psutil.pid_exists(run["target"]["root"])
    (log,) = (tmp_path / ".perfhunt" / "runs").glob("*/service.log")
    assert "the words of the log" in log.read_text()


@pytest.mark.beside
def test_killed_in_the_middle_perfhunt_leaves_no_service_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_text(QUICK)
    aside = tmp_path / "aside"
    aside.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-m", "perfhunt", "investigate", "--json", *leaky("threads")],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(aside)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    line = next(line for line in child.stdout if "started pid" in line)
    service = psutil.Process(int(line.partition("started pid ")[2].partition(",")[0]))
    assert any(aside.glob("*/service.log"))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert until(lambda: not service.is_running() and not any(aside.iterdir()), 10)


@pytest.mark.beside
def test_a_command_that_ends_before_it_listens_is_told_with_its_last_words(tmp_path: Path) -> None:
    told = "import sys; print('no database'); sys.exit(3)"
    done = perfhunt(tmp_path, "investigate", "--", sys.executable, "-c", told)
    assert done.returncode == 2
    assert "ended with exit code 3 before it listened" in done.stderr
    assert "no database" in done.stderr


@pytest.mark.beside
def test_a_port_that_somebody_has_already_is_told_with_who_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        done = perfhunt(tmp_path, "investigate", "--url", url, *leaky(port=str(port)))
    assert done.returncode == 2
    assert f"port {port} is taken already, by pid" in done.stderr


@pytest.mark.beside
def test_a_profile_finds_the_port_of_a_command_that_names_none(tmp_path: Path) -> None:
    done = perfhunt(tmp_path, "profile", "--seconds", "4", *leaky(port=str(free_port())))
    assert done.returncode == 0, done.stderr
    assert not psutil.pid_exists(stored(tmp_path)["target"]["root"])


TWO = """
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
class Page(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()
other = HTTPServer(("127.0.0.1", 0), Page)
Thread(target=other.serve_forever, daemon=True).start()
told = int(os.environ["PORT"]) if sys.argv[1] == "told" else 0
HTTPServer(("127.0.0.1", told), Page).serve_forever()
"""


@pytest.mark.beside
def test_load_goes_to_the_port_that_was_told_and_not_to_that_of_the_metrics() -> None:
    with launched((sys.executable, "-c", TWO, "told"), "") as service:
        told = next(at for at in service.target.listeners if f":{at.port}" in service.url)
        environment = Path(f"/proc/{service.pid}/environ").read_bytes().split(b"\0")
        assert f"PORT={told.port}".encode() in environment
        assert len(service.target.listeners) == 2


@pytest.mark.beside
def test_of_two_ports_that_nobody_named_none_is_taken_for_the_service() -> None:
    with (
        pytest.raises(UsageError, match="more than one of them answers plain HTTP") as refused,
        launched((sys.executable, "-c", TWO, "own"), ""),
    ):
        pass
    assert "--url http://127.0.0.1:" in refused.value.hint


@pytest.mark.beside
def test_a_daemon_is_told_apart_from_a_command_that_failed() -> None:
    leaves = "sleep 60 & exit 0"
    with (
        pytest.raises(UsageError, match="ended with exit code 0 before it listened") as refused,
        launched(("sh", "-c", leaves), ""),
    ):
        pass
    assert "stays in the foreground" in refused.value.hint


@pytest.mark.long
def test_looks_from_inside_stand_beside_what_was_found(tmp_path: Path) -> None:
    tools = ("--with", "pyinstrument", "--with", "tracemalloc")
    done = perfhunt(tmp_path, "investigate", *tools, *leaky())
    assert "under tracemalloc" in done.stdout, done.stderr
    calls, memory = stored(tmp_path)["inside"]
    assert calls["lines"][0]["function"] == "spin"
    assert [line["function"] for line in memory["lines"] if line["leak"]] == ["keep"]
    assert all(look["effect"]["cpu"] > 1 for look in (calls, memory))
