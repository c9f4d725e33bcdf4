"""Whatever a profile holds, what is written of it reads back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.model.profile import Frame, Profile, Stack
from perfhunt.model.profiles.formats import PROFILE_FORMATS
from perfhunt.model.profiles.readers.cpuprofile import read_cpuprofile
from perfhunt.model.profiles.readers.folded import read_any_folded
from perfhunt.model.profiles.readers.foreign import profile_of
from perfhunt.model.profiles.readers.perf_script import read_perf_script
from perfhunt.model.profiles.readers.pprof import read_pprof
from perfhunt.model.profiles.readers.python.austin import read_austin
from perfhunt.model.profiles.readers.speedscope import read_speedscope
from perfhunt.model.profiles.readers.trace_events import read_trace
from perfhunt.model.profiles.writers.austin import austin_bytes
from perfhunt.model.profiles.writers.cpuprofile import cpuprofile_bytes
from perfhunt.model.profiles.writers.perf_script import perf_script_bytes
from perfhunt.model.profiles.writers.pprof import pprof_bytes
from perfhunt.model.profiles.writers.speedscope import speedscope_text
from perfhunt.model.profiles.writers.trace_events import trace_bytes

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


@given(st.dictionaries(stacks, st.integers(1, 2**40), max_size=6))
def test_times_come_back_from_what_viewers_of_times_open(weights: dict[Stack, int]) -> None:
    profile = profile_of("x", {s: float(n) for s, n in weights.items()}, unit="microseconds")
    seen = read_cpuprofile(json.loads(cpuprofile_bytes(profile)))
    assert places(seen) == places(profile)
    assert seen.unit == "microseconds"
    traced = places(read_trace(json.loads(trace_bytes(profile))))
    assert traced == pytest.approx(places(profile), rel=1e-9)
    whole = places(read_austin(austin_bytes(profile).decode().split("\n")))
    assert {key[2:]: n for key, n in whole.items()} == places(profile)


@given(st.dictionaries(stacks, st.integers(1, 9), max_size=6))
def test_samples_come_back_one_by_one(weights: dict[Stack, int]) -> None:
    profile = profile_of("x", {stack: float(n) for stack, n in weights.items()})
    assert places(read_cpuprofile(json.loads(cpuprofile_bytes(profile)))) == places(profile)


# Between the marks of perf's own text a name is what stands there: without those marks, and with
# no space at its ends.
plain = st.text(st.sampled_from("abz_<>.~é:;( )"), min_size=1, max_size=9).map(str.strip)
symbols = plain.filter(lambda name: bool(name) and not name.startswith("py::"))
images = st.text(st.sampled_from("abz/_.-"), min_size=1, max_size=9)


@given(
    st.dictionaries(
        st.lists(st.builds(Frame, symbols, images), min_size=1, max_size=6).map(tuple),
        st.integers(1, 9),
        max_size=6,
    )
)
def test_samples_come_back_from_the_text_of_perf(weights: dict[Stack, int]) -> None:
    profile = profile_of("x y", {stack: float(n) for stack, n in weights.items()})
    back = read_perf_script(perf_script_bytes(profile).decode().split("\n"))
    assert places(back) == places(profile)
