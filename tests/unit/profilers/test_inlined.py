"""Inlined calls, as a compiler, its linker and two readers of debug information tell of them."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from perfhunt.analysis.blame.frames import Code, Origin
from perfhunt.model.profile import Frame, FrameKind
from perfhunt.target.binary import inlined
from perfhunt.target.binary.elf import Elf
from perfhunt.target.binary.inlined import InlinedCalls

SOURCE = """\
static inline __attribute__((always_inline)) int parse(volatile int *at) {
    return *at + 1;
}
__attribute__((noinline)) int handle(volatile int *at) {
    return parse(at);
}
int main(void) { int value = 1; return handle(&value); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("inlined")
    (folder / "shop.c").write_text(SOURCE)
    subprocess.run(["gcc", "-O2", "-g", "-o", "shop", "shop.c"], cwd=folder, check=True)
    return folder / "shop"


def begin_of(program: Path, function: str) -> int:
    """Where a function begins, as nm says."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in lines.splitlines() if line.endswith(function))


@pytest.mark.parametrize("tool", [tool[0] for tool in inlined._TOOLS])
def test_what_was_inlined_is_told_innermost_first_by_either_tool(
    tool: str, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    monkeypatch.setattr(inlined, "_TOOLS", [each for each in inlined._TOOLS if each[0] == tool])
    source = str(program.with_name("shop.c"))
    with closing(InlinedCalls(str(program))) as calls:
        for _ in range(2):  # an answer is not mixed with the one before
            told = [(c.symbol, c.file, c.line) for c in calls.at(begin_of(program, " handle"))]
            assert told == [("parse", source, 2), ("handle", source, 5)]
            assert calls.at(begin_of(program, " _start")) == ()
        assert not calls.refused


@pytest.mark.parametrize("tool", ["true", "no-such-tool"])
def test_a_tool_that_ends_or_is_not_there_is_said(
    tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inlined, "_TOOLS", [(tool,)])
    with closing(InlinedCalls("/bin/sh")) as calls:
        assert calls.at(1) == ()
        assert "failed" in calls.refused


@pytest.mark.skipif(shutil.which("objcopy") is None, reason="objcopy is not installed")
def test_debug_information_is_found_by_its_link_below_the_root_of_the_target(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "app" / ".debug").mkdir(parents=True)
    bare, apart = tmp_path / "app" / "shop", tmp_path / "app" / ".debug" / "shop.debug"
    for command in (
        ["objcopy", "--only-keep-debug", str(program), str(apart)],
        ["objcopy", "--strip-all", f"--add-gnu-debuglink={apart}", str(program), str(bare)],
    ):
        subprocess.run(command, check=True)
    elf = Elf(str(bare), str(tmp_path), "/app/shop")
    assert elf.described == str(apart)
    assert Elf(str(program)).described == str(program)
    function = elf.function_at(begin_of(program, " handle"))
    assert function is not None
    assert function.name == "handle"
    apart.write_bytes(apart.read_bytes() + b"\0")  # of another build
    assert Elf(str(bare), str(tmp_path), "/app/shop").described == ""


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        ("/srv/shop/src/orders.cpp", Origin.APP),
        ("/usr/include/x86_64-linux-gnu/c++/12/bits/gthr-default.h", Origin.LIBRARY),
        ("/usr/include/boost/asio/detail/scheduler.hpp", Origin.LIBRARY),
        ("/usr/lib/gcc/x86_64-linux-gnu/12/include/emmintrin.h", Origin.NATIVE),
        ("/root/.cargo/registry/src/index.crates.io-1/serde_json-1.0.1/src/de.rs", Origin.LIBRARY),
    ],
)
def test_headers_and_sources_that_are_installed_are_not_the_applications(
    file: str, origin: Origin
) -> None:
    assert Code().origin(Frame("f", file, 1, FrameKind.NATIVE)) is origin
