"""Services in containers: what a profile, a search and `doctor` make of a process with another
root, other numbers, another network and, for some, other users.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from perfhunt.profilers.cpython.layouts.contained import Container
from perfhunt.target.code.sources import text_of
from perfhunt.target.proc.namespaces import in_network_of
from perfhunt.target.process import process_of
from tests.live.boxes import SERVICES, box
from tests.live.running import question, run_json

pytestmark = pytest.mark.live
CLIENTS = 4


def perfhunt(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "perfhunt", *words], cwd=directory, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def visited(pid: int, port: int) -> Iterator[None]:
    """Clients in the container's own network, until the block ends."""
    over = threading.Event()

    def visit() -> None:
        with in_network_of(pid):
            link = http.client.HTTPConnection("127.0.0.1", port)
            while not over.is_set():
                link.request("GET", "/")
                assert link.getresponse().read() == b"ok\n"

    threads = [threading.Thread(target=visit) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("users", [False, True], ids=["", "users"])
def test_a_profile_names_the_function_that_all_wait_in(tmp_path: Path, users: bool) -> None:
    with box(SERVICES / "threaded.py", users=users) as there, visited(there.pid, there.port):
        done = perfhunt(tmp_path, "profile", "--pid", str(there.pid), "--seconds", "4")
        assert done.returncode == 0, done.stderr
    run = run_json(tmp_path)
    assert run["findings"][0]["function"] == "under_the_lock"  # type: ignore[index]
    assert run["bottleneck"]["class"] == "lock"  # type: ignore[index]
    # The stacks came from memory, which shows every thread, and their files from the container.
    cautions = json.dumps(run["cautions"])
    assert "dumps" not in cautions and "number in /proc" not in cautions
    assert run["target"]["git_root"] == ""  # type: ignore[index]
    assert "which perfhunt entered" in json.dumps(run["target"])


@pytest.mark.long
def test_a_search_loads_it_in_its_own_network_and_names_what_stops_it(tmp_path: Path) -> None:
    ramp = 'start = "40/s"\nhold = "8s"'
    with box(SERVICES / "threaded.py") as there:
        question(tmp_path, there.port, ramp=ramp, slo='latency = { p99 = "<= 40ms" }')
        done = perfhunt(tmp_path, "investigate", "--quick", "--json")
        assert done.returncode in (0, 99, 91), done.stderr
    run = run_json(tmp_path)
    assert run["findings"][0]["function"] == "under_the_lock"  # type: ignore[index]
    assert all(trial["completed"] > 0 for trial in run["trials"])  # type: ignore[attr-defined]


@pytest.mark.beside
def test_doctor_says_what_differs(tmp_path: Path) -> None:
    with box(SERVICES / "threaded.py", users=True) as there:
        done = perfhunt(tmp_path, "doctor", "--pid", str(there.pid), "--watch", "0", "--json")
    said = {
        check["name"]: (check["status"], check["sentence"]) for check in json.loads(done.stdout)
    }
    for name in ("files", "users", "network", "thread numbers", "looks"):
        assert said[name][0] == "ok", said[name]
    assert "from its memory" in said["looks"][1]
    assert f"pid {there.pid} is pid 1 in its container" in said["thread numbers"][1]


@pytest.mark.beside
def test_a_port_of_a_container_is_found_without_its_pid(tmp_path: Path) -> None:
    with box(SERVICES / "threaded.py") as there:
        done = perfhunt(tmp_path, "init", "--port", str(there.port))
        assert done.returncode == 0, done.stderr
        written = (tmp_path / "perfhunt.toml").read_text()
    assert f"for pid {there.pid}" in done.stdout
    assert f'url = "http://127.0.0.1:{there.port}"' in written


@pytest.mark.beside
@pytest.mark.parametrize("users", [False, True], ids=["", "users"])
def test_what_is_run_of_a_container_stays_in_it_and_may_do_nothing(users: bool) -> None:
    tell = "print(open('/proc/self/status').read())"
    with box(SERVICES / "threaded.py", users=users) as there:
        container = Container.of(there.pid)
        assert container is not None
        words = [os.readlink(f"/proc/{there.pid}/exe"), "-I", "-S", "-c", tell]
        exe, libraries = f"/proc/{there.pid}/exe", "/opt/python/lib"
        with container.start(words, exe, (os.geteuid(), os.getegid()), libraries) as running:
            said, _ = running.communicate(timeout=20)
    status = dict(line.split(":\t", 1) for line in said.decode().splitlines() if ":\t" in line)
    assert status["Name"].startswith("python")
    assert [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd")] == [0, 0, 0]
    assert status["NoNewPrivs"] == "1"
    assert len(status["NSpid"].split()) == 1 and int(status["Pid"]) < 100  # in its own numbers


@pytest.mark.beside
def test_a_link_in_a_container_leads_to_no_file_of_the_host(tmp_path: Path) -> None:
    shutil.copy(SERVICES / "threaded.py", tmp_path)
    (tmp_path / "real.py").write_text("within = 1\n")
    os.utime(tmp_path / "real.py", (0, 0))  # What was written to since it began is not believed.
    (tmp_path / "leads_out.py").symlink_to(Path(__file__).resolve())
    (tmp_path / "leads_in.py").symlink_to("/app/real.py")
    with box(tmp_path / "threaded.py") as there:
        process = process_of(there.pid)
        assert process is not None
        assert text_of(process, "/app/real.py") == text_of(process, "/app/leads_in.py")
        assert text_of(process, "/app/leads_in.py") == "within = 1\n"
        assert text_of(process, "/app/leads_out.py") is None
