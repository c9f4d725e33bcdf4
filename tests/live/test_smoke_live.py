"""Smokes of a real service: met, missed and looked into, refused, too little seen; and a baseline
that goes through a file into another store.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from perfhunt.profilers.table import PROFILERS
from perfhunt.target.launch import free_port
from tests.live.running import service, until

pytestmark = pytest.mark.live

Document = dict[str, Any]
# What the limit is compared with is a hundred times less, or ten times more: no other work on the
# host moves an answer over it, or below it.
QUICK_LIMIT, LATE_LIMIT = "2s", "50ms"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with service("moody") as (_, port):
        yield port


def perfhunt(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfhunt", *words], cwd=directory, capture_output=True, text=True
    )


def smoke(
    directory: Path, port: int, path: str, limit: str, asked: str, *words: str
) -> tuple[subprocess.CompletedProcess[str], Document]:
    """A smoke of one path, and what is stored of it."""
    (directory / "perfhunt.toml").write_text(
        f'schema = 1\n[target]\nurl = "http://127.0.0.1:{port}"\n[[traffic]]\nname = "page"\n'
        f'request = "GET {path}"\n[slo]\nlatency = {{ p90 = "<= {limit}" }}\n'
        f'errors = {{ any = "< 1%" }}\nmin_samples = 50\n[ramp]\nhold = "6s"\n[smoke]\n{asked}\n'
    )
    done = perfhunt(directory, "smoke", "--port", str(port), *words)
    (found,) = (directory / ".perfhunt" / "runs").glob("*/run.json")
    return done, json.loads(found.read_text())


FAST = 'rate = "40/s"\nduration = "4s"'


def test_a_service_that_meets_its_slo_passes_unprofiled_with_what_the_sample_shows(
    tmp_path: Path, port: int
) -> None:
    done, run = smoke(tmp_path, port, "/quick", QUICK_LIMIT, FAST)
    assert (done.returncode, run["kind"], run["verdict"]) == (0, "smoke", "MET")
    assert run["profiles"] == {} and run["findings"] == []
    assert {trial["phase"] for trial in run["trials"]} == {"judge"}
    n = run["baseline"]["response"]["n"]
    assert f"Judged by {n} requests" in done.stdout
    (latency, errors) = run["slo"]["objectives"]
    assert f"0 of {n} beyond the limit, so p90 is" in latency["note"]
    assert f"0 of {n} failed, so at most" in errors["note"]
    assert errors["note"].split(":")[0] in " ".join(done.stdout.split())


@pytest.mark.skipif(
    bool(PROFILERS["py-spy"].available()), reason=PROFILERS["py-spy"].available() or "there"
)
def test_a_service_that_misses_is_held_at_that_rate_and_the_function_is_named(
    tmp_path: Path, port: int
) -> None:
    done, run = smoke(tmp_path, port, "/late", LATE_LIMIT, FAST, "--artifacts", "kept")
    assert (done.returncode, run["verdict"]) == (99, "MISSED")
    held = [trial for trial in run["trials"] if trial["phase"] == "hold"]
    assert [trial["rate"] for trial in held] == [40.0]
    assert run["findings"][0]["function"] == "wait_for_nothing"
    assert "wait_for_nothing" in done.stdout
    assert (tmp_path / "kept" / "report.md").exists() and (tmp_path / "kept" / "junit.xml").exists()
    assert "<failure" in (tmp_path / "kept" / "junit.xml").read_text()


def test_a_service_that_refuses_everything_is_missed_and_advisory_is_told_and_zero(
    tmp_path: Path, port: int
) -> None:
    done, run = smoke(
        tmp_path, port, "/no", QUICK_LIMIT, FAST, "--profile", "off", "--exit-zero-on", "99"
    )
    assert (done.returncode, run["exit_code"], run["verdict"]) == (0, 99, "MISSED")
    assert run["knee"]["code"] == "errors-at-once"
    assert "exit code 0 and not 99" in done.stderr
    assert "SLO MISSED" in done.stdout


def test_a_service_that_was_asked_too_rarely_is_no_pass(tmp_path: Path, port: int) -> None:
    rare = 'rate = "1/s"\nduration = "5s"'
    done, run = smoke(tmp_path, port, "/quick", QUICK_LIMIT, rare)
    assert (done.returncode, run["verdict"]) == (91, "UNKNOWN")
    assert "needed" in done.stdout and "[smoke] rate" in done.stdout


def test_a_port_where_nobody_listens_is_no_pass(tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_text(
        'schema = 1\n[target]\nurl = "http://127.0.0.1:1"\n[[traffic]]\nname = "page"\n'
        'request = "GET /"\n[slo]\nlatency = { p90 = "<= 1s" }\n'
    )
    done = perfhunt(tmp_path, "smoke", "--port", str(free_port()))
    assert done.returncode == 2 and "Traceback" not in done.stderr


SERVICE = """
import http.server, os, time

def answer():
    time.sleep(0.010)

class Handler(http.server.BaseHTTPRequestHandler):
    wbufsize = -1
    def do_GET(self):
        answer()
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass

class Server(http.server.HTTPServer):
    request_queue_size = 256

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
QUESTION = """schema = 1
[[traffic]]
name = "page"
request = "GET /"
[slo]
latency = { p90 = "<= 400ms" }
min_samples = 20
[ramp]
start = "4/s"
max = "40/s"
budget = "40s"
baseline = "6s"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a service that answers one request at a time, in 10 ms each."""
    home = tmp_path / "checkout"
    home.mkdir()
    (home / "service.py").write_text(SERVICE)
    (home / "perfhunt.toml").write_text(QUESTION)
    us = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "."), (*us, "commit", "-qm", "a service")):
        subprocess.run(["git", *words], cwd=home, check=True)
    return home


def measured(checkout: Path, port: int, *words: str) -> subprocess.CompletedProcess[str]:
    """perfhunt on the checkout's service as it is now, started anew."""
    child = subprocess.Popen(
        [sys.executable, "service.py"], cwd=checkout, env={**os.environ, "PORT": str(port)}
    )
    try:
        process = psutil.Process(child.pid)
        assert until(lambda: bool(process.net_connections()), within=30)
        verb, *rest = words
        return perfhunt(checkout, verb, "--pid", str(child.pid), "--profile", "off", *rest)
    finally:
        child.kill()
        child.wait()


@pytest.mark.long
def test_a_packed_baseline_judges_an_edit_in_another_store(checkout: Path, tmp_path: Path) -> None:
    file, other, port = tmp_path / "baseline.pack", tmp_path / "other", free_port()
    done = measured(checkout, port, "investigate", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert perfhunt(checkout, "pack", "latest", "--output", str(file)).returncode == 0
    assert perfhunt(checkout, "unpack", str(file), "--store", str(other)).returncode == 0
    source = (checkout / "service.py").read_text()
    (checkout / "service.py").write_text(source.replace("0.010", "0.100"))
    words = ("verify", "--quick", "--against", str(file), "--store", str(other))

    told = measured(checkout, port, *words)
    assert told.returncode == 91 and "keys of two stores" in " ".join(told.stdout.split())

    shutil.copy(checkout / ".perfhunt" / "digest.key", other)  # with its mode
    told = measured(checkout, port, *words)
    assert told.returncode == 90, told.stdout + told.stderr
    assert "REVERT" in told.stdout
    (verdict,) = (other / "runs").glob("*/verdict.json")
    assert json.loads(verdict.read_text())["word"] == "REVERT"
