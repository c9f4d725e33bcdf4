"""Whatever a server does, the child counts it by kind, keeps its memory bounded, and goes on."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Drain, Phase, Step
from tests.live.load_targets.harness import (
    P99,
    announced,
    engine,
    free_port,
    python,
    step,
    try_path,
)

pytestmark = [pytest.mark.live, pytest.mark.beside]

KINDS = {
    "garbage": "protocol",
    "half_body": "reset",
    "half_chunk": "reset",
    "half_head": "reset",
    "silent": "reset",
    "headers": "too_large",
    "dripping": "timeout",
    "pieces": "ok",
    "reset": "reset",
    "interim": "ok",
    "pipelined": "ok",
    "trailing": "ok",
    "until_close": "ok",
    "old": "ok",
    "upgrade": "status",
    "packed": "ok",
    "nothing": "ok",
    "teapot": "status",
    "fine": "ok",
}
STRAY = ("pipelined", "trailing", "later")


@pytest.fixture(scope="module")
def nasty() -> Iterator[str]:
    with announced(*python("nasty.py")) as url:
        yield url


def test_every_way_to_answer_badly_is_counted_by_its_kind(nasty: str, tmp_path: Path) -> None:
    endpoints = tuple(RequestTemplate(name, "GET", f"/{name}") for name in KINDS)
    with engine(nasty, tmp_path, *endpoints, ramp=Ramp(timeout=0.5)) as made:
        trial = made.run(step(300, 2.0))
    kinds = {name: set(route.outcomes) for name, route in trial.routes.items()}
    assert kinds == {name: {kind} for name, kind in KINDS.items()}
    assert trial.invalid == ""
    assert any("the answer began, and did not end" in text for text in trial.generator.mishaps)


def test_a_probe_that_is_not_answered_in_time_is_not_sent_again(nasty: str, tmp_path: Path) -> None:
    slow = RequestTemplate("it", "GET", "/dripping")
    with engine(nasty, tmp_path, slow, ramp=Ramp(timeout=2.0)) as made:
        made.overdue = 1.5  # so that two would be given up
        assert not made.drain(Drain(cap=2.5)).recovered


@pytest.mark.parametrize("name", STRAY)
def test_bytes_nobody_asked_for_are_noted_and_their_connection_is_not_used_again(
    name: str, nasty: str, tmp_path: Path
) -> None:
    trial = try_path(nasty, tmp_path, f"/{name}")
    assert trial.outcomes == {"ok": 20}
    assert any("nobody had asked for" in note for note in trial.generator.notes)
    assert trial.generator.connections_opened >= 10


def test_an_endless_body_ends_at_the_timeout_and_is_not_kept_in_memory(
    nasty: str, tmp_path: Path
) -> None:
    with engine(
        nasty, tmp_path, RequestTemplate("it", "GET", "/endless"), ramp=Ramp(timeout=1.0)
    ) as made:
        before = psutil.Process(made.child_pid).memory_info().rss
        trial = made.run(step(4, 1.0, arrivals="uniform"))
        after = psutil.Process(made.child_pid).memory_info().rss
    assert set(trial.outcomes) <= {"timeout", "too_large", "cut"}
    assert after - before < 30e6


def test_a_gzip_body_is_unpacked_only_to_look_for_the_text_and_never_without_bound(
    nasty: str, tmp_path: Path
) -> None:
    wanted = Expect(body="needle")
    endpoints = (
        RequestTemplate("packed", "GET", "/packed", expect=wanted),
        RequestTemplate("bomb", "GET", "/bomb", expect=wanted),
    )
    with engine(nasty, tmp_path, *endpoints) as made:
        trial = made.run(step(10, 1.0, arrivals="uniform"))
        assert psutil.Process(made.child_pid).memory_info().rss < 250e6
    assert trial.routes["packed"].outcomes.keys() == {"ok"}
    assert trial.routes["bomb"].outcomes.keys() == {"status"}


def test_the_answer_to_head_has_a_length_but_no_body(nasty: str, tmp_path: Path) -> None:
    trial = try_path(nasty, tmp_path, "/head", "HEAD")
    assert trial.outcomes == {"ok": 20}
    assert trial.generator.connections_opened <= 3


def test_an_expected_status_is_a_success_and_any_other_a_failure(
    nasty: str, tmp_path: Path
) -> None:
    assert try_path(nasty, tmp_path / "a", "/teapot", expect=Expect((418,))).outcomes == {"ok": 20}
    assert try_path(nasty, tmp_path / "b", "/fine", expect=Expect((418,))).outcomes == {
        "status": 20
    }


def test_a_request_that_met_a_connection_closing_for_idleness_is_sent_again(
    nasty: str, tmp_path: Path
) -> None:
    with engine(nasty, tmp_path, RequestTemplate("it", "GET", "/grumpy")) as made:
        trial = made.run(step(0.7, 3.0, arrivals="uniform"))
    assert trial.outcomes == {"ok": 3}
    assert any("closing for idleness" in note for note in trial.generator.notes)


def test_a_post_is_never_sent_twice(nasty: str, tmp_path: Path) -> None:
    with engine(nasty, tmp_path, RequestTemplate("it", "POST", "/grumpy")) as made:
        trial = made.run(step(0.7, 3.0, arrivals="uniform"))
    assert trial.outcomes["reset"] >= 1


def test_a_refusing_port_is_counted_as_connect_and_refusals_do_not_look_fast(
    tmp_path: Path,
) -> None:
    trial = try_path(f"http://127.0.0.1:{free_port()}", tmp_path, "/")
    assert trial.outcomes == {"connect": 20}
    assert trial.response.p50 == 1.0  # the timeout: no answer is no quick answer
    assert trial.counts[P99.name].exceed == 20


@pytest.mark.parametrize(
    ("path", "told"),
    [("/h2", "it speaks HTTP/2 alone"), ("/tls", "it speaks TLS: is target.url to begin with")],
)
def test_what_is_spoken_in_the_place_of_http_1_is_told(
    path: str, told: str, nasty: str, tmp_path: Path
) -> None:
    with engine(nasty, tmp_path, RequestTemplate("it", "GET", path)) as made:
        trial = made.run(step(20, 0.5))
        drained = made.drain(Drain(cap=5.0))
    assert any(told in text for text in trial.generator.mishaps)
    assert drained.recovered  # as well as it ever was


def test_tls_to_a_plain_port_is_counted_as_tls(nasty: str, tmp_path: Path) -> None:
    assert try_path(nasty.replace("http:", "https:"), tmp_path, "/fine").outcomes == {"tls": 20}


def test_a_host_that_does_not_resolve_fails_at_open_with_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(LoadFailed, match=r"nowhere\.invalid does not resolve"),
        engine("http://nowhere.invalid", tmp_path),
    ):
        pass


def test_a_secret_that_is_not_set_fails_at_open(nasty: str, tmp_path: Path) -> None:
    endpoint = RequestTemplate(
        "it", "GET", "/fine", headers=(("Authorization", "Bearer ${SURELY_NOT_SET}"),)
    )
    with pytest.raises(LoadFailed, match="SURELY_NOT_SET"), engine(nasty, tmp_path, endpoint):
        pass


def test_a_child_that_dies_takes_its_trial_with_it_and_is_started_again(
    nasty: str, tmp_path: Path
) -> None:
    made = LocustEngine(run="test")
    made.open(
        Question(Target(nasty), (RequestTemplate("it", "GET", "/fine"),), Slo(())), (P99,), tmp_path
    )
    try:
        first = made.child_pid
        trial = made.run(
            Step(Phase.RAMP, 50, 5.0, 1), watch=lambda row: psutil.Process(first).kill()
        )
        assert "SIGKILL" in trial.invalid
        assert made.run(step(50, 0.5)).invalid == ""
        assert made.child_pid != first
    finally:
        made.close()
