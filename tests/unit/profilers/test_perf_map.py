"""Code that a runtime made as it ran, named by what V8, CPython and LuaJIT write for perf."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perfhunt.model.profile import Frame, FrameKind
from perfhunt.model.profiles.readers.perf_script import frame_of
from perfhunt.profilers.native.image import ProcessImage
from perfhunt.target.binary.perf_map import PerfMap

MADE = Path(f"/tmp/perf-{os.getpid()}.map")


@pytest.fixture
def written() -> Iterator[Callable[[str], PerfMap]]:
    def write(text: str) -> PerfMap:
        with MADE.open("a") as file:
            file.write(text)
        return PerfMap(os.getpid(), os.getpid())

    MADE.unlink(missing_ok=True)
    yield write
    MADE.unlink(missing_ok=True)


def test_code_is_named_by_what_was_made_there_last(written: Callable[[str], PerfMap]) -> None:
    made = written("7f0010 20 TRACE_1::shop.lua:12\n7f0040 10 two words\n7f0010 8 recompiled\n")
    assert made.name(0x7F0017) == "recompiled"
    assert made.name(0x7F0018) == ""  # behind the end of it
    assert made.name(0x7F004F) == "two words"
    assert made.name(0x7F0000) == ""
    written("7f0060 10 later\n7f0080 10 half a li")  # its other half comes when it is written
    assert (made.name(0x7F0060), made.name(0x7F0080)) == ("later", "")
    written("ne\n")
    assert made.name(0x7F0080) == "half a line"


def test_a_file_of_somebody_else_and_a_link_are_not_read(
    written: Callable[[str], PerfMap], tmp_path: Path
) -> None:
    made = written("")
    MADE.unlink()
    (tmp_path / "elsewhere").write_text("7f0010 20 secret\n")
    MADE.symlink_to(tmp_path / "elsewhere")
    assert made.name(0x7F0010) == ""
    if os.getuid() == 0:
        MADE.unlink()
        written("7f0010 20 planted\n")
        os.chown(MADE, 65534, 65534)
        assert made.name(0x7F0010) == ""
        os.chown(MADE, 0, 0)
        assert made.name(0x7F0010) == "planted"


def test_a_look_names_code_that_is_of_no_file(written: Callable[[str], PerfMap]) -> None:
    readable, writable = mmap.PROT_READ | mmap.PROT_EXEC, mmap.PROT_WRITE
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=readable | writable)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    written(f"{address:x} 40 TRACE_1::shop.lua:12\n{address + 0x40:x} 40 JS:*get /srv/a.js:3:1\n")
    image = ProcessImage(os.getpid())
    assert image.calls(address + 8) == (
        Frame("TRACE_1::shop.lua:12", str(MADE), kind=FrameKind.NATIVE),
    )
    assert image.calls(address + 0x48) == (Frame("get", "/srv/a.js", 3, FrameKind.JS),)
    (unnamed,) = image.calls(address + 0x80)
    assert unnamed.function == "[unknown]"


@pytest.mark.parametrize(
    ("symbol", "frame"),
    [
        (
            "JS:*price /srv/shop/app.js:1:15",
            Frame("price", "/srv/shop/app.js", 1, FrameKind.JS),
        ),
        (
            "JS:~ node:internal/main/run_main_module:1:1",
            Frame("(anonymous:1)", "node:internal/main/run_main_module", 1, FrameKind.JS),
        ),
        (
            "LazyCompile:*get file:///srv/a b/app.mjs:44:3",
            Frame("get", "/srv/a b/app.mjs", 44, FrameKind.JS),
        ),
        ("py::price:/srv/shop/app.py", Frame("price", "/srv/shop/app.py")),
        (
            "Builtin:ArrayMap",
            Frame("Builtin:ArrayMap", "/tmp/perf-7.map", kind=FrameKind.NATIVE),
        ),
    ],
)
def test_functions_that_v8_and_cpython_compiled_are_told_with_their_source(
    symbol: str, frame: Frame
) -> None:
    assert frame_of(symbol, "/tmp/perf-7.map") == frame
