"""The commands of docs/several-hosts/compose.yaml, word for word, on hosts that know each other by
name as containers do: they find each other and load the service, by the secret in the environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from perfhunt.model.units import Seconds
from perfhunt.target.leash import SECRET_VARIABLE
from tests.live.running import until
from tests.live.test_several_hosts import SECRET, WORKERS, hosts
from tests.unit.cli.test_several_hosts_documents import FILES, written_test_file

pytestmark = [pytest.mark.live, pytest.mark.beside]

PATIENCE: Seconds = 60.0  # with five processes that import Locust
QUICK = ("--quick", "--profile", "off", "--allow-busy")
NAMES = Path("/etc/netns")  # of the `hosts` that `ip netns exec` shows in a namespace


@contextlib.contextmanager
def known_as(name: str, address: str, namespaces: Sequence[str]) -> Iterator[None]:
    """In each of these namespaces the name is that address."""
    made = [NAMES / namespace for namespace in namespaces]
    try:
        for folder in made:
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
        yield
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # somebody else's are there
            NAMES.rmdir()


class Running:
    """A command on a host, and what it said."""

    def __init__(self, namespace: str, words: Sequence[str], log: Path) -> None:
        self._log = log
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", *words],
            cwd=log.parent,
            stdout=subprocess.DEVNULL,
            stderr=log.open("w"),
            start_new_session=True,
            env={**os.environ, SECRET_VARIABLE: SECRET},
        )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_the_commands_of_the_compose_file_load_a_service(tmp_path: Path) -> None:
    services = yaml.safe_load((FILES / "compose.yaml").read_text())["services"]
    commands = {name: services[name]["command"] for name in ("perfhunt", "worker")}
    asked = written_test_file(FILES / "compose.yaml")
    (name,) = asked["safety"]["allow_hosts"]
    (tmp_path / "perfhunt.toml").write_text(
        f'schema = 1\n[target]\nurl = "{asked["target"]["url"]}"\n'
        f'environment = "{asked["target"]["environment"]}"\n'
        f'[slo]\nlatency = {{ p99 = "<= 500ms" }}\n[safety]\nallow_hosts = ["{name}"]\n'
    )
    port = commands["perfhunt"][commands["perfhunt"].index("--port") + 1]
    with (
        hosts(WORKERS + 1) as (home, *others),
        known_as(name, "198.18.77.2", (home, *others)),
        contextlib.ExitStack() as stack,
    ):

        def run(namespace: str, *words: str) -> Running:
            made = Running(namespace, words, tmp_path / f"{namespace}.{words[0]}.log")
            stack.callback(made.end)
            return made

        run(home, "http.server", port)
        workers = [run(other, "perfhunt", *commands["worker"]) for other in others]
        assert until(lambda: all("waits up to" in worker.said for worker in workers), PATIENCE)
        master = run(home, "perfhunt", *commands["perfhunt"], *QUICK)
        assert until(lambda: all("load: " in worker.said for worker in workers), PATIENCE), [
            master.said,
            *(worker.said for worker in workers),
        ]
        master.process.send_signal(signal.SIGTERM)
        assert master.process.wait(PATIENCE) == 105
        assert [worker.process.wait(PATIENCE) for worker in workers] == [0] * WORKERS
        assert all("the master has ended" in worker.said for worker in workers)
