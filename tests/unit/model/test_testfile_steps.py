"""Steps in order, of `[[traffic]]` and `[login]`: how they are read, refused, stored, compared."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.model import redact
from perfhunt.model.question import Question
from perfhunt.model.testfile.engine_keys import engine_problems
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.traffic_table import MOST_STEPS, Surroundings
from tests.unit.model.testfiles import SLO, parse, refusal

CART = """[[traffic]]
name = "buy"
weight = 2
feed = "rows.jsonl"
steps = [
  { request = "POST /cart", json = { sku = "{sku}" }, extract = { id = "json:$.id" } },
  { request = "POST /pay/{id}", think = "1s", extract = { r = "header:X-R" } },
  { name = "receipt", request = "GET /receipt", headers = { Authorization = "Bearer {r}" } },
]
"""


def asked(text: str = CART) -> Question:
    return parse(SLO + text)


def test_steps_are_requests_of_their_own_and_the_first_has_weight_and_feed() -> None:
    (first,) = asked().traffic
    assert [step.name for step in first.steps] == [
        "buy: POST /cart",
        "buy: POST /pay/{id}",
        "receipt",
    ]
    assert first.feed is not None
    assert (first.weight, first.feed.columns) == (2.0, ("sku", "n"))
    assert first.extract == (("id", "json:$.id"),)
    assert [step.think for step in first.steps] == [0.0, 1.0, 0.0]


def test_an_slo_may_be_of_any_step() -> None:
    route = '[[slo.route]]\nmatch = "receipt"\nlatency = { p99 = "<= 10ms" }\n'
    assert asked(f"{route}{CART}").slo.objectives[1].route == "receipt"


def test_rates_are_of_requests_and_what_that_is_in_journeys_is_said() -> None:
    assert asked().requests_per_arrival == 3
    assert asked().think == 1
    assert asked().rates_said.startswith(
        "rates are of requests: 100/s begin 33.3 journeys a second"
    )
    assert "begins 1 s later" in asked().rates_said
    # Two journeys of three requests for six requests by themselves: twelve of eight arrivals.
    mixed = asked(f'{CART}[[traffic]]\nrequest = "GET /"\nweight = 6\n')
    assert mixed.requests_per_arrival == 1.5
    assert "66.7 journeys and single requests" in mixed.rates_said
    plain = asked('[[traffic]]\nrequest = "GET /"\n')
    assert (plain.requests_per_arrival, plain.think, plain.rates_said) == (1, 0, "")


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (('request = "POST /cart"', 'request = "/cart"'), "steps[1].request", "has no method"),
        (("{id}", "{ids}"), "steps[2].request", 'no step before extracts it; did you mean "id"?'),
        (('"{sku}"', '"{r}"'), "steps[1].json", "{r} is no column of the feed, and no step before"),
        (("json:$.id", "$.id"), "steps[1].extract.id", "is no place in an answer"),
        (("{ id =", "{ n ="), "steps[1].extract.n", "is a column of the feed"),
        (("{r}", "r"), "steps[2].extract.r", "is used by no step"),
        (('"{sku}"', '"A1"'), "feed", "no column of it is used"),
        (('think = "1s"', 'think = "11s"'), "steps", "think for 11 s together, more than the 10 s"),
        (('think = "1s"', "think = 1"), "steps[2].think", "has no unit"),
        (('json = { sku = "{sku}" }', 'think = "1s"'), "steps[1].think", "before the first step"),
        (('think = "1s"', "weight = 3"), "steps[2].weight", "it belongs beside steps"),
        (('think = "1s"', 'feed = "pages.csv"'), "steps[2].feed", "it belongs beside steps"),
        (("weight = 2", 'request = "GET /"'), "request", "it belongs in each of the steps"),
        (("weight = 2", "weight = 0"), "weight", "is not a number above 0"),
        (('name = "receipt"', 'name = "buy: POST /cart"'), "steps[3].name", "of another endpoint"),
        (("rows.jsonl", "gone.jsonl"), "feed", "cannot be read"),
    ],
)
def test_a_step_that_cannot_be_is_refused_with_its_place(
    change: tuple[str, str], path: str, words: str
) -> None:
    assert change[0] in CART
    message = refusal(SLO + CART.replace(*change, 1))
    assert f"traffic[1].{path}: " in message
    assert words in message


def test_a_feed_that_cannot_be_read_is_told_alone() -> None:
    assert "sku" not in refusal(SLO + CART.replace("rows.jsonl", "gone.jsonl"))


@pytest.mark.parametrize("n", [0, MOST_STEPS + 1])
def test_there_are_steps_but_not_too_many(n: int) -> None:
    steps = ", ".join(f'{{ request = "GET /{i}" }}' for i in range(n))
    message = refusal(f"{SLO}[[traffic]]\nsteps = [{steps}]\n")
    assert f"write 1 to {MOST_STEPS}" in message


@pytest.mark.parametrize(("key", "home"), [("extract", "[login], or in steps"), ("think", "steps")])
def test_a_request_by_itself_says_where_the_keys_of_steps_belong(key: str, home: str) -> None:
    value = '"1s"' if key == "think" else '{ id = "json:$.id" }'
    message = refusal(f'{SLO}[[traffic]]\nrequest = "GET /"\n{key} = {value}\n')
    assert f"traffic[1].{key}: is not a known key; it belongs in {home}" in message


@pytest.mark.parametrize("engine", ["k6", "vegeta"])
def test_other_engines_send_no_steps_and_say_what_does(engine: str) -> None:
    message = refusal(f'engine = "{engine}"\n{SLO}{CART}')
    assert f"engine: {engine} is given single requests here, and cannot send steps" in message
    assert 'k6_script = "script.js"' in message
    assert not engine_problems(asked())


LOGIN = """[login]
feed = "pages.csv"
steps = [
  { request = "GET /form", extract = { csrf = "json:$.csrf" } },
  { request = "POST /enter", form = { a = "{csrf}", p = "{page}" }, extract = { t = "cookie:t" } },
]
[[traffic]]
request = "GET /{sort}"
headers = { Authorization = "Bearer {t}" }
"""


def test_a_login_of_several_steps_fills_what_any_of_them_extracts() -> None:
    login = asked(LOGIN).login
    assert login is not None
    assert [step.path for step in login.steps] == ["/form", "/enter"]
    assert asked(LOGIN).session_values == ()
    also = LOGIN.replace("{t}", "{csrf}")
    assert asked(also).traffic[0].headers == (("Authorization", "Bearer {csrf}"),)


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        (("{csrf}", "{cfrs}"), "login.steps[2].form", "no step before extracts it"),
        (("{ csrf =", "{ page ="), "login.steps[1].extract.page", "is a column of the feed"),
        (("feed =", 'extract = { a = "cookie:a" }\nfeed ='), "login.extract", "in each of the"),
        (('"POST /enter"', '"POST /enter", think = "1s"'), "login.steps[2].think", "no meaning"),
        (("feed =", "weight = 3\nfeed ="), "login.weight", "sessions = 10"),
        (("{t}", "{tt}"), "traffic[1].headers.Authorization", "no column of the feed or the login"),
    ],
)
def test_a_login_of_steps_that_cannot_be_is_refused_with_its_place(
    change: tuple[str, str], path: str, words: str
) -> None:
    assert change[0] in LOGIN
    message = refusal(SLO + LOGIN.replace(*change, 1))
    assert f"{path}: " in message
    assert words in message


@pytest.mark.parametrize("line", ["refresh_on = [401]", 'lifetime = "10m"'])
@pytest.mark.parametrize("steps", [True, False])
def test_a_login_that_is_to_be_repeated_is_refused_with_the_way_out(line: str, steps: bool) -> None:
    single = 'request = "POST /"\nextract = { t = "cookie:t" }\n[['
    text = LOGIN if steps else f"[login]\n{single}{LOGIN.split('[[')[1]}"
    message = refusal(SLO + text.replace("[login]", f"[login]\n{line}"))
    assert f"login.{line.split()[0]}: cannot be kept to: nobody logs in again" in message
    assert "steps of [[traffic]]" in message


def test_a_login_whose_steps_extract_nothing_is_refused() -> None:
    text = LOGIN.replace('extract = { csrf = "json:$.csrf" }', 'name = "a"')
    text = text.replace(', extract = { t = "cookie:t" }', "").replace("{csrf}", "x")
    assert "login.steps: extract nothing that the traffic could use" in refusal(SLO + text)


def test_a_stored_run_keeps_no_secret_of_a_step_and_still_compares() -> None:
    mark = redact.marker(b"a key")
    secret = CART.replace("{sku}", "hunter2-{sku}").replace("Bearer {r}", "hunter3 {r}")
    stored = asked(secret).marked(mark).redacted()
    assert "hunter" not in repr(stored)
    assert stored.is_redacted()
    assert stored.marked(mark) == stored
    assert stored.fingerprint() == asked(secret).marked(mark).fingerprint()
    for other in (("hunter3", "hunter4"), ("hunter2", "hunter4"), ('"1s"', '"2s"'), ("X-R", "X-S")):
        assert asked(secret.replace(*other)).marked(mark).fingerprint() != stored.fingerprint()


def test_a_question_without_steps_asks_what_it_asked_before_there_were_any() -> None:
    plain = asked('[[traffic]]\nrequest = "GET /"\n')
    identity = plain.identity()["traffic"][0]
    assert not {"then", "extract", "think"} & identity.keys()
    (first,) = plain.traffic
    longer = replace(plain, traffic=(replace(first, then=(first,)),))
    assert longer.fingerprint() != plain.fingerprint()


def test_the_examples_of_the_documentation_are_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "traffic.md").read_text()
    examples = [e for e in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "steps" in e]
    assert len(examples) == 2
    rows = b"sku,user,password\nA1,ann,secret\n"
    for example in examples:
        question = parse_question(SLO + example, "page", Surroundings({}, lambda _: rows))
        assert any(first.then for first in (*question.traffic, question.login) if first)
