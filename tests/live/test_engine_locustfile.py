"""A user's own locustfile runs unchanged, driven by arrivals."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perfhunt.errors import LoadFailed
from perfhunt.model.question import LoopKind, Ramp
from tests.live.load_targets.harness import HERE, announced, engine, measured, python, step
from tests.live.load_targets.timed import PERIOD

pytestmark = [pytest.mark.live, pytest.mark.beside]

TASK = 60  # seconds: far beyond any timeout


@pytest.fixture
def listener() -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        yield url


def seen(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        found: dict[str, Any] = json.load(response)
        return found


def test_the_quickstart_of_locusts_documentation_runs_unchanged(
    listener: str, tmp_path: Path
) -> None:
    with engine(listener, tmp_path, locustfile=str(HERE / "quickstart_locustfile.py")) as made:
        trial = made.run(step(10, 2.0, arrivals="uniform"))
    paths = seen(listener)["paths"]
    # Every user logged in once; a task that takes ten seconds is still under way when the trial
    # ends.
    assert 1 <= paths["POST /login"] <= 20
    assert (
        paths["GET /hello"]
        == paths["GET /world"]
        == trial.routes["QuickstartUser.hello_world"].response.n
        > 0
    )
    assert trial.routes["QuickstartUser.hello_world"].outcomes.keys() == {"ok"}
    assert trial.routes["QuickstartUser.view_items"].outcomes.keys() == {"cut"}
    assert seen(listener)["agents"] == ["test"]
    assert trial.invalid == ""


def test_task_sets_both_clients_and_failures_are_counted_per_task(
    listener: str, tmp_path: Path
) -> None:
    file = str(HERE / "shop_locustfile.py")
    with engine(listener, tmp_path, locustfile=file, keep_error_text=True) as made:
        trial = made.run(step(100, 2.0))
    paths = seen(listener)["paths"]
    shopping, failing = trial.routes["Shopper.Browse"], trial.routes["Broken.fail"]
    assert shopping.outcomes.keys() == {"ok"}
    assert shopping.response.n / trial.n == pytest.approx(0.75, abs=0.1)
    assert paths["GET /basket"] - paths["POST /pay"] in range(20)
    assert failing.statuses == {500: failing.response.n}
    for route in ("Broken.fail", "Broken.raise_something"):
        assert trial.routes[route].outcomes.keys() == {"status"}
    assert trial.routes["Broken.leave_the_target"].outcomes.keys() == {"not_cleared"}
    assert trial.routes["Broken.give_up"].outcomes.keys() == {"ok"}
    assert any("a bug in the locustfile" in note for note in trial.generator.notes)
    assert trial.generator.refused.keys() == {"elsewhere.invalid"}


def test_the_response_of_a_task_counts_from_when_it_was_due(tmp_path: Path) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(
        "from locust import FastHttpUser, task\nclass U(FastHttpUser):\n    @task\n    def t(self):"
        " self.client.get('/')\n"
    )
    with (
        announced(*python("timed.py", "stall")) as url,
        engine(url, tmp_path, locustfile=str(locustfile)) as made,
    ):
        trial = made.run(step(50, PERIOD, arrivals="uniform"))
        stall = measured(url).stall
    assert trial.n == 300
    # As of the fast client (test_engine_truth): P(R > t) = (L - t)/6 for a stall L.
    for share, response in ((0.90, trial.response.p90), (0.95, trial.response.p95)):
        assert response is not None
        expected = stall - (1 - share) * PERIOD
        assert response / stall == pytest.approx(expected / stall, abs=0.1)


def test_a_locustfile_that_cannot_be_imported_fails_at_open_with_pythons_own_words(
    listener: str, tmp_path: Path
) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text("import a_module_nobody_has\n")
    with (
        pytest.raises(LoadFailed, match="a_module_nobody_has"),
        engine(listener, tmp_path, locustfile=str(locustfile)),
    ):
        pass


def test_a_task_beyond_the_timeout_is_ended_and_its_user_is_not_used_again(
    listener: str, tmp_path: Path
) -> None:
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(
        "import time\nfrom locust import HttpUser, task\nclass U(HttpUser):\n    @task\n    def"
        f" t(self): time.sleep({TASK})\n"
    )
    ramp = Ramp(timeout=0.5)
    with engine(listener, tmp_path, locustfile=str(locustfile), ramp=ramp) as made:
        trial = made.run(step(10, 1.0, arrivals="uniform"))
        assert trial.outcomes == {"timeout": 10}
        began = time.monotonic()
    assert time.monotonic() - began < TASK / 10  # nobody waited for a task to end by itself


def test_a_closed_loop_hides_a_stall_and_says_that_it_is_one(tmp_path: Path) -> None:
    """The same server as in the open loop above: one user sees one slow request in a second of
    stall, and p95 knows nothing.
    """
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text(
        "from locust import FastHttpUser, constant_throughput, task\nclass U(FastHttpUser):\n   "
        " wait_time = constant_throughput(50)\n    @task\n    def t(self): self.client.get('/')\n"
    )
    ramp = Ramp(loop=LoopKind.CLOSED)
    with (
        announced(*python("timed.py", "stall")) as url,
        engine(url, tmp_path, locustfile=str(locustfile), ramp=ramp) as made,
    ):
        trial = made.run(step(1, PERIOD))
        answers = measured(url)
    assert np.count_nonzero(answers.held > answers.stall / 2) == 1
    assert trial.response.p95 is not None
    assert trial.response.max is not None
    assert trial.response.p95 < answers.stall / 20
    assert trial.response.max / answers.held.max() == pytest.approx(1, rel=0.1)
    assert trial.routes.keys() == {"GET /"}
    assert any("closed loop" in note for note in trial.generator.notes)
