"""What a locustfile does wrong is told as its own doing, and costs no more than its own trial."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.errors import ExitCode, TrafficError, UnsafeTarget
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import LocustOptions
from perfhunt.model.trial import Drain, Trial
from perfhunt.safety.stays import require_cleared
from tests.live.load_targets.harness import announced, engine, python, step

pytestmark = [pytest.mark.live, pytest.mark.beside]

HEAD = "import os, sys, time, gevent\nfrom locust import HttpUser, events, task\n"
USER = "class U(HttpUser):\n    @task\n    def t(self):\n        "


@pytest.fixture(scope="module")
def listener() -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        yield url


def written(directory: Path, body: str, before: str = "") -> str:
    path = directory / "locustfile.py"
    path.write_text(f"{HEAD}{textwrap.dedent(before)}{USER}{body}\n")
    return str(path)


def asked(url: str, directory: Path, body: str, before: str = "") -> Trial:
    with engine(url, directory / "run", locustfile=written(directory, body, before)) as made:
        return made.run(step(20, 2.0, arrivals="uniform"))


def test_the_time_of_a_task_is_told_from_that_of_its_requests(
    listener: str, tmp_path: Path
) -> None:
    get = 'self.client.get("/")'
    (slow,) = asked(listener, tmp_path, f"{get}; gevent.sleep(0.3); {get}").generator.tasks
    assert (slow.name, slow.n) == ("U.t", 40) and slow.requests in range(70, 81)
    assert slow.seconds > 40 * 0.2 and slow.own > 0.5
    (quick,) = asked(listener, tmp_path, get).generator.tasks
    assert quick.requests == 40 and quick.asked <= quick.seconds < slow.seconds / 4


@pytest.mark.parametrize("raised", ["raise ValueError(1)", "sys.exit(3)"])
def test_what_a_task_raises_is_kept_and_ends_nothing(
    raised: str, listener: str, tmp_path: Path
) -> None:
    trial = asked(listener, tmp_path, f'self.client.get("/"); {raised}')
    kind = "SystemExit" if "exit" in raised else "ValueError"
    assert trial.outcomes == {"status": 40} and not trial.invalid
    assert trial.generator.mishaps == {f"U.t: {kind} at locustfile.py:6 in t": 40}


def test_requests_for_another_host_end_with_93_and_say_where(listener: str, tmp_path: Path) -> None:
    trial = asked(listener, tmp_path, 'self.client.get("http://127.0.0.1:9/other")')
    assert trial.outcomes == {"not_cleared": 40}
    with pytest.raises(UnsafeTarget, match=r"127\.0\.0\.1:9"):
        require_cleared(trial)


def test_a_locustfile_may_change_its_directory(listener: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = f"os.chdir({str(tmp_path / 'elsewhere')!r})\n"
    assert asked(listener, tmp_path, 'self.client.get("/")', moved).outcomes == {"ok": 40}


def test_a_runner_that_is_quit_is_said_to_be_the_locustfiles_doing(
    listener: str, tmp_path: Path
) -> None:
    quits = 'self.client.get("/"); self.environment.runner.quit()'
    assert asked(listener, tmp_path, quits).invalid == "stopped: the locustfile ended the test"


def test_a_drain_that_waits_for_the_locustfile_does_not_blame_the_target(
    listener: str, tmp_path: Path
) -> None:
    def drained(made: LocustEngine) -> str:
        made.run(step(5, 1.0, arrivals="uniform"))
        return made.drain(Drain(cap=1.0)).why

    stuck = written(tmp_path, "gevent.event.Event().wait()", "import gevent.event\n")
    with engine(listener, tmp_path / "stuck", locustfile=stuck) as made:
        assert "though they were in no request" in drained(made)
    ends = written(tmp_path, "os._exit(7)")
    with engine(listener, tmp_path / "ends", locustfile=ends) as made:
        assert "ended with code 7" in drained(made)


@pytest.mark.parametrize(
    ("before", "options", "told"),
    [
        ("", (("nothing", ("x",)),), "has no option"),
        ("", (("version", ()),), "ends Locust at once"),
        ("raise KeyError(1)\n", (), "KeyError at locustfile.py:3"),
        (
            """\
            @events.init_command_line_parser.add_listener
            def _(parser):
                parser.add_argument("--shop", default=1 / 0)
            """,
            (("shop", ("x",)),),
            "init_command_line_parser in the locustfile failed: ZeroDivisionError at",
        ),
    ],
)
def test_a_locustfile_that_cannot_be_used_is_a_bad_test_file(
    before: str, options: LocustOptions, told: str, listener: str, tmp_path: Path
) -> None:
    path = written(tmp_path, "pass", before)
    with (
        pytest.raises(TrafficError) as refused,
        engine(listener, tmp_path / "run", locustfile=path, locust_options=options),
    ):
        raise AssertionError("it was opened")
    assert told in refused.value.message
    assert refused.value.exit_code is ExitCode.BAD_TEST_FILE
