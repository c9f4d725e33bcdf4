"""What goes into the store comes back, whatever it is called."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from perfhunt.model import redact
from perfhunt.model.document.folded import fold, format_frame, parse_frame, unfold
from perfhunt.model.document.plain import from_plain, to_plain
from perfhunt.model.interval import Interval
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Frame
from perfhunt.model.question import RequestTemplate
from perfhunt.model.states import ThreadTime
from perfhunt.model.trial import Resources, SecondRow
from perfhunt.store.run_json import dumps, loads
from tests.sample_run import sample_run

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "",
        "%",
        "a (b:1)",
        "a (b)",
        "x_[native]",
        "a;b",
        "operator()(int)",
        "file.py:12",
        " ",
        "a 1",
        "%28",
        "<lambda>",
        "a\u2028b",
        "_[",
    ]
)
FRAMES = st.builds(
    Frame,
    TEXT,
    TEXT,
    st.none() | st.integers(0, 10**6),
    st.sampled_from(["python", "native", "kernel", "js", "jvm", "go", "thread"]),
)
STACKS = st.dictionaries(
    st.lists(FRAMES, max_size=4).map(tuple),
    st.integers(1, 10**9) | st.floats(1e-6, 1e12),
    max_size=5,
)


@given(FRAMES)
def test_a_frame_comes_back_from_its_text(frame: Frame) -> None:
    assert parse_frame(format_frame(frame)) == frame


@given(STACKS)
def test_stacks_come_back_from_folded_text(stacks: dict[tuple[Frame, ...], float]) -> None:
    assert unfold(fold(stacks)) == stacks


@given(STACKS)
def test_folded_text_is_one_stack_a_line_as_other_tools_read_it(
    stacks: dict[tuple[Frame, ...], float],
) -> None:
    lines = fold({stack: round(weight) + 1 for stack, weight in stacks.items()}).split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(stacks)
    for line in lines:
        match = re.fullmatch(r"(.*) (\d+)", line)  # speedscope's own pattern
        assert match is not None


RUN = replace(sample_run(), trials=sample_run().trials[:1])
FLOATS = st.floats(allow_nan=False)
COUNTS = st.integers(0, 10**9)


@given(
    st.builds(Interval, FLOATS, FLOATS, FLOATS, COUNTS, FLOATS)
    | st.builds(
        ThreadTime,
        COUNTS,
        COUNTS,
        TEXT,
        st.dictionaries(TEXT, FLOATS),
        st.dictionaries(TEXT, FLOATS),
    )
    | st.builds(Resources, FLOATS, st.none() | FLOATS, connections=st.dictionaries(TEXT, COUNTS))
    | st.builds(
        SecondRow,
        *[COUNTS] * 6,
        st.lists(COUNTS).map(tuple),
        FLOATS,
        *[st.none() | FLOATS] * 3,
        FLOATS,
    )
)
def test_a_noun_comes_back_from_plain_json(noun: object) -> None:
    assert from_plain(type(noun), json.loads(json.dumps(to_plain(noun), allow_nan=False))) == noun


WHOLE_NS = st.none() | st.integers(0, 10**12).map(lambda ns: round(ns / 1e9, 9))


@settings(deadline=None, max_examples=15)
@given(
    st.builds(Latency, COUNTS, *[WHOLE_NS] * 6, COUNTS),
    FLOATS.filter(lambda x: abs(x) < 1e300),
    TEXT,
)
def test_a_run_comes_back_to_the_nanosecond(latency: Latency, rate: float, text: str) -> None:
    run = RUN
    trial = replace(run.trials[0], response=latency, achieved=rate, overload=text, rows=())
    run = replace(run, trials=(trial,), next_step=text, ended=text)
    back = loads(dumps(run))
    assert (back.trials, back.next_step, back.ended) == (run.trials, text, text)
    assert dumps(loads(dumps(back))) == dumps(back)


@given(TEXT, TEXT, TEXT)
def test_redacting_twice_changes_nothing_more(name: str, value: str, path: str) -> None:
    once = redact.header(name, value)
    assert redact.header(name, once) == once
    assert redact.body(redact.body(value)) == redact.body(value)


@given(st.lists(st.text(min_size=1, max_size=10)))
def test_redacting_a_command_line_twice_changes_nothing_more(arguments: list[str]) -> None:
    once = redact.command(arguments)
    assert redact.command(once) == once


@given(TEXT, TEXT)
def test_two_questions_with_other_headers_or_bodies_have_other_fingerprints(
    one: str, other: str
) -> None:
    def fingerprint(value: str) -> str:
        endpoint = RequestTemplate("e", "POST", "/", headers=(("X-Any", value),), body=value)
        return replace(RUN.question, traffic=(endpoint,)).fingerprint()

    assert (fingerprint(one) == fingerprint(other)) == (one == other)
