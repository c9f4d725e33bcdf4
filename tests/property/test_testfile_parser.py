"""Whatever a file holds, reading it gives a question or a refusal with a place and a hint: never a
traceback.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfhunt.errors import QuestionError
from perfhunt.model.question import Question
from perfhunt.model.testfile.feed import FeedError, parse_feed
from perfhunt.model.testfile.template import columns_used, fill, in_json, variables_used
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import ThresholdError, k6_objectives
from perfhunt.model.testfile.traffic_table import Surroundings

TABLES = {
    "target": ["url", "environment", "process", "verify_tls", "name"],
    "traffic": [
        "name",
        "request",
        "weight",
        "feed",
        "json",
        "body",
        "form",
        "headers",
        "expect",
        "locustfile",
        "steps",
        "extract",
        "think",
    ],
    "login": ["request", "feed", "sessions", "extract", "steps", "weight"],
    "slo": [
        "latency",
        "throughput",
        "errors",
        "resources",
        "route",
        "expressions",
        "at_load",
        "min_samples",
    ],
    "ramp": [
        "mode",
        "start",
        "staircase",
        "budget",
        "precision",
        "hold",
        "baseline",
        "timeout",
        "deadline",
        "max",
        "arrivals",
        "loop",
    ],
    "safety": ["allow_hosts", "max_rate", "max_duration", "killswitch", "comms"],
    "": [
        "schema",
        "seed",
        "locustfile",
        "match",
        "p50",
        "p99",
        "p99.9",
        "sustained",
        "http_5xx",
        "transport",
        "any",
        "cpu",
        "port",
    ],
}
KEYS = [key for keys in TABLES.values() for key in keys] + [table for table in TABLES if table]
VALUES = st.one_of(
    st.none().map(lambda _: True),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "<= 400ms",
            "< 0.1%",
            ">= 300/s for 60s",
            "10m",
            "50/s",
            "GET /",
            "POST /{id}",
            "${A}",
            "",
            "search",
            "10/s for 1m",
            "http://h",
            "local",
            "rows.csv",
            "<= 0",
            "p(95)<500",
            "http_req_failed: rate<0.01",
            "9" * 400 + "s",
            "1e9/s",
            "json:$.id",
            "cookie:sid",
        ]
    ),
)
TREE = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=20,
)

# Tables where they belong, with keys that belong there and values of any kind: most of the way into
# every reader.
SHAPED = {
    table: (
        st.dictionaries(st.sampled_from(keys), TREE, max_size=5)
        | st.lists(st.dictionaries(st.sampled_from(keys), TREE, max_size=5), max_size=3)
    )
    for table, keys in TABLES.items()
    if table
}


# A request that is well written, with other things beside it that steps may have.
STEP: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    request=st.sampled_from(["GET /", "POST /{a}", "GET /{id}", "/"]) | VALUES,
    extract=st.dictionaries(
        st.sampled_from(["a", "id", "b c"]), st.sampled_from(["json:$.id", "cookie:a", "x"]) | TREE
    ),
    think=st.sampled_from(["1s", "9s"]) | VALUES,
    json=TREE,
)
STEPS = st.fixed_dictionaries(
    {"steps": st.lists(STEP, max_size=4)},
    optional={"feed": st.just("rows.csv"), "weight": VALUES, "name": VALUES, "extract": TREE},
)


def read(name: str) -> bytes:
    if name == "rows.csv":
        return b"id\n1\n"
    raise FileNotFoundError(2, "No such file or directory")


def outcome(text: str) -> Question | QuestionError:
    try:
        return parse_question(text, "perfhunt.toml", Surroundings({"A": "1"}, read))
    except QuestionError as error:
        assert error.hint
        assert error.message.startswith("perfhunt.toml")
        assert all(line.isprintable() for line in (error.message + error.hint).split("\n"))
        return error


def as_toml(value: Any) -> str:
    """A value as TOML writes it; an independent writer, so that the parser is not tested against
    itself.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{json.dumps(key)} = {as_toml(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(as_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=True).replace("\\ud", "\\\\ud")
    if isinstance(value, float):
        return repr(value)
    return str(value)


@given(st.text(max_size=200))
@example("[" * 5000)
@example("a = " + "[" * 5000)
@example("a = " + "9" * 5000)
@example("a" + ".a" * 3000 + " = 1")
@example('"\\u001b[31m" = 1\n[slo]\nlatency = { "p\\u0007" = "<= 1s" }')
def test_any_text_is_a_question_or_a_refusal(text: str) -> None:
    outcome(text)


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(KEYS), TREE, max_size=3)
    | st.fixed_dictionaries({}, optional=SHAPED)
)
def test_any_tree_of_known_keys_is_a_question_or_a_refusal(tree: dict[str, Any]) -> None:
    outcome("\n".join(f"{json.dumps(key)} = {as_toml(value)}" for key, value in tree.items()))


@given(STEPS, STEPS | st.none())
def test_any_steps_are_a_question_or_a_refusal(
    journey: dict[str, Any], login: dict[str, Any] | None
) -> None:
    tree = {"slo": {"latency": {"p99": "<= 1s"}}, "traffic": [journey]}
    tree |= {"login": login} if login is not None else {}
    outcome("\n".join(f"{key} = {as_toml(value)}" for key, value in tree.items()))


@given(
    p=st.sampled_from([50, 75, 90, 95, 99]),
    limit=st.integers(1, 9000),
    seed=st.integers(0, 2**32 - 1),
    weight=st.floats(1e-3, 1e6),
)
def test_what_was_written_is_what_is_asked(p: int, limit: int, seed: int, weight: float) -> None:
    text = (
        f'seed = {seed}\n[slo]\nlatency = {{ p{p} = "<= {limit}ms" }}\n[[traffic]]\nrequest = "GET'
        f' /"\nweight = {weight!r}'
    )
    question = outcome(text)
    assert isinstance(question, Question)
    (objective,) = question.slo.objectives
    assert objective.key == f"p{p}"
    assert abs(objective.limit - limit / 1000) < 1e-9
    assert (question.seed, question.traffic[0].weight) == (seed, weight)


@given(st.text(max_size=80))
def test_any_k6_string_is_objectives_or_a_refusal(text: str) -> None:
    try:
        assert k6_objectives(text, lambda name: name)
    except ThresholdError as error:
        assert str(error)


@given(st.sampled_from(["f.csv", "f.jsonl", "f.txt", "f"]), st.binary(max_size=200))
def test_any_feed_is_rows_or_a_refusal(path: str, content: bytes) -> None:
    try:
        rows = parse_feed(path, content)
    except FeedError as error:
        assert str(error)
    else:
        assert rows
        assert all(row.keys() == rows[0].keys() for row in rows)


@given(
    st.dictionaries(
        st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,5}\Z"),
        st.text(max_size=20),
        min_size=1,
        max_size=4,
    )
)
def test_filled_templates_hold_the_values_and_never_fill_them_again(row: dict[str, str]) -> None:
    template = json.dumps({name: f"{{{name}}}" for name in row})
    assert set(columns_used(template)) == set(row)
    assert variables_used(template) == ()
    env = {"SECRET": "must not appear"}
    filled = fill(template, {**row, "SECRET": "x"}, env, in_json)
    assert json.loads(filled) == row
    assert "must not appear" not in filled
