"""The fix loop with real processes: investigate, edit, restart, verify; and commands timed for
real.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.running import question, start, until

pytestmark = pytest.mark.live

SERVER = '''"""One lock, and a wait under it."""
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from stock import reserve
from words import greeting

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        reserve()
        self.send_response(200)
        body = greeting()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256

Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
STOCK = (
    "import threading, time\n\nLOCK = threading.Lock()\n\n\ndef reserve():\n    with LOCK:\n       "
    " time.sleep(0.012)\n"
)
WORDS = 'def greeting():\n    return b"ok\\n"\n'
RAMP = 'budget = "12s"\nbaseline = "3s"\nstart = "10/s"'
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *IDENTITY, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    root = tmp_path / "shop"
    root.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, text in {
        "server.py": SERVER,
        "stock.py": STOCK,
        "words.py": WORDS,
        ".gitignore": "__pycache__\n",
    }.items():
        (root / name).write_text(text)
    question(root, port, ramp=RAMP)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "the shop as it is")
    yield root, port


@contextmanager
def served(shop: tuple[Path, int], **extra: str) -> Iterator[int]:
    """The shop, answering; its pid."""
    root, port = shop
    env = {**os.environ, **extra, "PORT": str(port)}
    child = subprocess.Popen([sys.executable, "server.py"], cwd=root, env=env)

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert until(listens, within=20.0)
        yield child.pid
    finally:
        child.kill()
        child.wait()


def perfhunt(root: Path, *words: str) -> tuple[int, list[dict[str, object]], str]:
    """The exit code, the NDJSON events and stderr of a perfhunt that ran to its end."""
    running = start(root, *words)
    said, complaint = running.communicate(timeout=120)
    return running.returncode, [json.loads(line) for line in said.splitlines()], complaint


def test_an_edit_is_refused_until_the_service_runs_it_and_then_kept_for_what_it_did(
    shop: tuple[Path, int],
) -> None:
    root, _ = shop
    with served(shop) as pid:
        code, events, complaint = perfhunt(
            root, "investigate", "--pid", str(pid), "--quick", "--profile", "off"
        )
        assert events[-1]["event"] == "finished", complaint
        assert code in (0, 91, 99)
        code, _, complaint = perfhunt(root, "verify", "--pid", str(pid))
        assert (code, "no edit" in complaint) == (92, True)
        (root / "stock.py").write_text(STOCK.replace("0.012", "0.003"))
        code, _, complaint = perfhunt(root, "verify", "--pid", str(pid))
        assert code == 92
        assert "restart the service" in complaint.lower()
    with served(shop, SHOP_MODE="other") as pid:
        code, events, _ = perfhunt(root, "verify", "--pid", str(pid))
        assert (code, events[-1]["word"]) == (91, "INVALID")
    with served(shop) as pid:
        code, events, complaint = perfhunt(
            root, "verify", "--pid", str(pid), "--quick", "--profile", "off"
        )
        assert events, complaint
        verdict = events[-1]
        assert (verdict["event"], verdict["word"], code) == ("verdict", "KEEP", 0), verdict
        kept = json.loads((root / str(verdict["directory"]) / "verdict.json").read_text())
        assert [atom["name"] for atom in kept["change"]["change"]["atoms"]] == ["reserve"]
        (root / "words.py").write_text(WORDS.replace("ok", "hello"))
        code, _, complaint = perfhunt(root, "verify", "--pid", str(pid))
        assert code == 92
        assert "stock.py" in complaint
        assert "words.py" in complaint


ENGINES = [
    "perfhunt",
    pytest.param(
        "hyperfine", marks=pytest.mark.skipif(not shutil.which("hyperfine"), reason="no hyperfine")
    ),
]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_command_that_waits_three_times_as_long_is_reverted(tmp_path: Path, engine: str) -> None:
    (tmp_path / "work.sh").write_text("sleep 0.02\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "quick")
    (tmp_path / "work.sh").write_text("sleep 0.06\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "perfhunt",
            "bench",
            "--base",
            "HEAD",
            "--engine",
            engine,
            "-r",
            "6",
            "--",
            "sh",
            "work.sh",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith("VERDICT REVERT"), done.stdout + done.stderr
    assert done.returncode == 90
