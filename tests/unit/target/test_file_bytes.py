"""Files beside a target, which whoever wrote them may cut short while they are read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from perfhunt.profilers.native.image import CodeFiles
from perfhunt.target.binary.elf import Elf
from perfhunt.target.proc import files
from perfhunt.target.proc.files import FileBytes
from tests.property.hostile.programs import program

CODE = 0x1000  # where the code of that program is


def test_a_file_that_is_cut_short_while_it_is_read_leaves_fewer_bytes(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(b"a" * 3 * files._PIECE + b"word")
    with FileBytes(str(path)) as content:
        assert content.find(b"word") == 3 * files._PIECE
        os.truncate(path, files._PIECE)
        assert content.at(2 * files._PIECE, 10) == b""
        assert content.find(b"word") == -1
        assert [len(piece) for piece in content.pieces()] == [files._PIECE]


def test_a_library_that_is_cut_short_behind_us_keeps_its_names(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(program())
    elf = Elf(str(path))
    os.truncate(path, 64)
    function = elf.function_at(CODE)
    assert function is not None
    assert function.name == "<F as shop::Handler>::call"


@pytest.mark.parametrize("size", [0, 40, 64, 100, 300, 500])
def test_a_library_that_was_cut_short_is_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(program()[:size])
    with pytest.raises(ValueError, match=r"cut short|not an ELF file"):
        Elf(str(path))


def test_whose_functions_have_no_names_is_told_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "library.so"
    path.write_bytes(program()[:100])
    ours = CodeFiles(os.getpid())
    assert ours.of(str(path)) is None
    assert ours.of("/memfd:made (deleted)") is None  # code of no file, which has no names
    assert ours.unread == f"{path}: it is cut short"


@pytest.mark.parametrize("place", range(-12, 13, 3))
def test_a_match_is_found_once_wherever_it_lies(place: int, tmp_path: Path) -> None:
    pattern = re.compile(rb"(?<![\d.])(\d\.\d{1,2}\.\d{1,2})\x00")
    whole = bytearray(b"x" * (2 * files._PIECE + 100))
    at = files._PIECE + place
    whole[at : at + 7] = b"3.11.4\0"
    whole[at + 5000 : at + 5008] = b"13.11.4\0"  # which is no such number
    path = tmp_path / "program"
    path.write_bytes(whole)
    with FileBytes(str(path)) as content:
        found = [match[1] for match in content.matches(pattern)]
        assert found == [match[1] for match in pattern.finditer(whole)] == [b"3.11.4"]
        assert content.find(b"3.11.4") == at
