"""What is written reads back as it was, and other tools open it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import UsageError
from perfhunt.model.profile import Frame, FrameKind, Profile, Stack
from perfhunt.model.profiles.formats import PROFILE_FORMATS, losses
from perfhunt.model.profiles.readers.folded import read_any_folded
from perfhunt.model.profiles.readers.foreign import profile_of
from perfhunt.model.profiles.readers.pprof import read_pprof
from perfhunt.model.profiles.readers.speedscope import read_speedscope
from perfhunt.model.profiles.writers.pprof import pprof_bytes
from perfhunt.model.profiles.writers.speedscope import speedscope_text
from tests.unit.reports.test_speedscope import checked

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9
)
frames = st.builds(Frame, names, names, st.integers(1, 10**6))
stacks = st.lists(frames, min_size=1, max_size=6).map(tuple)
HOT: Stack = (Frame("main", "a.go", 3, FrameKind.GO), Frame("hot", "a.go", 9, FrameKind.GO))


def places(profile: Profile) -> dict[tuple[tuple[str, str, int | None], ...], float]:
    """What every one of the formats says of a stack; weights of like ones add up."""
    found: dict[tuple[tuple[str, str, int | None], ...], float] = {}
    for stack, weight in profile.stacks.items():
        key = tuple((frame.function, frame.file, frame.line) for frame in stack)
        found[key] = found.get(key, 0.0) + weight
    return found


@given(st.dictionaries(stacks, st.integers(1, 2**53), max_size=6))
def test_pprof_reads_back_exactly(weights: dict[Stack, int]) -> None:
    profile = profile_of("x", {stack: float(n) for stack, n in weights.items()})
    back = read_pprof(pprof_bytes(profile))
    assert places(back) == places(profile)
    assert back.unit == "samples" or not weights


@given(st.dictionaries(stacks, st.floats(0.001, 1e12), max_size=6))
def test_speedscope_reads_back_exactly(weights: dict[Stack, float]) -> None:
    profile = profile_of("x", weights, unit="seconds")
    back = read_speedscope(json.loads(speedscope_text({"x": profile}, "x", "1")))
    assert places(back) == places(profile)


@given(st.dictionaries(stacks, st.floats(0.001, 1e12), min_size=1, max_size=6))
def test_folded_reads_back_exactly(weights: dict[Stack, float]) -> None:
    write = PROFILE_FORMATS["folded"].write
    assert write is not None
    text = write(profile_of("x", weights)).decode()
    back = read_any_folded(text.splitlines(keepends=True))
    assert sorted(back.stacks.values()) == pytest.approx(sorted(weights.values()), rel=1e-12)
    assert {f.function for s in back.stacks for f in s} == {f.function for s in weights for f in s}


def test_times_are_nanoseconds_in_pprof() -> None:
    profile = profile_of("x", {HOT: 0.25}, unit="seconds", seconds=2.0, rate_hz=100.0)
    back = read_pprof(pprof_bytes(profile))
    assert (back.unit, back.total, back.seconds) == ("nanoseconds", 250_000_000.0, 2.0)
    assert back.rate_hz == pytest.approx(100.0)


def test_what_a_format_cannot_hold_is_said() -> None:
    profile = profile_of("x", {HOT: 2.5}, unit="bytes", seconds=1.0)
    said = {
        name: " ".join(losses(profile, None, PROFILE_FORMATS[name]))
        for name in ("folded", "speedscope", "pprof")
    }
    assert "unit" in said["folded"] and "rate and duration" in said["folded"]
    assert "kinds of code" in said["speedscope"] and "unit" not in said["speedscope"]
    assert "rounded: 1 weights" in said["pprof"]
    whole = profile_of("x", {(Frame("f", "a.py", 1),): 2.0})
    assert losses(whole, None, PROFILE_FORMATS["folded"]) == []
    ordered = losses(whole, PROFILE_FORMATS["trace-events"], PROFILE_FORMATS["folded"])
    assert ordered == ["not kept in folded: order in time"]


def test_a_weight_beyond_64_bits_is_refused() -> None:
    with pytest.raises(UsageError, match="more than pprof can hold"):
        pprof_bytes(profile_of("x", {HOT: 1e19}))


def test_the_speedscope_file_keeps_to_the_specification() -> None:
    profile = profile_of("x", {HOT: 2.0, (): 1.0}, unit="microseconds")
    plain = checked(speedscope_text({"x": profile}, "x", "1"))
    assert plain["profiles"][0]["unit"] == "microseconds"
