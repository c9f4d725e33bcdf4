"""Profiles as other tools wrote them (directories of the machine renamed, nothing else), against
sums made with awk and json, or by the tools themselves. Those of phpspy and dotnet-trace are written
by hand, after their documentation and examples.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.jobs.profiles.read import read_profile
from perfhunt.model.profile import FrameKind, Profile

HERE = Path(__file__).parent
STORE = Path("/nowhere")
# The stack that every one of them holds: a shop that prices and renders.
SHOP = ("main", "handle", "price")

# File, which value, the format it is known as, the sum of its weights, their unit, and functions
# that follow each other on a stack.
FILES: list[tuple[str, str, str, float, str, tuple[str, ...]]] = [
    ("py-spy.folded", "", "folded", 11, "samples", SHOP),
    ("stackcollapse-perf.folded", "", "folded", 151515150, "samples", ("python3", "PyUnicode_New")),
    ("async-profiler.collapsed", "", "folded", 13, "samples", ("Work.main", "Work.price")),
    (
        "async-profiler-annotated.collapsed",
        "",
        "folded",
        20,
        "samples",
        ("[DestroyJavaVM tid=24470]", "Work.main", "Work.price"),
    ),
    ("austin-wall.austin", "", "austin", 425039, "microseconds", SHOP),
    ("austin-memory.austin", "", "austin", 1114112, "bytes", SHOP),
    ("austin-full.austin", "", "austin", 459996, "microseconds", SHOP),
    ("austin-full.austin", "cpu", "austin", 459996, "microseconds", SHOP),
    ("austin-full.austin", "memory", "austin", 3039232, "bytes", SHOP),
    ("rbspy.folded", "", "folded", 115, "samples", ("<main>", "handle", "price")),
    ("rbspy.speedscope.json", "", "speedscope", 2.276776961, "seconds", ("handle", "price")),
    ("rbspy.pb", "", "pprof", 2276776961, "nanoseconds", ("handle", "price")),
    ("phpspy.txt", "", "phpspy", 3, "samples", ("<main>", "Shop\\Cart::total")),
    (
        "dotnet-trace.speedscope.json",
        "all",
        "speedscope",
        28,
        "milliseconds",
        ("Shop!Shop.Cart.Price(int32)", "CPU_TIME"),
    ),
    ("py-spy.speedscope.json", "", "speedscope", 0.6, "seconds", SHOP),
    ("pyinstrument.speedscope.json", "", "speedscope", 0.5253378410016012, "seconds", SHOP),
    (
        "memray.speedscope.json",
        "",
        "speedscope",
        97155,
        "bytes",
        ("run_path", "_get_code_from_file"),
    ),
    ("memray.speedscope.json", "Allocations", "speedscope", 60, "samples", ("run_path",)),
    ("go-heap.pb.gz", "", "pprof", 5019646, "bytes", ("runtime.main", "main.main", "main.keep")),
    ("go-heap.pb.gz", "alloc_objects", "pprof", 4172, "alloc_objects", ("main.main", "main.keep")),
    ("node.cpuprofile", "", "cpuprofile", 32, "samples", ("Module.load", "Module._extensions..js")),
    ("node.cpuprofile", "microseconds", "cpuprofile", 319868, "microseconds", ("Module.load",)),
    ("perf-script.txt", "", "perf-script", 2, "samples", ("_PyObject_Malloc",)),
    ("perf-script-flat.txt", "", "perf-script", 3, "samples", ("PyFunction_NewWithQualName",)),
    ("py-spy.trace.json", "", "trace-events", 296215, "microseconds", SHOP),
    (
        "viztracer.json",
        "",
        "trace-events",
        20579.995,  # of builtins.exec, which all others are within
        "microseconds",
        ("builtins.exec", "<module>", "main"),
    ),
    ("scalene.json", "", "scalene", 92, "samples", SHOP),
    ("scalene.json", "seconds", "scalene", 1.0, "seconds", SHOP),
    ("pyinstrument.json", "", "pyinstrument", 0.502373, "seconds", SHOP),
    ("pyinstrument.pyisession", "", "pyinstrument", 0.5098361149994162, "seconds", SHOP),
    ("memray-stats.json", "", "memray", 4411748, "bytes", ("render",)),
    ("memray-stats.json", "allocations", "memray", 2267, "allocations", ("render",)),
]


def functions(profile: Profile) -> list[tuple[str, ...]]:
    return [tuple(frame.function for frame in stack) for stack in profile.stacks]


def follow(stack: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(stack[at : at + len(wanted)] == wanted for at in range(len(stack)))


@pytest.mark.parametrize(
    ("name", "value", "form", "total", "unit", "path"), FILES, ids=lambda v: str(v)[:40]
)
def test_a_profile_of_another_tool_is_read_whole(
    name: str, value: str, form: str, total: float, unit: str, path: tuple[str, ...]
) -> None:
    read = read_profile(str(HERE / "foreign" / name), STORE, asked=value)
    assert read.form is not None and read.form.name == form
    assert read.profile.total == pytest.approx(total, rel=1e-9)
    assert read.profile.unit == unit
    assert any(follow(stack, path) for stack in functions(read.profile)), path


def test_every_file_is_in_the_table() -> None:
    there = {path.name for path in (HERE / "foreign").iterdir()}
    assert there == {name for name, *_ in FILES}


def test_what_tools_say_of_a_frame_is_its_kind() -> None:
    java = read_profile(str(HERE / "foreign/async-profiler-annotated.collapsed"), STORE).profile
    kinds = {frame.function: frame.kind for stack in java.stacks for frame in stack}
    assert kinds["Work.price"] == kinds["java/lang/String.hashCode"] == FrameKind.JVM
    assert kinds["[DestroyJavaVM tid=24470]"] == FrameKind.THREAD
    perf = read_profile(str(HERE / "foreign/stackcollapse-perf.folded"), STORE).profile
    kinds = {frame.function: frame.kind for stack in perf.stacks for frame in stack}
    assert kinds["asm_exc_page_fault"] == FrameKind.KERNEL


def test_lines_and_files_come_through() -> None:
    for name in ("py-spy.speedscope.json", "scalene.json", "austin-wall.austin", "viztracer.json"):
        profile = read_profile(str(HERE / "foreign" / name), STORE).profile
        places = {(f.function, f.file) for stack in profile.stacks for f in stack if f.line}
        assert ("main", "/srv/shop/work.py") in places, name
