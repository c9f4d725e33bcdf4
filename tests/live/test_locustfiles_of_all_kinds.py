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
from perfhunt.model.latency import UNCAUSED
from perfhunt.model.question import LocustOptions, LoopKind, Ramp
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from tests.live.load_targets.harness import HERE, P99, announced, engine, python, step

pytestmark = [pytest.mark.live, pytest.mark.beside]

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


def written(
    url: str,
    directory: Path,
    name: str,
    *classes: str,
    options: LocustOptions = (),
    workers: int = 1,
) -> tuple[Trial, str]:
    """A second of a locustfile as people write them, to its end; and what was remarked on it."""
    file = str(HERE / "locustfiles" / f"{name}.py")
    with engine(
        url,
        directory,
        criteria=(P99, ERRORS),
        locustfile=file,
        locust_classes=classes,
        locust_options=options,
        workers=workers,
    ) as made:
        return made.run(step(60, 1.0, arrivals="uniform")), " ".join(made.remarks)


def test_users_log_in_before_the_load_check_answers_and_log_out_at_the_end(
    listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "accounts")
    paths = seen(listener)
    assert trial.outcomes == {"ok": 60}
    assert trial.routes["ApiUser.order"].statuses.keys() == {200}  # with the token: else 401
    assert trial.routes["ApiUser.absent"].statuses.keys() == {500}
    assert paths["POST /login"] >= 6  # made ready for 60 tasks a second
    assert 0 < paths["POST /logout"] <= paths["POST /login"]
    assert paths.keys() >= {f"GET /private/orders/{number}" for number in (1, 2, 3)}


def test_the_fast_client_and_rest_of_tagged_tasks_and_of_a_users_own_class(
    listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "catalogue", options=(("tags", ("read",)),))
    assert seen(listener).keys() == {
        *("GET /shelf", "POST /echo"),
        *("POST /right", "POST /wrong"),
    }
    by_outcome = {name: set(route.outcomes) for name, route in trial.routes.items()}
    assert by_outcome.pop("Checked.wrong") == {"status"}
    assert set.union(*by_outcome.values()) == {"ok"}


def test_a_sequence_is_gone_through_in_order_and_a_set_within_it_to_its_end(
    listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "journey")
    paths = seen(listener)
    steps = ["1-login", "2-product", "3-basket", "4-logout"]
    visits = [paths[f"GET /visit/{step}"] for step in steps]
    assert visits == sorted(visits, reverse=True) and visits[-1] > 0
    # Each arrival asked once: one that only leaves the set within goes on with what follows it.
    assert sum(visits) == trial.routes["Visitor.Visit"].response.n
    ends = {path: count for path, count in paths.items() if path.startswith("GET /thread/close")}
    opened, read = paths["GET /thread/open"], paths["GET /thread/read"]
    assert ends["GET /thread/close-3"] <= sum(ends.values()) <= opened
    assert sum(int(end[-1]) * count for end, count in ends.items()) <= read <= 3 * opened
    assert read == trial.routes["Reader.Forum"].response.n
    assert paths.keys() == {*(f"GET /visit/{step}" for step in steps), *ends} | {
        "GET /thread/open",
        "GET /thread/read",
    }


def test_a_protocol_of_the_users_own_is_counted_by_the_events_that_it_fires(tmp_path: Path) -> None:
    with announced(*python("locustfiles/procedure_server.py")) as url:
        trial, _ = written(url, tmp_path, "procedures")
    assert trial.n == 60
    assert trial.routes["Caller.echo"].outcomes.keys() == {"ok"}
    assert trial.routes["Caller.fault"].outcomes.keys() == {"status"}


def test_users_take_turns_with_the_rows_of_a_file_that_they_took(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUST_TENANT", "acme")
    options = (("pages", ("2",)), ("region", ("eu",)))
    trial, _ = written(listener, tmp_path, "settings", options=options)
    paths = seen(listener)
    assert trial.outcomes == {"ok": 60} and sum(paths.values()) == 120
    rows = {path.split("/")[3] for path in paths}
    assert len(rows) >= 6  # made ready for 60 tasks a second
    assert paths.keys() == {f"GET /eu/acme/{row}/{page}" for row in rows for page in (0, 1)}


def test_what_an_open_loop_has_no_use_for_is_said(listener: str, tmp_path: Path) -> None:
    trial, remarks = written(listener, tmp_path, "paced")
    assert trial.outcomes == {"ok": 60}
    assert "wait_time of Own, Paced" in remarks and "load shape Stages" in remarks


def test_classes_with_a_base_of_their_own_are_asked_by_weight(
    listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "family")
    paths = seen(listener)
    assert trial.routes["MobileUser.visit"].response.n / 60 == pytest.approx(3 / 4, abs=0.15)
    assert paths["GET /desktop"] == paths["GET /desktop/more"] > 0
    assert paths.keys() == {
        *("GET /mobile", "GET /desktop"),
        *("GET /desktop/more", "POST /checkout"),
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_listeners_prepare_the_test_and_hear_how_it_went(
    workers: int, listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "lifecycle", workers=workers)
    assert trial.outcomes == {"ok": 60}
    assert seen(listener) == {
        "GET /private": 60,
        "POST /seed": workers,  # in each, as each has a locustfile of its own
        "POST /unseed/seeded": workers,
        "POST /quit/0/True": workers,
    }


def test_users_that_stop_say_farewell_and_pages_follow_by_their_transitions(
    listener: str, tmp_path: Path
) -> None:
    trial, _ = written(listener, tmp_path, "wandering")
    paths = seen(listener)
    assert trial.outcomes == {"ok": 60}
    dismissed = trial.routes["Dismissed.work"].response.n
    assert paths["GET /dismissed/last"] == dismissed
    assert paths["GET /dismissed/gone"] >= dismissed > 0  # with those who were never asked
    halfway = paths.get("GET /tired/gone-1", 0)
    assert 0 < paths["GET /tired/gone-0"] * 2 + halfway <= paths["GET /tired/work"]
    assert paths["GET /tired/doze"] == trial.routes["Tired.doze"].response.n > 0
    assert paths["GET /wander/first"] >= paths["GET /wander/second"] >= paths["GET /wander/third"]


@pytest.mark.parametrize("loop", LoopKind)
def test_a_locustfile_that_ends_the_test_stops_the_run(
    loop: LoopKind, listener: str, tmp_path: Path
) -> None:
    file = str(HERE / "locustfiles" / "guarded.py")
    ramp = Ramp(loop=loop)
    with engine(listener, tmp_path, ramp=ramp, locustfile=file) as made:
        cut_short = made.run(step(10, 60.0, arrivals="uniform"))
        sent = sum(seen(listener).values())
        after = made.run(step(10, 1.0, arrivals="uniform"))
        assert sum(seen(listener).values()) == sent  # of the second nothing
    for trial in (cut_short, after):
        assert trial.invalid == "stopped: the locustfile ended the test"
    assert (cut_short.n > 0, after.n) == (True, 0)
