"""What stands behind a service of the zoo: a neighbour of our own, or a real PostgreSQL, Redis or
nginx, each on a port of its own for as long as the service runs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROWS = 25_000  # a table (or as many keys) that takes some milliseconds to read whole
NGINX = """
daemon off; master_process off; error_log stderr; pid {home}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fast;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  limit_req_zone $server_port zone=all:1m rate=100r/s;
  server {{ listen 127.0.0.1:{port}; root {home}; location / {{ limit_req zone=all burst=500; }} }}
}}
"""
ORDERS = (
    "CREATE TABLE orders AS SELECT n AS id, n % 500 AS customer, n * 7 % 1000 AS total"
    f" FROM generate_series(1, {2 * ROWS}) AS n;"
    " ANALYZE orders;"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, child: subprocess.Popen[bytes], limit: float = 20.0) -> None:
    """Until something listens there. Raises OSError when nothing does in time or the child ends."""
    deadline = time.monotonic() + limit
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline or child.poll() is not None:
                raise
            time.sleep(0.05)


@contextmanager
def running(
    command: Sequence[str], port: int, cwd: Path = HERE, user: str | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on a port; killed with its whole session when the block is left."""
    more: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    child = subprocess.Popen(
        [word.format(port=port) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(HERE), **environment},
        start_new_session=True,
        **more,
    )
    try:
        wait_for(port, child)
        yield child
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def program(name: str) -> str | None:
    """Where a program is, also where Debian keeps PostgreSQL's."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(places[-1]) if places else None)


@contextmanager
def postgres(port: int) -> Iterator[None]:
    """A PostgreSQL with a table without an index. It refuses to be root's."""
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="zoo-postgres-") as home:
        if user:
            shutil.chown(home, user, user)
        plain: dict[str, Any] = {"cwd": home, "check": True, "capture_output": True}
        made = [program("initdb"), "-D", f"{home}/data", "-U", "zoo", "-A", "trust", "--no-sync"]
        subprocess.run(made, user=user, **plain)
        settings = (
            f"listen_addresses=127.0.0.1 unix_socket_directories={home} fsync=off"
            " max_parallel_workers_per_gather=0 jit=off shared_buffers=64MB log_min_messages=fatal"
        )
        words = [program("postgres") or "", "-D", f"{home}/data", "-p", str(port)]
        words += [word for setting in settings.split() for word in ("-c", setting)]
        with running(words, port, cwd=Path(home), user=user):
            ready(port)
            asked = [program("psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "zoo", "postgres"]
            subprocess.run([*asked, "-c", ORDERS], **plain)
            yield


def ready(port: int) -> None:
    """Until PostgreSQL answers; it listens before it does."""
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "zoo", "-d", "postgres"]
    words = [program("pg_isready") or "", "-q", *where]
    for _ in range(200):
        if subprocess.run(words).returncode == 0:
            return
        time.sleep(0.05)
    raise OSError("PostgreSQL does not answer")


@contextmanager
def redis(port: int) -> Iterator[None]:
    """A Redis with many keys."""
    with tempfile.TemporaryDirectory(prefix="zoo-redis-") as home:
        words = [
            "redis-server",
            "--port",
            str(port),
            "--save",
            "",
            "--dir",
            home,
            "--logfile",
            "log",
        ]
        with running(words, port, cwd=Path(home)):
            filled = f"for i = 1, {2 * ROWS} do redis.call('SET', 'session:' .. i, i) end"
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.sendall(b"*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n" % (len(filled), filled.encode()))
                link.sendall(b"$1\r\n0\r\n")
                link.recv(100)
            yield


@contextmanager
def nginx(port: int) -> Iterator[None]:
    """An nginx that answers 100 a second and makes the rest wait."""
    with tempfile.TemporaryDirectory(prefix="zoo-nginx-") as home:
        os.chmod(home, 0o755)
        Path(home, "index.html").write_text("ok")
        Path(home, "conf").write_text(NGINX.format(home=home, port=port))
        with running(["nginx", "-c", f"{home}/conf", "-p", home], port):
            yield


@contextmanager
def own(script: str, milliseconds: float, port: int) -> Iterator[None]:
    with running([sys.executable, script, "{port}", str(milliseconds)], port):
        yield


PROGRAMS: Mapping[str, tuple[Callable[[int], Any], tuple[str, ...]]] = {
    "postgres": (postgres, ("postgres", "initdb", "psql", "pg_isready")),
    "redis": (redis, ("redis-server",)),
    "nginx": (nginx, ("nginx",)),
}


@contextmanager
def behind(name: str, milliseconds: float) -> Iterator[int]:
    """The port of what stands behind a service: one of PROGRAMS, a `pricer` that computes for so
    long, or a neighbour that waits; 0 where nothing does.
    """
    if not name and not milliseconds:
        yield 0
        return
    port = free_port()
    script = "pricer.py" if name == "pricer" else "neighbour.py"
    beside = PROGRAMS[name][0](port) if name in PROGRAMS else own(script, milliseconds, port)
    with beside:
        yield port


def missing(name: str) -> str:
    """What a service would miss behind it on this host; "" when nothing."""
    wanted = PROGRAMS[name][1] if name in PROGRAMS else ()
    return ", ".join(word for word in wanted if program(word) is None)
