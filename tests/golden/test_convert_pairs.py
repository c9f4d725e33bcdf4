"""Every profile of every tool in every format that is written: it reads back as what it was, in
what that format counts in, or is refused with what to write instead.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from perfhunt.errors import UsageError
from perfhunt.jobs.profiles.convert import ConvertRequest, convert_profile
from perfhunt.jobs.profiles.read import read_profile
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.profiles.formats import WRITTEN
from tests.golden.test_foreign_profiles import FILES, HERE, STORE

NANOSECONDS = {
    "seconds": 10**9,
    "milliseconds": 10**6,
    "microseconds": 1000,
    "nanoseconds": 1,
    "samples": 10**6,  # where a format has times only, of a profile that does not say its rate
}
# The coarsest unit of time that a weight is rounded to, in nanoseconds.
ROUNDED = {"pprof": 1, "trace-events": 1, "cpuprofile": 1000, "austin": 1000}


def by_functions(profile: Profile, scale: float) -> dict[tuple[str, ...], float]:
    """Weights by what is on a stack; threads that a format needs, or has not, left out."""
    found: dict[tuple[str, ...], float] = {}
    for stack, weight in profile.stacks.items():
        found[names(stack)] = found.get(names(stack), 0.0) + weight * scale
    return found


def names(stack: Stack) -> tuple[str, ...]:
    return tuple(frame.function for frame in stack if frame.function not in ("P1", "T0:1"))


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, value, *_ in FILES], ids=lambda v: str(v)[:40]
)
def test_a_profile_comes_back_from_every_format(
    name: str, value: str, written: str, tmp_path: Path
) -> None:
    source = str(HERE / "foreign" / name)
    before = read_profile(source, STORE, asked=value).profile
    target = tmp_path / "it"
    try:
        convert_profile(
            ConvertRequest(
                source=source, target=str(target), target_format=written, value=value, store=STORE
            )
        )
    except UsageError as error:
        assert written in ("cpuprofile", "perf-script", "trace-events", "austin")
        many = "lines" in error.message or "samples are more" in error.message
        assert f"this profile counts {before.unit}" in error.message or many
        assert "folded" in error.hint
        return
    read = read_profile(str(target), STORE)
    assert read.form is not None and read.form.name == written
    # What has no fractions is off by no more than one of what it counts in, for each stack.
    fractions = written in ("folded", "speedscope")
    scale, back, grain = 1.0, 1.0, 0.0 if fractions else 1.0
    if read.profile.unit != before.unit and not fractions:
        scale, back = NANOSECONDS[before.unit], NANOSECONDS[read.profile.unit]
        grain = ROUNDED[written]
    expected, seen = by_functions(before, scale), by_functions(read.profile, back)
    alike = Counter(map(names, before.stacks))
    assert {stack for stack, weight in expected.items() if weight > grain} <= seen.keys()
    assert seen.keys() <= expected.keys()
    for stack, weight in seen.items():
        off = alike[stack] * grain
        assert weight == pytest.approx(expected[stack], rel=1e-9, abs=off)
