"""The checklist, on this host and on a live target."""

from __future__ import annotations

import importlib.metadata
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from perfhunt.model.question import ProcessSelector, Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.profilers import preflight
from perfhunt.profilers.preflight import checks, failures
from perfhunt.target.find import find_target
from perfhunt.target.host import limits, standing
from perfhunt.target.host.check import Check, CheckStatus
from perfhunt.target.proc.threads import is_held

pytestmark = [pytest.mark.live, pytest.mark.beside]


@pytest.fixture
def served() -> Iterator[tuple[int, int]]:
    """(pid, port) of a live python server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    quiet = subprocess.DEVNULL
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as one:
        deadline = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield one.pid, port
        one.kill()


def question(port: int) -> Question:
    return Question(
        Target(f"http://127.0.0.1:{port}"), (RequestTemplate("GET /", "GET", "/"),), Slo(())
    )


def named(found: tuple[Check, ...], name: str) -> Check:
    return next(one for one in found if one.name == name)


def test_a_python_target_is_attached_to_for_a_second(served: tuple[int, int]) -> None:
    pid, port = served
    found = checks(find_target(ProcessSelector(pid=pid)), question(port))
    assert failures(found) == ()
    assert named(found, "locust").sentence == f"locust {importlib.metadata.version('locust')}"
    attached = named(found, "py-spy")
    if attached.status is not CheckStatus.OK:
        pytest.skip(f"py-spy may not attach here: {attached.sentence}")
    assert f"attached to pid {pid}" in attached.sentence
    assert named(found, "target answers").status is CheckStatus.OK
    assert named(found, "target runs").status is CheckStatus.OK


def test_every_check_that_is_not_ok_says_what_mends_it() -> None:
    made = checks()
    assert made
    assert len({check.name for check in made}) == len(made)
    assert all(check.mend for check in made if check.status is not CheckStatus.OK)
    assert all(check.sentence for check in made)


def test_the_checklist_does_not_import_the_load_engine() -> None:
    code = (
        "import sys; from perfhunt.profilers.preflight import checks\n"
        "checks(); sys.exit('locust' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_port_that_takes_no_connections_fails() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, not listening
        check = preflight.reachable(f"http://127.0.0.1:{bound.getsockname()[1]}")
    assert check.status is CheckStatus.FAIL
    assert "refused" in check.sentence
    assert check.mend


def test_a_stopped_target_fails_with_the_signal_that_wakes_it(served: tuple[int, int]) -> None:
    pid, _ = served
    target = find_target(ProcessSelector(pid=pid))
    subprocess.run(["kill", f"-{int(signal.SIGSTOP)}", str(pid)], check=True)
    try:
        deadline = time.monotonic() + 5
        while not is_held(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        check = standing._runs(target)
    finally:
        subprocess.run(["kill", f"-{int(signal.SIGCONT)}", str(pid)], check=True)
    assert check.status is CheckStatus.FAIL
    assert check.mend == f"kill -CONT {pid}"


@pytest.mark.parametrize(
    ("scope", "root", "good"),
    [
        ("0", False, True),
        ("1", False, False),
        ("1", True, True),
        ("2", True, True),
        ("3", True, False),
    ],
)
def test_ptrace_scopes_are_judged_as_yama_documents_them(
    scope: str, root: bool, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "number", lambda path: int(scope))
    monkeypatch.setattr(limits, "has_capability", lambda bit: root)
    assert (limits.ptrace_scope().status is CheckStatus.OK) is good


@pytest.mark.parametrize(
    ("level", "capable", "good"),
    [(-1, False, True), (1, False, True), (2, False, False), (4, True, True)],
)
def test_perf_levels_are_judged_as_the_kernel_documents_them(
    level: int, capable: bool, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "number", lambda path: level)
    monkeypatch.setattr(limits, "has_capability", lambda bit: capable)
    check = limits.perf_paranoid()
    assert (check.status is CheckStatus.OK) is good
    assert good or "sysctl kernel.perf_event_paranoid=1" in check.mend
