"""Discovery on real processes: from a pid alone to sockets, workers, runtime and url."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from perfhunt.change.git.kept import code_state
from perfhunt.errors import TargetNotFound
from perfhunt.jobs.setup import surroundings
from perfhunt.model.question import ProcessSelector
from perfhunt.model.redact import marker
from perfhunt.model.run import TargetProcess
from perfhunt.target.address import locate
from perfhunt.target.find import find_target
from perfhunt.target.launch import ServiceCommand, free_port, running
from perfhunt.target.proc.tree import descendants
from perfhunt.target.resources.monitor import ResourceMonitor

pytestmark = [pytest.mark.live, pytest.mark.beside]

BIN = Path(sys.executable).parent
WSGI = "def app(environ, start):\n    start('200 OK', [])\n    return [b'ok']\n"
ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
"""
NODE = "require('http').createServer((q, r) => r.end('ok')).listen(PORT, '127.0.0.1')"
NODE_CLUSTER = (
    "const c = require('cluster'); if (c.isPrimary) { c.fork(); c.fork() } else { " + NODE + " }"
)
NGINX = """
daemon off; worker_processes 2; pid DIR/pid; error_log DIR/error.log;
events {}
http {
  access_log off; client_body_temp_path DIR/t; proxy_temp_path DIR/t; fastcgi_temp_path DIR/t;
  uwsgi_temp_path DIR/t; scgi_temp_path DIR/t;
  server { listen 127.0.0.1:PORT; location / { return 200 "ok"; } }
}
"""
# A server of two ports, one of which does not speak HTTP, and a child process that is no server.
TWO_PORTS = """
import http.server, socket, subprocess, sys, threading
other = socket.create_server(("127.0.0.1", int(sys.argv[2])))
def rude():
    while True:
        link, _ = other.accept(); link.sendall(b"220 mail\\r\\n"); link.close()
threading.Thread(target=rude, daemon=True).start()
handler = http.server.SimpleHTTPRequestHandler
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
"""
FORK_POOL = """
import http.server, multiprocessing, sys, time
if __name__ == "__main__":
    handler = http.server.SimpleHTTPRequestHandler
    server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), handler)
    pool = multiprocessing.get_context("spawn").Pool(1)
    pool.apply(time.sleep, (0,))
    server.serve_forever()
"""

Start = Callable[..., subprocess.Popen[bytes]]


def until(holds: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
        return True
    return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server and waits until its port answers; everything it started is gone
    afterwards.
    """
    started: list[subprocess.Popen[bytes]] = []

    def go(command: list[str], port: int, processes: int = 1) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        one = subprocess.Popen(
            command, cwd=tmp_path, stdout=quiet, stderr=quiet, start_new_session=True
        )
        started.append(one)
        until(
            lambda: answers(port) and len(descendants([one.pid])) >= processes,
            f"{command} listens on {port}",
        )
        return one

    yield go
    for one in started:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def found(pid: int) -> tuple[TargetProcess, str]:
    return locate(ProcessSelector(pid=pid))


def need(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def test_a_single_python_process_is_its_own_worker(start: Start) -> None:
    port = free_port()
    one = start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port)
    target, url = found(one.pid)
    assert url == f"http://127.0.0.1:{port}"
    assert target.workers == (one.pid,)
    assert target.runtime == "cpython"
    assert target.runtime_version == ".".join(str(part) for part in sys.version_info[:3])
    assert target.listeners[0].backlog == 5  # socketserver's request_queue_size
    assert target.notes == ()
    assert target.cpu_limit is not None
    assert 0 < target.cpu_limit <= (os.cpu_count() or 1)


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_load_goes_to_the_port_and_profiles_to_the_workers_of_a_prefork_server(
    start: Start, tmp_path: Path, server: str
) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(WSGI if server == "gunicorn" else ASGI)
    options = (
        ["-w", "2", "-b", f"127.0.0.1:{port}"]
        if server == "gunicorn"
        else ["--workers", "2", "--port", str(port)]
    )
    one = start([str(BIN / server), *options, "app:app"], port, processes=3)
    until(lambda: len(found(one.pid)[0].workers) == 2, "two workers")
    target, url = found(one.pid)
    assert url == f"http://127.0.0.1:{port}"
    assert one.pid not in target.workers
    parents = {each.pid: each.parent for each in target.processes}
    assert {parents[worker] for worker in target.workers} == {one.pid}
    assert target.framework == server
    assert all(
        "resource_tracker" not in " ".join(each.cmdline)
        for each in target.processes
        if each.pid in target.workers
    )


def test_naming_one_worker_finds_them_all_and_says_so(start: Start, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(WSGI)
    one = start(
        [str(BIN / "gunicorn"), "-w", "2", "-b", f"127.0.0.1:{port}", "app:app"], port, processes=3
    )
    whole, _ = found(one.pid)
    part, _ = found(whole.workers[1])
    assert (part.root, part.workers) == (one.pid, whole.workers)
    assert f"one worker of pid {one.pid}" in part.notes[0]


def test_a_shell_around_the_server_is_seen_through(start: Start, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(WSGI)
    one = start(
        ["sh", "-c", f"{BIN}/gunicorn -b 127.0.0.1:{port} app:app; true"], port, processes=3
    )
    target, _ = found(one.pid)
    assert (target.root, target.runtime, target.framework) == (one.pid, "cpython", "gunicorn")
    assert len(target.workers) == 1


def test_of_what_a_supervisor_runs_the_service_alone_is_measured(start: Start) -> None:
    served, other = sorted([free_port(), free_port()])
    serve = f"{sys.executable} -m http.server --bind 127.0.0.1"
    programs = f"sleep 600 & {serve} {other} & sh -c '{serve} {served}; true' & wait"
    supervisor = start(["sh", "-c", programs], served, processes=5)
    until(lambda: answers(other), "the other service listens")
    target, _ = locate(ProcessSelector(pid=supervisor.pid), f"http://127.0.0.1:{served}")
    shell, server = (each.pid for each in target.processes)
    assert (target.root, target.workers) == (shell, (server,))
    assert [at.port for at in target.listeners] == [served]
    assert "sleep" in target.notes[0] and "not measured" in target.notes[0]
    assert f"--port {other}" in target.notes[1]
    with pytest.raises(TargetNotFound, match="more than one of them answers"):
        locate(ProcessSelector(pid=supervisor.pid))
    assert find_target(ProcessSelector(port=other)).workers != target.workers


def test_a_pool_of_the_server_works_with_it_and_its_housekeeping_does_not(
    start: Start, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "pool.py").write_text(FORK_POOL)
    one = start([sys.executable, "pool.py", str(port)], port, processes=3)
    target, _ = found(one.pid)
    assert one.pid in target.workers
    assert len(target.processes) == 3
    assert len(target.workers) == 2


def test_nginx_workers_are_found(start: Start, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        NGINX.replace("DIR", str(tmp_path)).replace("PORT", str(port))
    )
    one = start([need("nginx"), "-c", str(tmp_path / "nginx.conf")], port, processes=3)
    target, _ = found(one.pid)
    assert (target.runtime, target.framework) == ("native", "nginx")
    assert len(target.workers) == 2
    assert one.pid not in target.workers


def test_node_alone_and_in_a_cluster(start: Start, tmp_path: Path) -> None:
    node, alone, many = need("node"), free_port(), free_port()
    version = (
        subprocess.run([node, "--version"], capture_output=True, text=True)
        .stdout.strip()
        .removeprefix("v")
    )
    one = start([node, "-e", NODE.replace("PORT", str(alone))], alone)
    target, _ = found(one.pid)
    assert (target.runtime, target.runtime_version, target.workers) == ("node", version, (one.pid,))
    (tmp_path / "cluster.js").write_text(NODE_CLUSTER.replace("PORT", str(many)))
    cluster = start([node, str(tmp_path / "cluster.js")], many, processes=3)
    target, url = found(cluster.pid)
    assert url == f"http://127.0.0.1:{many}"
    assert len(target.workers) == 2
    assert cluster.pid not in target.workers
    assert find_target(ProcessSelector(pid=target.workers[0])).root == cluster.pid


def test_of_two_ports_the_one_that_speaks_http_is_loaded(start: Start, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(TWO_PORTS)
    rude, polite = sorted([free_port(), free_port()])
    one = start([sys.executable, "two.py", str(polite), str(rude)], polite)
    target, url = found(one.pid)
    assert url == f"http://127.0.0.1:{polite}"
    assert target.listeners[0].port == polite
    assert find_target(ProcessSelector(port=rude)).root == one.pid


def test_a_process_is_found_by_port_pidfile_command_and_url(start: Start, tmp_path: Path) -> None:
    port = free_port()
    one = start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port)
    (tmp_path / "app.pid").write_text(f"{one.pid}\n")
    for selector in (
        ProcessSelector(port=port),
        ProcessSelector(pidfile=str(tmp_path / "app.pid")),
        ProcessSelector(command=f"http.server {port}"),
    ):
        assert find_target(selector).root == one.pid
    assert find_target(ProcessSelector(), f"http://localhost:{port}").root == one.pid


def test_load_through_another_port_than_the_process_has_is_noted(start: Start) -> None:
    port = free_port()
    one = start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port)
    target = find_target(ProcessSelector(pid=one.pid), "http://127.0.0.1:1")
    assert "port 1" in target.notes[0]


def test_a_pid_that_is_gone_is_refused_with_the_next_command(start: Start) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(TargetNotFound) as caught:
        found(gone.pid)
    assert f"no process with pid {gone.pid}" in caught.value.message
    assert "ss -ltnp" in caught.value.hint


def test_a_process_that_listens_on_nothing_is_refused_with_the_next_command() -> None:
    with subprocess.Popen(["sleep", "60"]) as idle:
        try:
            with pytest.raises(TargetNotFound) as caught:
                found(idle.pid)
            assert "listens on no TCP port" in caught.value.message
            assert "--url" in caught.value.hint
            assert f"perfhunt profile --pid {idle.pid}" in caught.value.hint
            looked_at = find_target(ProcessSelector(pid=idle.pid), serves=False)
            assert (looked_at.workers, looked_at.listeners) == ((idle.pid,), ())
        finally:
            idle.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_of_another_user_is_refused_with_both_uids(start: Start) -> None:
    port = free_port()
    one = start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port)
    child = os.fork()
    if child == 0:  # imports are done: what follows needs no file that the other user may not read
        os.setgid(65534)
        os.setuid(65534)
        try:
            find_target(ProcessSelector(pid=one.pid))
            os._exit(1)
        except TargetNotFound as error:
            os._exit(
                0
                if "owned by uid 0; you are uid 65534" in error.message and "sudo" in error.hint
                else 2
            )
        except BaseException:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_death_of_the_target_is_noticed_even_when_its_pid_is_used_again(start: Start) -> None:
    port = free_port()
    one = start([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], port)
    target, _ = found(one.pid)
    monitor = ResourceMonitor(target)
    assert monitor.dead() == ""
    (root,) = target.processes
    successor = replace(target, processes=(replace(root, started=root.started - 1.0),))
    assert "is gone" in ResourceMonitor(successor).dead()
    one.kill()
    one.wait()
    assert f"pid {one.pid}" in monitor.dead()


def test_the_environment_is_described_without_its_secrets(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "canary-7f3a")
    port = free_port()
    (tmp_path / "app.py").write_text(WSGI)
    for command in (
        ["init", "-q"],
        ["add", "app.py"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "app.py").write_text(WSGI + "\n")
    one = start([str(BIN / "gunicorn"), "-b", f"127.0.0.1:{port}", "app:app"], port, processes=2)
    target = found(one.pid)[0]
    described = surroundings(target, code_state(target.git_root), marker(b"key"))
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True
    ).stdout.strip()
    assert (described.git_revision, described.git_dirty) == (head, True)
    assert described.git_diff_sha256.startswith("hmac:")
    assert described.env_sha256.startswith("hmac:")
    assert "gunicorn" in described.distributions
    assert "locust" in described.tools
    assert described.tools["git"][0].isdigit()
    assert "canary" not in repr(described)
    assert len(described.variables["CANARY_TOKEN"]) == 4


def test_a_service_that_was_stopped_is_told_and_not_taken_for_idle(tmp_path: Path) -> None:
    words = (sys.executable, "-m", "http.server", "$PORT", "--bind", "127.0.0.1")
    with running(ServiceCommand("files", words, tmp_path), tmp_path / "log") as service:
        os.kill(service.pid, signal.SIGSTOP)
        try:
            until(lambda: psutil.Process(service.pid).status() == "stopped", "it stands still")
            with pytest.raises(TargetNotFound, match="is stopped") as refused:
                find_target(ProcessSelector(pid=service.pid))
        finally:
            os.kill(service.pid, signal.SIGCONT)
        assert f"kill -CONT {service.pid}" in refused.value.hint
        assert find_target(ProcessSelector(pid=service.pid)).root == service.pid
