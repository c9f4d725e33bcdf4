"""A PostgreSQL server of a test's own: started in a directory of its own, ended with the block."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_SETUP = (
    "CREATE TABLE orders AS SELECT n AS id, n % 1000 AS customer, n % 97 AS amount"
    " FROM generate_series(1, {rows}) AS n;"
    "CREATE TABLE stock AS SELECT 1 AS id, 1000000 AS left_over;"
    "ANALYZE"
)


@cache
def programs() -> str:
    """The directory of PostgreSQL's programs; "" when it is not installed."""
    places = [*sorted(_DEBIAN.glob("*/bin"), reverse=True)]
    found = shutil.which("initdb")
    if found:
        places.append(Path(found).resolve().parent)
    return next((str(p) for p in places if (p / "initdb").exists() and (p / "psql").exists()), "")


def missing() -> str:
    """Why there can be no server here; "" when there can."""
    if not programs():
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    return "" if _user() else "PostgreSQL does not run as root, and there is no other user here"


def _user() -> str:
    """Who the server runs as: it refuses root."""
    if os.getuid():
        return pwd.getpwuid(os.getuid()).pw_name
    names = [user.pw_name for user in pwd.getpwall()]
    return next((name for name in ("postgres", "nobody") if name in names), "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(rows: int = 60_000) -> Iterator[int]:
    """The port of a server with a table of orders that has no index, and one row of stock."""
    user, port = pwd.getpwnam(_user()), free_port()
    home = Path(tempfile.mkdtemp(prefix="perfhunt-pg-"))
    os.chown(home, user.pw_uid, user.pw_gid)

    def run(*words: str) -> None:
        subprocess.run(
            [str(Path(programs()) / words[0]), *words[1:]],
            user=user.pw_uid if os.getuid() == 0 else None,
            group=user.pw_gid if os.getuid() == 0 else None,
            cwd=home,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    cluster, options = str(home / "data"), f"-p {port} -k {home} -c fsync=off"
    more = " -c max_parallel_workers_per_gather=0 -c max_connections=400"
    try:
        run("initdb", "-D", cluster, "-U", "postgres", "--auth=trust", "--no-sync")
        run("pg_ctl", "-D", cluster, "-w", "-l", str(home / "log"), "-o", options + more, "start")
        run(
            "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-U",
            "postgres",
            "-c",
            _SETUP.format(rows=rows),
        )
        yield port
    finally:
        subprocess.run(
            [str(Path(programs()) / "pg_ctl"), "-D", cluster, "-m", "immediate", "stop"],
            user=user.pw_uid if os.getuid() == 0 else None,
            cwd=home,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        shutil.rmtree(home, ignore_errors=True)
