"""Go's own tables and what perf's samples of Go become with them, where no Go program is needed."""

import os

import pytest

from perfhunt.errors import AttachFailed
from perfhunt.model.profile import Frame, FrameKind, Stack
from perfhunt.model.profiles.readers.perf_script import parse_perf_script
from perfhunt.profilers.go.functions import _ranges, go_calls
from perfhunt.profilers.go.image import GoModule
from perfhunt.profilers.go.looks import GoLooker

HANDLER = Frame("main.handler", "/src/main.go", 12, FrameKind.GO)
INLINED = Frame("main.(*cart).total", "/src/cart.go", 7, FrameKind.GO)


def test_a_table_of_values_is_read_as_the_go_linker_writes_it() -> None:
    # By hand: from -1 up by 1 for 4 bytes, by 24 for 300 (two bytes), down by 24 for 1; then a 0.
    raw = bytes([2, 4, 48, 0xAC, 2, 47, 1, 0, 99, 99])
    assert list(_ranges(raw)) == [(4, 0), (304, 24), (305, 0)]


def test_a_first_value_that_does_not_change_ends_no_table() -> None:
    assert list(_ranges(bytes([0, 8, 2, 8, 0]))) == [(8, -1), (16, 0)]


def test_words_that_are_no_record_of_a_module_are_none() -> None:
    assert GoModule.of(tuple(range(41))) is None
    assert GoModule.of((0,) * 41) is None


def test_a_process_that_is_no_go_is_refused_with_the_reason() -> None:
    with pytest.raises(AttachFailed, match="was not found") as refused:
        GoLooker(os.getpid())
    assert refused.value.hint
    with pytest.raises(AttachFailed, match="may not be read"):
        GoLooker(2**22 - 1)
    assert go_calls(os.getpid()) is None


def test_samples_of_an_image_are_named_by_its_runtime_and_others_by_their_symbols() -> None:
    asked: list[int] = []

    def calls_at(image: str, offset: int) -> Stack | None:
        if image != "/srv/shop":
            return None
        asked.append(offset)
        return {0x26D218: (HANDLER, INLINED), 0x24A2DE: ()}.get(offset)

    text = (
        "shop 7/9 26924.409734: \n"
        "\tffffffff8100 do_syscall_64 ([kernel.kallsyms])\n"
        "\t          26d218 main.burn (/srv/shop)\n"
        "\t          24a2df net/http.(*Server).Serve.gowrap3 (/srv/shop)\n"
        "\t           8a3a1 start (/usr/lib/libc.so.6)\n\n"
    )
    (sample,) = parse_perf_script(text, calls_at)
    assert [frame.function for frame in sample.stack] == [
        "start",
        HANDLER.function,
        INLINED.function,
        "do_syscall_64",
    ]
    # Where a call returns to is one beyond it; where the program was interrupted is the place.
    assert asked == [0x26D218, 0x24A2DE]
