"""What is written reads back as it was, and other tools open it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perfhunt.errors import UsageError
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.formats import PROFILE_FORMATS, losses
from perfhunt.model.profiles.readers.foreign import profile_of
from perfhunt.model.profiles.readers.pprof import read_pprof
from perfhunt.model.profiles.writers.cpuprofile import cpuprofile_bytes
from perfhunt.model.profiles.writers.perf_script import perf_script_bytes
from perfhunt.model.profiles.writers.pprof import pprof_bytes
from perfhunt.model.profiles.writers.speedscope import speedscope_text
from tests.unit.reports.test_speedscope import checked

HOT: Stack = (Frame("main", "a.go", 3, FrameKind.GO), Frame("hot", "a.go", 9, FrameKind.GO))


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


def test_what_devtools_open_has_the_shape_of_what_v8_writes() -> None:
    golden = Path(__file__).parents[2] / "golden/foreign/node.cpuprofile"
    real = json.loads(golden.read_text())
    plain = json.loads(cpuprofile_bytes(profile_of("x", {HOT: 2.0, HOT[:1]: 1.0}, rate_hz=100.0)))
    assert plain.keys() == real.keys()
    shape = {key: type(value) for key, value in real["nodes"][2]["callFrame"].items()}
    for node in plain["nodes"]:
        assert {key: type(value) for key, value in node["callFrame"].items()} == shape
    assert plain["nodes"][0]["callFrame"] == real["nodes"][0]["callFrame"]  # "(root)", nowhere
    parents = {child: node["id"] for node in plain["nodes"] for child in node.get("children", ())}
    assert parents == {2: 1, 3: 2}
    assert (plain["samples"], plain["timeDeltas"]) == ([2, 3, 3], [0, 10_000, 10_000])
    assert [node["hitCount"] for node in plain["nodes"]] == [0, 1, 2]
    assert (plain["startTime"], plain["endTime"]) == (0, 30_000)


def test_what_a_format_cannot_count_is_refused_with_what_can() -> None:
    memory = profile_of("x", {HOT: 2.0}, unit="bytes")
    for name in ("cpuprofile", "trace-events", "perf-script"):
        write = PROFILE_FORMATS[name].write
        assert write is not None
        with pytest.raises(UsageError, match="this profile counts bytes") as raised:
            write(memory)
        assert "speedscope" in raised.value.hint
    many = profile_of("x", {HOT: 1e12})
    with pytest.raises(UsageError, match="1,000,000,000,000 samples are more"):
        cpuprofile_bytes(many)
    with pytest.raises(UsageError, match="4,000,000,000,000 lines"):
        perf_script_bytes(many)


def test_the_speedscope_file_keeps_to_the_specification() -> None:
    profile = profile_of("x", {HOT: 2.0, (): 1.0}, unit="microseconds")
    plain = checked(speedscope_text({"x": profile}, "x", "1"))
    assert plain["profiles"][0]["unit"] == "microseconds"
