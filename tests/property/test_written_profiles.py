"""Whatever a profile holds, what is written of it reads back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.profiles.formats import PROFILE_FORMATS
from perfhunt.model.profiles.readers.folded import read_any_folded
from perfhunt.model.profiles.readers.foreign import profile_of
from perfhunt.model.profiles.readers.pprof import read_pprof
from perfhunt.model.profiles.readers.speedscope import read_speedscope
from perfhunt.model.profiles.writers.pprof import pprof_bytes
from perfhunt.model.profiles.writers.speedscope import speedscope_text

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=9
)
frames = st.builds(Frame, names, names, st.integers(1, 10**6))
stacks = st.lists(frames, min_size=1, max_size=6).map(tuple)


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
