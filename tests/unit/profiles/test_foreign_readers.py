"""Readers of profiles of other tools are strict: what is wrong, where, and what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from perfhunt.errors import Unreadable, UsageError
from perfhunt.model.profile import Frame, FrameKind, Profile
from perfhunt.model.profiles.readers.folded import of_others, read_any_folded
from perfhunt.model.profiles.readers.perf_script import read_perf_script, without_titles
from perfhunt.model.profiles.readers.python.austin import read_austin
from perfhunt.model.profiles.readers.python.memray import read_memray
from perfhunt.model.profiles.readers.python.pyinstrument import read_pyinstrument
from perfhunt.model.profiles.readers.python.scalene import read_scalene
from perfhunt.model.profiles.readers.speedscope import read_speedscope
from perfhunt.model.profiles.readers.trace_events import read_trace

FRAMES = {"frames": [{"name": "a"}, {"name": "b", "file": "b.py", "line": 2}]}


def by_name(profile: Profile) -> dict[str, float]:
    return {";".join(f.function for f in stack): n for stack, n in profile.stacks.items()}


def sampled(**changed: Any) -> dict[str, Any]:
    plain = {"type": "sampled", "name": "p", "unit": "seconds", "samples": [[0, 1]], "weights": [2]}
    return {"shared": FRAMES, "profiles": [plain | changed]}


def evented(*events: tuple[str, float, int]) -> dict[str, Any]:
    plain = [{"type": kind, "at": at, "frame": frame} for kind, at, frame in events]
    return sampled(type="evented", events=plain)


def event(ph: str, ts: float, name: str = "f", **more: Any) -> dict[str, Any]:
    return {"ph": ph, "ts": ts, "name": name, "pid": 1, "tid": 1} | more


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("do_sys_poll_[k]", Frame("do_sys_poll", kind=FrameKind.KERNEL)),
        ("java/lang/Thread.run_[i]", Frame("java/lang/Thread.run", kind=FrameKind.JVM)),
        ("java/lang/Thread.run", Frame("java/lang/Thread.run", kind=FrameKind.JVM)),
        ("[main tid=12]", Frame("[main tid=12]", kind=FrameKind.THREAD)),
        ("f (a.py:3)", Frame("f", "a.py", 3)),
        ("memcpy (libc.so.6)_[native]", Frame("memcpy", "libc.so.6", kind=FrameKind.NATIVE)),
        ("std::f(int, char)", Frame("std::f(int, char)")),
        ("gopkg.in/yaml%2ev2.Unmarshal", Frame("gopkg.in/yaml%2ev2.Unmarshal")),
        ("a%3Bb (c%3B.py:1)", Frame("a;b", "c;.py", 1)),
        ("price - /srv/cart.rb:3", Frame("price", "/srv/cart.rb", 3)),
        ("(unknown) [c function] - (unknown)", Frame("(unknown) [c function]")),
        ("<top (required)> - /a.rb:3", Frame("<top (required)>", "/a.rb", 3)),
        ("Thread (7) (.NET IO)", Frame("Thread (7) (.NET IO)", kind=FrameKind.THREAD)),
        ("main.hot (./main.go:15)", Frame("main.hot", "./main.go", 15, FrameKind.GO)),
    ],
)
def test_a_frame_is_what_its_tool_says(text: str, frame: Frame) -> None:
    assert of_others(text) == frame


def test_folded_lines_add_up_and_keep_fractions() -> None:
    profile = read_any_folded(["a;b 1\n", "\n", "a;b 2.5\r\n", "a 3\n", " 4\n"])
    assert by_name(profile) == {"a;b": 3.5, "a": 3.0, "": 4.0}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["a;b 1", "a;b"], "Line 2 is not a folded stack"),
        (["a;b 1", "a;b -3"], "Line 2 is not a folded stack"),
        (["a 1", "a;;b 3"], "Line 2 holds a frame without a name"),
        (["a 1", "b ٣"], "Line 2 is not a folded stack"),
    ],
)
def test_a_line_that_is_none_is_named(lines: list[str], said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_any_folded(lines)


@pytest.mark.parametrize(
    ("mode", "sample", "said"),
    [
        ("wall", "P1;T0:1;a.py:f 9", "Line 4 has no"),
        ("wall", "P1;T0:1;a.py:f:1 9,0,1", "Line 4 is no sample"),
        ("full", "P1;T0:1;a.py:f:1 9", "Line 4 is no sample"),
        ("new", "", "none of Austin's: 'new'"),
    ],
)
def test_a_line_that_is_none_of_austin_is_named(mode: str, sample: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_austin(["# austin: 3.7.0", f"# mode: {mode}", "", sample])


def test_a_long_line_ends_the_reading() -> None:
    with pytest.raises(Unreadable, match="characters in line 1"):
        read_any_folded(["a" * 2_000_000 + " 1"])


def test_austin_says_who_was_idle_and_what_was_given_back() -> None:
    lines = [
        *("# austin: 3.7.0", "# mode: full", ""),
        *("P1;T0:2;a.py:f:1 5,0,100", "P1;T0:2;a.py:f:1 7,1,-40", "P1;T0:2;:GC: 1,0,0"),
        *("", "# duration: 2000000"),
    ]
    wall, cpu = read_austin(lines), read_austin(lines, "cpu")
    assert by_name(wall) == {"P1;T0:2;f": 5.0, "P1;T0:2;f;idle": 7.0, "P1;T0:2;(GC)": 1.0}
    assert by_name(cpu) == {"P1;T0:2;f": 5.0, "P1;T0:2;(GC)": 1.0}
    assert wall.seconds == 2.0
    memory = read_austin(lines, "memory")
    assert (by_name(memory), memory.unit) == ({"P1;T0:2;f": 100.0}, "bytes")
    assert any("40 bytes given back" in note for note in memory.notes)
    with pytest.raises(UsageError) as raised:
        read_austin(lines, "gpu")
    assert "wall, cpu, memory" in raised.value.hint


def test_time_between_events_goes_to_what_is_open() -> None:
    profile = read_speedscope(evented(("O", 0, 0), ("O", 1, 1), ("C", 3, 1), ("C", 3.5, 0)))
    assert by_name(profile) == {"a": 1.5, "a;b": 2.0}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (sampled(samples=[[0, 2]]), "sample 0 has a frame that is not among the 2"),
        (sampled(weights=[1, 2]), "1 samples and 2 weights"),
        (sampled(weights=[-1]), "weights are 0 or more"),
        (sampled(weights=[float("nan")]), "weights are 0 or more"),
        (sampled(unit="parsecs"), "none of its format's: 'parsecs'"),
        (sampled(type="graph"), "neither sampled nor evented"),
        (evented(("O", 0, 0)), "1 frames are opened and never closed"),
        (evented(("O", 0, 0), ("C", 1, 1)), "event 1 .* does not close"),
        (evented(("O", 1, 0), ("C", 0, 0)), "event 1 holds a weight of -1"),
        ({"shared": {}, "profiles": []}, r"is none: .*frames"),
    ],
)
def test_a_speedscope_file_that_is_wrong_is_refused(value: Any, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_speedscope(value)


def test_of_several_profiles_the_one_that_is_shown_first_is_read_or_all_together() -> None:
    first, second = (
        sampled(name="one")["profiles"][0],
        sampled(name="two", weights=[5])["profiles"][0],
    )
    both = {"shared": FRAMES, "profiles": [first, second]}
    assert by_name(read_speedscope(both)) == {"one;a;b": 2.0, "two;a;b": 5.0}
    assert by_name(read_speedscope(both | {"activeProfileIndex": 1})) == {"a;b": 5.0}
    assert by_name(read_speedscope(both, "one")) == {"a;b": 2.0}
    with pytest.raises(UsageError, match="no value 'three'"):
        read_speedscope(both, "three")


def test_calls_of_a_trace_nest_by_their_times() -> None:
    events = [
        event("X", 2, "inner", dur=3),  # written when it ended: before the one around it
        event("X", 0, "outer", dur=10),
        event("B", 10, "next"),
        event("E", 12, "next"),
        event("C", 3, "counter"),
    ]
    profile = read_trace({"traceEvents": events})
    assert by_name(profile) == {"outer": 7.0, "outer;inner": 3.0, "next": 2.0}
    assert profile.unit == "microseconds"
    assert any("type C left out" in note for note in profile.notes)


def test_a_call_that_ends_after_its_caller_is_cut_and_counted() -> None:
    profile = read_trace([event("X", 0, "outer", dur=10), event("X", 5, "inner", dur=20)])
    assert by_name(profile) == {"outer": 5.0, "outer;inner": 5.0}
    assert profile.notes == ("1 calls end after their callers: what is beyond is left out",)


def test_calls_that_follow_each_other_are_not_put_within_each_other_by_rounding() -> None:
    follow = [event("X", 0.1, "a", dur=0.2), event("X", 0.3, "b", dur=0.2)]
    assert by_name(read_trace(follow)) == pytest.approx({"a": 0.2, "b": 0.2})
    whole = [event("X", 0, "a", dur=10.4), event("X", 10, "b", dur=5)]
    assert set(by_name(read_trace(whole))) == {"a", "b"}
    ends = [event("B", 0, "a"), event("X", 1, "b", dur=5.2), event("E", 6, "a")]
    assert by_name(read_trace(ends)) == {"a": 1.0, "a;b": 5.0}


def test_threads_of_a_trace_are_told_apart_by_name() -> None:
    named = {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "worker"}}
    profile = read_trace([event("X", 0, dur=1), event("X", 0, dur=2, tid=2), named])
    assert by_name(profile) == {"thread (1);f": 1.0, "thread (2): worker;f": 2.0}


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([event("E", 1)], "event 0 ends"),
        ([event("B", 1)], "begins and does not end"),
        ([event("X", 1, dur=-1)], "event 0 has no time"),
        ([event("X", 1e308, dur=1e308)], "event 0 has no time"),
    ],
)
def test_events_that_do_not_nest_are_refused(events: list[Any], said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read_trace(events)


def test_own_time_of_a_call_is_what_its_callees_leave() -> None:
    child = {"function": "g", "time": 0.5, "file_path": "a.py", "line_no": 3}
    own = {"function": "[self]", "time": 0.25}
    root = {"function": "f", "time": 1.0, "file_path": "a.py", "children": [child, own]}
    profile = read_pyinstrument({"duration": 2.0, "sample_count": 3, "root_frame": root})
    assert by_name(profile) == {"f": 0.5, "f;g": 0.5}
    with pytest.raises(Unreadable, match="`function, file, line`"):
        read_pyinstrument({"duration": 1.0, "frame_records": [[["f"], 1.0]]})


def test_scalene_without_stacks_is_read_by_line() -> None:
    line = {"lineno": 4, "n_cpu_percent_python": 30.0, "n_cpu_percent_c": 20.0}
    source = {
        "lines": [line | {"start_function_line": 3}, {"lineno": 9}],
        "functions": [{"line": "price", "lineno": 3}],
    }
    profile = read_scalene({"elapsed_time_sec": 4.0, "files": {"a.py": source}})
    assert profile.stacks == {(Frame("price", "a.py", 4),): 2.0}
    assert profile.unit == "seconds"


def test_a_place_of_memray_is_function_file_and_line() -> None:
    value = {
        "top_allocations_by_size": [{"location": "f", "size": 1}],
        "top_allocations_by_count": [],
    }
    with pytest.raises(Unreadable, match="function:file:line"):
        read_memray(value)


def test_perf_script_is_read_with_the_fields_that_perf_prints_by_itself() -> None:
    lines = [
        "my app 1/2 [003] 12.5:     100 cycles:P: ",
        "\tff034 hot+0x44 (/app)",
        "\taa034 main+0x4 (/app)",
        "",
        "app 7 13.5:      9 cycles:      5393b8 cold+0x48 (/app)",
    ]
    assert by_name(read_perf_script(lines)) == {"main;hot": 1.0, "cold": 1.0}
    with pytest.raises(Unreadable, match="Line 2 does not begin"):
        read_perf_script(["app 7 13.5:  9 cycles:  5393b8 f (/a)", "what is this"])


def test_a_title_that_looks_like_a_sample_is_not_kept() -> None:
    (kept,) = without_titles(["x 1/2 2.5: s3cret 12/13  33.5:\n"])
    assert "s3cret" not in kept and kept.endswith(" 12/13  33.5:\n")
