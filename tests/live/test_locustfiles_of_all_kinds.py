"""Locustfiles of shapes that people write run as `locust` runs them, and nothing that they cause is
lost.
"""

from __future__ import annotations

import json
import math
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.messages import UNCAUSED
from perfhunt.model.question import LocustOptions
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from tests.live.load_targets.harness import HERE, P99, announced, engine, python, step

pytestmark = pytest.mark.live

ERRORS = Criterion("errors", math.inf, 0.001)
ODD = str(HERE / "odd_locustfile.py")


@pytest.fixture
def listener() -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        yield url


def seen(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        found: dict[str, Any] = json.load(response)
        paths: dict[str, int] = found["paths"]
        return paths


def run(
    url: str, directory: Path, *classes: str, options: LocustOptions = (), rate: float = 30
) -> Trial:
    with engine(
        url,
        directory,
        criteria=(P99, ERRORS),
        locustfile=ODD,
        locust_classes=classes,
        locust_options=options,
    ) as made:
        return made.run(step(rate, 2.0, arrivals="uniform"))


def test_any_callable_is_a_task_below_the_path_of_its_classs_host(
    listener: str, tmp_path: Path
) -> None:
    trial = run(listener, tmp_path, "Callables")
    assert trial.outcomes == {"ok": 60}
    assert trial.routes.keys() == {
        f"Callables.{name}" for name in ("ask", "ask (2)", "ask (3)", "Object")
    }
    assert seen(listener).keys() == {
        f"GET /base/{name}" for name in ("plain", "partial", "other", "object")
    }


def test_options_have_their_defaults(listener: str, tmp_path: Path) -> None:
    run(listener, tmp_path, "Tagged", options=(("tags", ("read",)),))
    assert seen(listener).keys() == {"GET /acme/False/"}


def test_options_come_from_the_environment_and_the_test_file_and_tags_choose_tasks(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD_TENANT", "globex")
    monkeypatch.setenv("LOWEST", "-3")
    options = (("dry_run", ()), ("shelf", ("a", "${LOWEST}")), ("exclude_tags", ("write",)))
    trial = run(listener, tmp_path, "Tagged", options=options)
    assert seen(listener).keys() == {"GET /globex/True/a--3"}
    assert trial.routes.keys() == {"Tagged.look"}


@pytest.mark.parametrize(
    ("classes", "options", "told"),
    [
        (("Taged",), (), "Tagged"),
        (("Tagged",), (("tenent", ("x",)),), "tenant"),
        (("Tagged",), (("tags", ("none",)),), "tags leave out every task"),
        (("Tagged",), (("dry_run", ("x",)),), "dry-run"),
    ],
)
def test_what_the_locustfile_does_not_have_is_refused_before_load(
    classes: tuple[str, ...], options: LocustOptions, told: str, listener: str, tmp_path: Path
) -> None:
    with pytest.raises(LoadFailed) as refused:
        run(listener, tmp_path, *classes, options=options)
    assert told in f"{refused.value.message} {refused.value.hint}"
    assert not seen(listener)


def test_requests_in_greenlets_of_a_task_are_that_tasks(listener: str, tmp_path: Path) -> None:
    trial = run(listener, tmp_path, "Browser")
    assert trial.outcomes == {"status": 60}
    assert trial.routes["Browser.page"].statuses == {500: 60}
    assert seen(listener)["GET /fail"] == 180


@pytest.mark.parametrize("kind", ["Forgetful", "Poller"])
def test_requests_of_no_task_under_way_count_all_the_same(
    kind: str, listener: str, tmp_path: Path
) -> None:
    trial = run(listener, tmp_path, kind)
    late = trial.routes[UNCAUSED]
    assert late.outcomes == {"status": late.response.n} and late.statuses == {500: late.response.n}
    assert trial.outcomes["status"] == late.response.n >= 20
    assert trial.counts["errors"].exceed == late.response.n
    assert trial.n == 60 + late.response.n  # every arrival, and what nobody asked for
    assert trial.achieved == pytest.approx(30, rel=0.05)
    assert any(UNCAUSED in note for note in trial.generator.notes)
    assert not trial.invalid


def test_users_that_speak_something_else_are_counted_by_the_event_alone(
    listener: str, tmp_path: Path
) -> None:
    trial = run(listener, tmp_path, "OwnUser")
    assert trial.outcomes == {"ok": 60}


def test_a_call_of_theirs_that_fails_is_a_failure(listener: str, tmp_path: Path) -> None:
    trial = run(listener, tmp_path, "FailingOwnUser")
    assert "ok" not in trial.outcomes and sum(trial.outcomes.values()) == 60


def test_a_locustfile_hears_of_the_end_and_what_is_not_done_is_said(
    listener: str, tmp_path: Path
) -> None:
    options: LocustOptions = (("shelf", ("begin",)),)
    with engine(
        listener, tmp_path, locustfile=ODD, locust_classes=("Ends",), locust_options=options
    ) as made:
        made.run(step(10, 1.0, arrivals="uniform"))
        remarks = " ".join(made.remarks)
        assert "GET /stopped" not in seen(listener)
    assert {seen(listener)["GET /stopped"], seen(listener)["GET /quitting"]} == {1}
    for told in ("wait_time of Ends", "fixed_count of Ends", "load shape Shape"):
        assert told in remarks


def test_nothing_more_is_sent_after_a_load_that_was_cut_off(listener: str, tmp_path: Path) -> None:
    options: LocustOptions = (("shelf", ("begin",)),)
    with engine(
        listener, tmp_path, locustfile=ODD, locust_classes=("Ends",), locust_options=options
    ) as made:
        trial = made.run(step(10, 5.0), stop=lambda: "enough" if seen(listener) else "")
    assert "enough" in trial.invalid
    assert "GET /stopped" not in seen(listener)


def test_what_fails_before_the_load_is_told_and_is_no_arrival(
    listener: str, tmp_path: Path
) -> None:
    trial = run(listener, tmp_path, "Rejected")
    assert trial.outcomes == {"ok": 60}
    assert any("before the load" in note for note in trial.generator.notes)
