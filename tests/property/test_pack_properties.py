"""Whatever a pack says, unpacking it raises its own error or brings one run: never a traceback,
never a file outside of the store, never much memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import StoreError
from perfhunt.jobs.stored.pack import pack_run, unpack_run
from perfhunt.store.pack.archive import (
    MANIFEST,
    MOST_FILES,
    RATIO,
    ROOM,
    Pack,
    packed,
    plain_name,
    unpacked,
)
from perfhunt.store.rundir import RunDirectory
from tests.sample_run import sample_run

RUN = sample_run()


def _good() -> bytes:
    with tempfile.TemporaryDirectory() as place:
        RunDirectory.create(Path(place), RUN).finish(RUN)
        return pack_run("last", Path(place)).content


GOOD = _good()
TAR = zlib.decompress(GOOD, 31)


def gzipped(tar: bytes) -> bytes:
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    return squeezed.compress(tar) + squeezed.flush()


def unpacking(raw: bytes) -> str:
    """ "unpacked", or the error; in either case nothing lies where nothing may."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        (home / "a.pack").write_bytes(raw)
        outcome = "unpacked"
        try:
            unpack_run(home / "a.pack", home / "in" / "store")
        except StoreError as error:
            assert error.message
            outcome = error.message
        assert {path.name for path in home.iterdir()} <= {"a.pack", "in"}
        runs = home / "in" / "store" / "runs"
        there = [path.name for path in runs.iterdir()] if runs.exists() else []
        assert there == ([RUN.id] if outcome == "unpacked" else [])
        assert not any(path.is_symlink() for path in home.rglob("*"))
    return outcome


def test_the_pack_that_others_are_made_of_is_good() -> None:
    assert unpacking(GOOD) == "unpacked"


@given(st.binary(max_size=3000))
def test_any_bytes_are_refused(raw: bytes) -> None:
    for content in (raw, b"\x1f\x8b" + raw, gzipped(raw), GOOD[:300] + raw):
        assert unpacking(content) != "unpacked"


@given(
    st.lists(
        st.tuples(st.integers(0, len(TAR) - 1), st.binary(min_size=1, max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_a_tar_that_was_written_over_somewhere_is_refused_or_the_same(
    edits: list[tuple[int, bytes]],
) -> None:
    tar = bytearray(TAR)
    for at, over in edits:
        tar[at : at + len(over)] = over[: len(tar) - at]
    outcome = unpacking(gzipped(bytes(tar)))
    if outcome == "unpacked":  # in a header's unused fields: what arrives is what was packed
        assert unpacked(gzipped(bytes(tar)), "it") == unpacked(GOOD, "it")


_NAMES = st.one_of(
    st.sampled_from(
        ["/etc/passwd", "../out", "a/../../out", "..", ".", "", "a//b", "a/", "./a", "~/a", "C:\\a"]
    ),
    st.text(max_size=90),
)


@given(_NAMES)
def test_no_name_leads_out_of_the_run(name: str) -> None:
    """Whoever writes a pack writes its list and its checksums too."""
    if plain_name(name):
        return
    files = {**unpacked(GOOD, "it").files, name: b"x"}
    for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=kind) as tar:
            try:
                for each, content in {MANIFEST: _manifest(files), **files}.items():
                    _add(tar, each, content)
            except ValueError:  # that no such header can hold
                continue
        assert unpacking(gzipped(raw.getvalue())) != "unpacked"


def _manifest(files: dict[str, bytes], run: str = RUN.id, version: int = 1) -> bytes:
    described = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    text = json.dumps({"pack": version, "run": run, "files": described})
    return text.encode(errors="surrogateescape")


def _add(tar: tarfile.TarFile, name: str, content: bytes, **fields: object) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for key, value in fields.items():
        setattr(header, key, value)
    tar.addfile(header, io.BytesIO(content))


def made(*entries: tuple[str, bytes, dict[str, object]], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    """A gzipped tar of these, whatever they are."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=kind) as tar:
        for name, content, fields in entries:
            _add(tar, name, content, **fields)
    return gzipped(raw.getvalue())


FIRST = (MANIFEST, _manifest({"run.json": b"{}"}), dict[str, object]())


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "../../out"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.BLKTYPE},
        {"type": tarfile.FIFOTYPE},
        {"type": tarfile.DIRTYPE},
        {"type": tarfile.CONTTYPE},
        {"type": tarfile.GNUTYPE_SPARSE},
        {"type": tarfile.GNUTYPE_LONGNAME},
        {"type": tarfile.XHDTYPE},
        {"type": tarfile.XGLTYPE},
    ],
    ids=lambda fields: str(fields["type"]),
)
def test_nothing_but_plain_files_is_taken(fields: dict[str, object]) -> None:
    raw = made(FIRST, ("run.json", b"", fields))
    assert "no plain file" in unpacking(raw) or "no file begins" in unpacking(raw)


def test_extended_headers_are_not_read() -> None:
    long = "a" * 200
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert "no plain file" in unpacking(made(FIRST, (long, b"x", {}), kind=kind))
    pax: dict[str, object] = {"pax_headers": {"path": "../../out"}}
    assert "no plain file" in unpacking(made(FIRST, ("a", b"x", pax), kind=tarfile.PAX_FORMAT))


def _sized(field: bytes) -> bytes:
    """The good tar with another size in its second header, whose checksum is right."""
    first = tarfile.TarInfo.frombuf(TAR[:512], "ascii", "strict").size
    at = 512 + -(-first // 512) * 512
    header = bytearray(TAR[at : at + 512])
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return gzipped(TAR[:at] + bytes(header) + TAR[at + 512 :])


@pytest.mark.parametrize(
    "field",
    [
        b"77777777777\0",
        b"\x80" + b"\xff" * 11,  # binary, beyond any disk
        b"\xff" * 12,  # binary, negative
        b"-0000000001\0",
        b"not octal!!\0",
        b"00000000001\0",
    ],
)
def test_a_size_that_is_not_so_is_refused(field: bytes) -> None:
    assert unpacking(_sized(field)) != "unpacked"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: made(("run.json", b"{}", {})), "not the first"),
        (lambda f: made((MANIFEST, b"[" * 100_000, {})), "nesting|not JSON"),
        (lambda f: made((MANIFEST, b"7", {})), "version None"),
        (lambda f: made((MANIFEST, _manifest({}, version=2), {})), "of version 2"),
        (lambda f: made((MANIFEST, b'{"pack": 1, "run": 7, "files": {}}', {})), "damaged"),
        (lambda f: made((MANIFEST, _manifest({}, "../../x"), {})), "no run's id"),
        (lambda f: made((MANIFEST, _manifest({}, ".hidden"), {})), "no run's id"),
        (lambda f: made(FIRST), "run.json is missing"),
        (lambda f: made(FIRST, ("run.json", b"{ ", {})), "not what was packed"),
        (lambda f: made(FIRST, ("run.json", b"{}", {}), ("b", b"", {})), "b is not what"),
        (lambda f: made(FIRST, ("run.json", b"{}", {}), ("run.json", b"{}", {})), "twice"),
        (lambda f: gzipped(TAR[:-1024]), "cut short"),
        (lambda f: gzipped(TAR + b"more"), "more follows"),
        (lambda f: gzipped(TAR[:512]), "cut short"),
        (lambda f: gzipped(b""), "cut short"),
    ],
)
def test_what_does_not_agree_with_itself_is_refused(
    change: Callable[[bytes], bytes], words: str
) -> None:
    with pytest.raises(StoreError, match=words) as refused:
        unpacked(change(TAR), "a.pack")
    assert refused.value.hint
    assert unpacking(change(TAR)) != "unpacked"


def test_a_file_that_is_a_folder_as_well_leaves_nothing() -> None:
    files = {**unpacked(GOOD, "it").files, "x": b"1", "x/y": b"2"}
    assert unpacking(packed(Pack(RUN.id, files))) != "unpacked"


def test_a_bomb_is_not_unpacked() -> None:
    """A gigabyte of zeros in a megabyte: no more of it is made than the ratio allows."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, 31)
    raw = b"".join(squeezed.compress(bytes(1 << 20)) for _ in range(200)) + squeezed.flush()
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match="which is more than is read"):
            unpacked(raw, "bomb")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * (RATIO * len(raw) + ROOM)


def test_more_files_than_a_run_has_are_not_counted_to_their_end() -> None:
    many = {f"f{n}": b"" for n in range(MOST_FILES + 5)}
    entries = [(MANIFEST, _manifest(many), dict[str, object]())]
    raw = made(*entries, *((name, b"", dict[str, object]()) for name in many))
    with pytest.raises(StoreError, match=f"over {MOST_FILES:,} files"):
        unpacked(raw, "it")
