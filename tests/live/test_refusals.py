"""Every refusal of `perfhunt investigate`, with its exit code, before a single request is sent."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.safety.lock import LockHolder, target_lock

pytestmark = [pytest.mark.live, pytest.mark.beside]

SLO = '[slo]\nlatency = { p99 = "<= 200ms" }\n'


class Counting(http.server.BaseHTTPRequestHandler):
    seen = 0

    def do_GET(self) -> None:
        type(self).seen += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[int]:
    """A service inside this very process; nothing may reach it, which the fixture asserts at the
    end.
    """
    Counting.seen = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    assert Counting.seen == 0, "a refusal must come before the first request"


def perfhunt(directory: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "perfhunt", *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


def question(directory: Path, text: str) -> None:
    (directory / "perfhunt.toml").write_text("schema = 1\n" + text)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("perfhunt: ")
    assert len(done.stderr.strip().splitlines()) >= 2, "a refusal says what to do next"
    for word in words:
        assert word in done.stderr, done.stderr


def test_no_test_file_is_104_with_the_command_that_writes_one(tmp_path: Path, service: int) -> None:
    refused(
        perfhunt(tmp_path, "investigate", "--pid", str(os.getpid())), 104, "perfhunt init --pid"
    )


def test_no_slo_is_104(tmp_path: Path, service: int) -> None:
    question(tmp_path, f'[target]\nurl = "http://127.0.0.1:{service}"\n')
    refused(perfhunt(tmp_path, "investigate", "--pid", str(os.getpid())), 104, "slo")


def test_the_file_init_writes_is_refused_until_a_person_fills_it_in(
    tmp_path: Path, service: int
) -> None:
    made = perfhunt(tmp_path, "init", "--port", str(service))
    assert made.returncode == 0, made.stderr
    refused(perfhunt(tmp_path, "investigate", "--port", str(service)), 104, "p99")


def test_an_unknown_key_is_104_and_guessed_at(tmp_path: Path, service: int) -> None:
    question(
        tmp_path,
        f'[target]\nurl = "http://127.0.0.1:{service}"\n[slo]\nlatncy = {{ p99 = "<= 200ms" }}\n',
    )
    refused(perfhunt(tmp_path, "investigate", "--port", str(service)), 104, "latency")


def test_a_pid_that_is_gone_is_2(tmp_path: Path, service: int) -> None:
    question(tmp_path, SLO)
    gone = subprocess.Popen(["true"])
    gone.wait()
    refused(perfhunt(tmp_path, "investigate", "--pid", str(gone.pid)), 2, str(gone.pid))


def test_a_pid_that_listens_on_nothing_is_2(tmp_path: Path, service: int) -> None:
    question(tmp_path, SLO)
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        refused(perfhunt(tmp_path, "investigate", "--pid", str(sleeper.pid)), 2, "listen")
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_host_that_is_not_this_machine_is_93(tmp_path: Path, service: int) -> None:
    question(tmp_path, '[target]\nurl = "http://192.0.2.1:80"\n' + SLO)
    refused(
        perfhunt(tmp_path, "investigate", "--port", str(service), "--url", "http://192.0.2.1:80"),
        93,
        "allow_hosts",
    )


def test_production_without_killswitch_and_comms_is_93(tmp_path: Path, service: int) -> None:
    question(
        tmp_path,
        f'[target]\nurl = "http://127.0.0.1:{service}"\nenvironment = "production"\n' + SLO,
    )
    refused(perfhunt(tmp_path, "investigate", "--port", str(service)), 93, "comms")


def test_a_second_load_test_on_the_same_target_is_94(tmp_path: Path, service: int) -> None:
    question(tmp_path, f'[target]\nurl = "http://127.0.0.1:{service}"\n' + SLO)
    holder = LockHolder.ourselves("first", "http://127.0.0.1", "now")
    with target_lock(["127.0.0.1"], service, holder):
        refused(perfhunt(tmp_path, "investigate", "--port", str(service)), 94, "first")


def test_a_word_that_is_no_verb_is_2(tmp_path: Path, service: int) -> None:
    assert perfhunt(tmp_path, "investigat").returncode == 2


def test_init_writes_recorded_traffic_with_its_feed_beside_it(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(f'- - [x] "GET /items/{n} HTTP/1.1" 200 5\n' for n in range(9)))
    made = perfhunt(tmp_path, "init", "--from-log", str(log))
    assert made.returncode == 0, made.stderr
    assert "perfhunt-1.jsonl" in made.stdout
    assert 'feed = "perfhunt-1.jsonl"' in (tmp_path / "perfhunt.toml").read_text()
    refused(perfhunt(tmp_path, "init", "--from-log", str(log)), 2, "exists already")
    refused(perfhunt(tmp_path, "init", "--from-har", "gone.har"), 2, "gone.har", "--from-har")
    refused(perfhunt(tmp_path, "init", "--from-curl", "wget x"), 2, "--from-curl", "curl command")
    both = perfhunt(tmp_path, "init", "--from-curl", "curl a", "--from-log", str(log))
    refused(both, 2, "--from-curl and --from-log")
