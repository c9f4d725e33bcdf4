"""Steps in order: what the service saw of them, and what their trials say."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.latency import SAMPLE
from perfhunt.model.question import Question
from perfhunt.store.testfile import read_question
from tests.live.load_targets.harness import P99, announced, python, step
from tests.unit.model.testfiles import SLO

pytestmark = [pytest.mark.live, pytest.mark.beside]
PAYING = 0.1  # seconds: far longer than a request takes on a busy machine

JOURNEY = """
[[traffic]]
name = "buy"
[[traffic.steps]]
name = "cart"
request = "POST /cart"
extract = { id = "json:$.cart.id", code = "json:$.code" }
[[traffic.steps]]
request = "POST /pay/{id}"
json = { code = "{code}" }
extract = { receipt = "header:x-receipt" }
[[traffic.steps]]
name = "receipt"
request = "GET /receipt"
headers = { Authorization = "Bearer {receipt}" }
"""
PAY = "buy: POST /pay/{id}"


@pytest.fixture
def shop() -> Iterator[str]:
    with announced(*python("shop_steps.py", str(PAYING))) as url:
        yield url


@pytest.fixture
def tls_shop(tmp_path: Path) -> Iterator[str]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so there is no certificate")
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost")
    subprocess.run([*made, "-keyout", key, "-out", cert], check=True, capture_output=True)
    with announced(*python("shop_steps.py", str(PAYING), cert, key)) as url:
        yield url.replace("http:", "https:")


def asking(url: str, directory: Path, text: str) -> Question:
    (directory / "users.csv").write_text("user\nann\nbob\n")
    file = directory / "perfhunt.toml"
    file.write_text(f'{SLO}[target]\nurl = "{url}"\n{text}')
    return read_question(file, directory, {})


@contextlib.contextmanager
def opened(question: Question, directory: Path, workers: int = 1) -> Iterator[LocustEngine]:
    made = LocustEngine(run="test", workers=workers)
    try:
        made.open(question, (P99,), directory / "load")
        yield made
    finally:
        made.close()


def seen(url: str) -> list[tuple[str, int]]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        return [(what, number) for what, number in json.load(response)]


def dues(directory: Path, route: int) -> np.ndarray:
    samples = np.fromfile(directory / "load" / "0001.samples", SAMPLE)
    return np.sort(samples["due"][samples["endpoint"] == route])


@pytest.mark.parametrize("workers", [1, 2])
def test_each_journey_is_sent_in_order_with_what_its_own_answers_gave(
    shop: str, tmp_path: Path, workers: int
) -> None:
    with opened(asking(shop, tmp_path, JOURNEY), tmp_path, workers) as made:
        trial = made.run(step(90, 1.0, arrivals="uniform"))
    carts = trial.routes["cart"].response.n
    assert carts == 30  # of 90 requests a second
    assert {*trial.routes} == {"cart", PAY, "receipt"}
    assert all(route.outcomes["ok"] >= carts / 2 for route in trial.routes.values())
    assert {*trial.outcomes} == {"ok"}
    assert "lost" not in trial.invalid
    order = seen(shop)
    for cart in range(1, carts + 1):
        steps = [what for what, number in order if number == cart]
        assert steps == ["cart", "pay", "receipt"][: len(steps)]


def test_nothing_that_a_step_extracts_is_in_any_file_of_a_run(shop: str, tmp_path: Path) -> None:
    with opened(asking(shop, tmp_path, JOURNEY), tmp_path, workers=2) as made:
        made.run(step(60, 0.5))
    assert ("pay", 1) in seen(shop)
    kept = [path for path in (tmp_path / "load").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"code-1" in path.read_bytes()]


def test_a_journey_goes_on_over_tls(tls_shop: str, tmp_path: Path) -> None:
    text = f"verify_tls = false\n{LOGIN}{JOURNEY}"
    with opened(asking(tls_shop, tmp_path, text), tmp_path) as made:
        trial = made.run(step(80, 1.0, arrivals="uniform"))
    assert {*trial.outcomes} == {"ok"}
    assert trial.routes["receipt"].response.n >= 10


def test_the_latency_of_a_step_is_its_own(shop: str, tmp_path: Path) -> None:
    with opened(asking(shop, tmp_path, JOURNEY), tmp_path) as made:
        trial = made.run(step(60, 1.5))
    middle = {name: route.response.p50 or 0.0 for name, route in trial.routes.items()}
    assert middle[PAY] >= PAYING
    assert middle["cart"] < PAYING
    assert middle["receipt"] < PAYING  # what was waited for before it is no part of it
    assert trial.counts[P99.name].n == trial.n == sum(r.response.n for r in trial.routes.values())


def test_thinking_is_kept_to_and_is_no_latency_and_the_load_that_counts_is_whole(
    shop: str, tmp_path: Path
) -> None:
    text = JOURNEY.replace('name = "receipt"', 'name = "receipt"\nthink = "400ms"')
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        assert any("400 ms" in remark for remark in made.remarks)
        trial = made.run(step(90, 1.0, arrivals="uniform"))
    middle = trial.routes["receipt"].response.p50
    assert middle is not None
    assert middle < PAYING
    paid, received = dues(tmp_path, 1), dues(tmp_path, 2)
    assert np.all(received - paid[: len(received)] >= 0.4 + PAYING)
    assert trial.step.settle == pytest.approx(0.4)
    assert trial.routes["cart"].response.n == 30
    assert trial.routes["receipt"].response.n >= 23  # not 15, as in a load that is just beginning


@pytest.mark.parametrize(
    ("change", "ended", "told"),
    [
        (("/cart", "/cart?nothing"), "cart", "cart: extract.id: $.cart.id is not in the answer"),
        (("/cart", "/cart?late"), PAY, ""),
    ],
)
def test_a_step_that_fails_ends_its_journey_and_that_is_said(
    shop: str, tmp_path: Path, change: tuple[str, str], ended: str, told: str
) -> None:
    text = JOURNEY.replace(*change, 1)
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        trial = made.run(step(60, 1.0, arrivals="uniform"))
    failed = trial.routes[ended].outcomes["status"]
    left = "2 later steps were" if ended == "cart" else "1 later step was"
    said = f"{ended} was not answered as it must be, so {left} not sent"
    assert trial.generator.mishaps[said] == failed
    assert any(note == f"{failed} x {said}" for note in trial.generator.notes)
    assert any(told in note for note in trial.generator.notes)
    assert "receipt" not in trial.routes
    assert "receipt" not in {what for what, _ in seen(shop)}


def test_no_step_is_sent_after_the_load_or_by_a_single_probe(shop: str, tmp_path: Path) -> None:
    text = JOURNEY.replace('name = "receipt"', 'name = "receipt"\nthink = "1s"')
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        made._probe(0, 1.0)
        assert {what for what, _ in seen(shop)} == {"cart"}
        trial = made.run(step(30, 0.2, arrivals="uniform"))
        last = dues(tmp_path, 2).max()
        made._probe(0, 1.0)
    assert last < trial.seconds
    assert seen(shop)[-1][0] == "cart"


def test_single_requests_and_journeys_are_mixed_by_their_weights(shop: str, tmp_path: Path) -> None:
    text = f'{JOURNEY}[[traffic]]\nname = "look"\nrequest = "GET /seen"\nweight = 3\n'
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        trial = made.run(step(120, 1.0, arrivals="uniform"))
        assert any("66.7 journeys and single requests" in remark for remark in made.remarks)
    began = trial.routes["cart"].response.n
    assert began + trial.routes["look"].response.n == 80  # of 120 requests: one in four is three
    assert 8 <= began <= 32
    assert {*trial.outcomes} == {"ok"}


def test_a_redirect_is_an_answer_and_nobody_goes_there(shop: str, tmp_path: Path) -> None:
    text = JOURNEY.replace('"GET /receipt"', '"GET /away"')
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        trial = made.run(step(60, 0.5, arrivals="uniform"))
    assert {*trial.routes["receipt"].statuses} == {302}
    assert not trial.generator.refused


LOGIN = """
[login]
feed = "users.csv"
[[login.steps]]
request = "GET /form"
extract = { csrf = "json:$.csrf" }
[[login.steps]]
request = "POST /enter"
form = { csrf = "{csrf}", user = "{user}" }
[[login.steps]]
request = "POST /token"
json = { user = "{user}" }
extract = { token = "json:$.token" }
[[traffic]]
request = "GET /mine"
headers = { Authorization = "Bearer {token}" }
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_login_of_several_steps_keeps_its_cookies_and_gives_what_they_extract(
    shop: str, tmp_path: Path, workers: int
) -> None:
    with opened(asking(shop, tmp_path, LOGIN), tmp_path, workers) as made:
        assert made.run(step(40, 0.5, arrivals="uniform")).outcomes == {"ok": 20}
    kept = [path for path in (tmp_path / "load").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"r-ann" in path.read_bytes()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('csrf = "{csrf}"', 'csrf = "no"'), "POST /enter, row 1 of users.csv: the login failed"),
        (("json:$.csrf", "json:$.crsf"), "GET /form, row 1 of users.csv: extract.csrf: $.crsf is"),
    ],
)
def test_a_login_says_which_of_its_steps_failed(
    shop: str, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    question = asking(shop, tmp_path, LOGIN.replace(*change, 1))
    with pytest.raises(LoadFailed) as refused, opened(question, tmp_path):
        pass
    assert words in refused.value.message
    assert "s&1" not in refused.value.message


def test_a_session_goes_with_every_step_of_a_journey(shop: str, tmp_path: Path) -> None:
    text = LOGIN.replace("[[traffic]]\n", "[[traffic]]\n[[traffic.steps]]\n")
    text += '[[traffic.steps]]\nname = "again"\nrequest = "GET /mine?{user}"\n'
    text += 'headers = { Authorization = "Bearer {token}" }\n'
    with opened(asking(shop, tmp_path, text), tmp_path) as made:
        trial = made.run(step(80, 0.5, arrivals="uniform"))
    assert {*trial.outcomes} == {"ok"}
    assert trial.routes["again"].response.n >= 15
