"""Readers of what profilers write: strict, with line numbers, and the frames they make."""

import json

import pytest

from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.cpuprofile import parse_cpuprofile
from perfhunt.model.profiles.readers.folded import read_folded
from perfhunt.model.profiles.readers.jfr import JfrError, parse_collections, parse_jfr_print
from perfhunt.model.profiles.readers.perf_script import PerfScriptError, parse_perf_script
from perfhunt.model.profiles.readers.pprof import PprofError, parse_pprof
from perfhunt.profilers.py_spy.torn import intact


def stacks_of(text: str) -> dict[Stack, float]:
    """The stacks in a text that holds nothing else."""
    folded = read_folded(text)
    assert folded.bad == ()
    return dict(folded.stacks)


def test_a_folded_line_is_frames_root_first_and_a_count() -> None:
    (stack, count), *more = stacks_of(
        "<module> (app.py:1);handle (/srv/app.py:12);loads (json/__init__.py) 7\n"
    ).items()
    assert more == [] and count == 7
    assert stack == (
        Frame("<module>", "app.py", 1),
        Frame("handle", "/srv/app.py", 12),
        Frame("loads", "json/__init__.py"),
    )


def test_a_command_line_with_semicolons_and_quotes_stays_one_process_label() -> None:
    line = 'process 12:"sh -c \\"a; b\\"; c";process 13:"python x.py";f (x.py:3) 2'
    (stack,) = stacks_of(line)
    assert [frame.kind for frame in stack] == ["thread", "thread", "python"]
    assert stack[0].function == 'process 12:"sh -c \\"a; b\\"; c"'


def test_a_thread_label_is_not_a_function() -> None:
    (stack,) = stacks_of("thread (0x7F00): worker-1;run (x.py:1) 1")
    assert [frame.kind for frame in stack] == ["thread", "python"]


def test_frames_of_shared_objects_are_native() -> None:
    (stack,) = stacks_of("f (a.py:1);deflate (libz.so.1.2.13) 1")
    assert stack[-1].kind == "native"


@pytest.mark.parametrize("line", ["no count", "f (x.py:1) 1.5", "a;;b 3", " 4", "f (x.py:1) -2"])
def test_a_line_that_is_not_a_folded_stack_is_set_aside_with_its_number(line: str) -> None:
    folded = read_folded(f"f (x.py:1) 1\n{line}\n")
    assert folded.bad == ((2, line),)
    assert sum(folded.stacks.values()) == 1


def test_torn_stacks_are_dropped_and_counted_and_real_roots_are_kept() -> None:
    module, boot = Frame("<module>", "app.py", 1), Frame("Thread._bootstrap", "threading.py", 9)
    callback, torn = Frame("on_message", "callbacks.py", 4), Frame("helper", "deep.py", 8)
    stacks = {(module, torn): 500.0, (boot, torn): 450.0, (callback, torn): 48.0, (torn,): 2.0}
    kept, dropped = intact(stacks)
    # A thread made in C begins in its callback: seen often, it is believed. `helper` as a root,
    # twice in 1000, is not.
    assert set(kept) == {(module, torn), (boot, torn), (callback, torn)}
    assert dropped == 2.0


PERF = """python3 100/101  1972.570541:
\t          1227a5 long_dealloc (/usr/lib/libpython3.13.so.1.0)
\t    7ff0548ffe40 [unknown] ([unknown])

my worker 100/102  1972.593873:
\tffffffff8143fb17 futex_wait+0x17 ([kernel.kallsyms])
\t           85f16 std::map<int, char (*)(int)>::at (/usr/lib/libc.so.6)
\t           11111 [unknown] (/usr/bin/app)
\t           22222 [unknown] (/usr/bin/app)

python3 100/101  1972.600000:
\t    7ff05480a010 py::handle:/srv/app.py (/tmp/perf-100.map)
"""


def test_perf_samples_have_the_root_first() -> None:
    first, second, third = parse_perf_script(PERF)
    assert (
        first.stack
        == (Frame("long_dealloc", "/usr/lib/libpython3.13.so.1.0", None, FrameKind.NATIVE),)
        and first.broken
    )
    assert not second.broken
    assert [frame.function for frame in second.stack] == [
        "[unknown]",
        "std::map<int, char (*)(int)>::at",
        "futex_wait",
    ]
    assert [frame.kind for frame in second.stack] == ["native", "native", "kernel"]
    assert third.stack == (Frame("handle", "/srv/app.py"),)


def test_a_sample_with_no_name_anywhere_is_one_unknown_frame() -> None:
    (sample,) = parse_perf_script(
        "app 1/1 2.0:\n\t 10 [unknown] ([unknown])\n\t 20 [unknown] ([unknown])\n"
    )
    assert [frame.function for frame in sample.stack] == ["[unknown]"]


@pytest.mark.parametrize(
    ("text", "number"), [("what is this\n", 1), ("app 1/1 2.0:\nnot a frame\n", 2)]
)
def test_perf_output_that_is_not_understood_is_an_error_with_its_line(
    text: str, number: int
) -> None:
    with pytest.raises(PerfScriptError, match=f"Line {number} "):
        list(parse_perf_script(text))


@pytest.mark.parametrize(
    "raw", [b"not a profile", b"\x1f\x8b broken", b"\x0a\x7f", b"", bytes(range(256))]
)
def test_bytes_that_are_no_pprof_profile_are_an_error_and_never_a_profile(raw: bytes) -> None:
    with pytest.raises(PprofError):
        parse_pprof(raw)


def test_a_java_frame_keeps_its_class_and_a_line_that_is_none_is_an_error() -> None:
    head = "jdk.ExecutionSample {\n  stackTrace = [\n"
    stacks, cut = parse_jfr_print(
        f"{head}    a.b.C$D.<init>(List, Map$Entry) line: 12\n    a.M.f()\n    ...\n  ]\n}}\n"
    )
    assert cut == 1
    assert list(stacks) == [
        (
            Frame("a.M.f", "a.M", None, FrameKind.JVM),
            Frame("a.b.C$D.<init>", "a.b.C$D", 12, FrameKind.JVM),
        )
    ]
    with pytest.raises(JfrError, match="Line 3 "):
        parse_jfr_print(f"{head}    what is this\n")


def test_samples_by_cpu_time_are_used_alone_where_a_recording_has_both_kinds() -> None:
    def ran(event: str, method: str) -> str:
        return f"{event} {{\n  stackTrace = [\n    {method}()\n  ]\n}}\n\n"

    failed = "jdk.CPUTimeSample {\n  failed = true\n}\n\n"
    by_clock = ran("jdk.ExecutionSample", "a.M.f")
    text = by_clock * 3 + ran("jdk.CPUTimeSample", "a.M.g") * 2 + failed
    assert parse_jfr_print(text) == ({(Frame("a.M.g", "a.M", None, FrameKind.JVM),): 2}, 0)
    assert list(parse_jfr_print(by_clock)[0].values()) == [1]


def test_a_v8_profile_gives_stacks_without_the_root_and_counts_idle_apart() -> None:
    def node(number: int, name: str, url: str, line: int, *children: int) -> dict[str, object]:
        call = {
            "functionName": name,
            "url": url,
            "lineNumber": line,
            "columnNumber": 0,
            "scriptId": "1",
        }
        return {"id": number, "callFrame": call, "hitCount": 0, "children": list(children)}

    profile = {
        "nodes": [
            node(1, "(root)", "", -1, 2, 3, 5),
            node(2, "(idle)", "", -1),
            node(3, "", "file:///srv/app.js", 4, 4),
            node(4, "hot", "file:///srv/app.js", 10),
            node(5, "(garbage collector)", "", -1),
        ],
        "samples": [5, 4, 4, 2, 5, 3, 5, 5, 4],
        "timeDeltas": [1] * 9,
        "startTime": 0,
        "endTime": 9,
    }
    stacks, idle = parse_cpuprofile(json.loads(json.dumps(profile)))
    anonymous = Frame("(anonymous)", "/srv/app.js", 5, FrameKind.JS)
    assert idle == 1
    assert stacks == {
        (anonymous, Frame("hot", "/srv/app.js", 11, FrameKind.JS)): 3,
        (anonymous,): 1,
        # Garbage is collected where the sample before was, if one was.
        (anonymous, Frame("(garbage collector)", "", None, FrameKind.JS)): 2,
        (Frame("(garbage collector)", "", None, FrameKind.JS),): 2,
    }


JFR_COLLECTIONS = """jdk.GCPhasePause {
  startTime = 00:44:16.618
  duration = 17.6 ms
  name = "GC Pause"
}

jdk.ObjectAllocationSample {
  startTime = 00:44:16.648
  weight = 71.5 kB
  stackTrace = [
    java.util.ArrayList.grow(int) line: 237
    App.list() line: 12
  ]
}

jdk.ObjectAllocationSample {
  weight = 1.5 MB
  eventThread = "C1 CompilerThread0" (javaThreadId = 8)
}

jdk.GCPhasePause {
  duration = 1 s 2,4 ms
}

jdk.ObjectAllocationSample {
  weight = 512 bytes
  stackTrace = [
    java.util.ArrayList.grow(int) line: 237
    App.list() line: 12
  ]
}
"""


def test_the_pauses_of_a_collector_and_who_took_the_memory() -> None:
    told = parse_collections(JFR_COLLECTIONS)
    assert told.pauses == 2 and told.paused == pytest.approx(1.02)
    ((stack, size),) = told.allocated.items()
    assert stack[0].function == "App.list" and size == 71.5 * 1024 + 512
    assert parse_jfr_print(JFR_COLLECTIONS) == ({}, 0)  # nothing of it ran
