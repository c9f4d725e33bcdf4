"""Files that are whole or not there, and copies that go where they were sent and nowhere else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from perfhunt.errors import StoreError
from perfhunt.store.copies import copy_into
from perfhunt.store.files import append_line, read_text, write_atomic

TEXTS = {"report.html": "<p>", "flamegraph.svg": "<svg/>"}


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a checkout, with a precious file outside of it."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "report.html").write_text("keep")
    checkout = tmp_path / "checkout"
    (checkout / ".git").mkdir(parents=True)
    (checkout / "below").mkdir()
    monkeypatch.chdir(checkout)
    return checkout


def precious(work: Path) -> list[str]:
    """What lies where nothing may be written."""
    home = work.parent / "precious"
    assert (home / "report.html").read_text() == "keep"
    return sorted(path.name for path in home.iterdir())


@pytest.mark.parametrize("name", ["flamegraphs", "a/b/c", "below/x", "../outside", "."])
def test_copies_go_to_the_directory_that_was_named(work: Path, name: str) -> None:
    assert copy_into(Path(name), TEXTS) == {}
    assert copy_into(Path(name).absolute(), TEXTS) == {}  # and again, over the first ones
    assert {n: Path(name, n).read_text() for n in TEXTS} == TEXTS
    assert not list(Path(name).glob(".*.tmp"))


@pytest.mark.parametrize("target", ["../precious", "{work}/../precious"])
@pytest.mark.parametrize("named", ["flamegraphs", "flamegraphs/deeper", "./below/../flamegraphs"])
def test_no_link_of_a_checkout_is_followed(work: Path, target: str, named: str) -> None:
    (work / "flamegraphs").symlink_to(target.format(work=work))
    for path in (Path(named), work / named):
        refused = copy_into(path, TEXTS)
        assert set(refused) == set(TEXTS)
        assert "flamegraphs is a link within a checkout" in refused["report.html"]
    assert precious(work) == ["report.html"]


def test_a_link_of_a_checkout_is_not_followed_from_elsewhere(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "below" / "out").symlink_to(work.parent / "precious")
    (work.parent / "mine").symlink_to(work / "below")  # the person's own
    monkeypatch.chdir(work.parent / "precious")
    assert "is a link within a checkout" in copy_into(work / "below/out", TEXTS)["report.html"]
    through = copy_into(work.parent / "mine" / "out", TEXTS)
    assert "is a link within a checkout" in through["report.html"]
    assert precious(work) == ["report.html"]


def test_a_link_without_a_repository_that_lies_where_one_works_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "unpacked" / "flamegraphs").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "unpacked")
    assert set(copy_into(Path("flamegraphs"), TEXTS)) == set(TEXTS)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_of_the_persons_own_is_followed(work: Path) -> None:
    (work.parent / "disk").mkdir()
    (work.parent / "ci").symlink_to("disk")
    assert copy_into(work.parent / "ci" / "run", TEXTS) == {}
    assert (work.parent / "disk" / "run" / "report.html").read_text() == "<p>"


def test_a_link_to_itself_is_an_error_and_no_endless_way(work: Path) -> None:
    (work.parent / "loop").symlink_to("loop")
    assert "too many links" in copy_into(work.parent / "loop" / "x", TEXTS)["report.html"]


@pytest.mark.parametrize("planted", ["link", "dangling", "hard", "pipe", "directory"])
def test_a_planted_file_is_not_written_through_and_costs_only_itself(
    work: Path, planted: str
) -> None:
    (work / "out").mkdir()
    there = work / "out" / "report.html"
    match planted:
        case "link":
            there.symlink_to(work.parent / "precious" / "report.html")
        case "dangling":
            there.symlink_to(work.parent / "precious" / "new")
        case "hard":
            there.hardlink_to(work.parent / "precious" / "report.html")
        case "pipe":
            os.mkfifo(there)
        case "directory":
            there.mkdir()
    refused = copy_into(Path("out"), TEXTS)
    assert set(refused) == (set() if planted == "hard" else {"report.html"})
    assert (work / "out" / "flamegraph.svg").read_text() == "<svg/>"
    assert precious(work) == ["report.html"]


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_place_of_the_directory_is_a_reason(work: Path, name: str) -> None:
    (work / "file").write_text("")
    assert "cannot be written" in copy_into(Path(name), TEXTS)["report.html"]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "file").symlink_to("precious")
    write_atomic(tmp_path / "file", "new")
    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / "file").read_text() == "new"
    with pytest.raises(StoreError):
        (tmp_path / "lines").symlink_to("precious")
        append_line(tmp_path / "lines", {})
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_device_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        null = Path("/dev/null")  # which we may not replace either
    write_atomic(null, "gone")
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_name_that_is_not_utf8_costs_no_file_and_comes_back_from_json(tmp_path: Path) -> None:
    name = b"caf\xe9".decode(errors="surrogateescape")
    write_atomic(tmp_path / "run.json", json.dumps([name], ensure_ascii=False))
    assert json.loads(read_text(tmp_path / "run.json")) == [name]


@pytest.mark.parametrize("made", ["pipe", "device", "directory", "large"])
def test_what_is_no_file_of_ours_is_not_read(tmp_path: Path, made: str) -> None:
    path = tmp_path / "run.json"
    match made:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "large":
            path.write_bytes(b"x" * 101)
    with pytest.raises(StoreError):
        read_text(path, most=100)
