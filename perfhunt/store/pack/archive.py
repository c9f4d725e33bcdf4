"""A run as one file: a gzipped tar (ustar) of plain files, whose first says what the others are.

    perfhunt-pack.json          version, the run's id, and of each file its size and SHA-256
    run.json, trials/0001.samples, ...

Any tar reads it. Our own reader trusts nothing of it: the whole is unzipped within bounds, and
headers are read one block at a time, so that no link, device, extension or second length is ever
acted on.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from perfhunt.errors import StoreError, Unreadable
from perfhunt.model.document.bounded import json_value, unzipped
from perfhunt.model.document.plain import PlainError, from_plain
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Bytes

VERSION = 1
MANIFEST = "perfhunt-pack.json"
# A run of a day has 100 MB of trials, and 40 bytes of raw samples for each of its requests.
MOST_UNPACKED: Bytes = 512 << 20
MOST_FILES = 4096  # an investigation leaves some forty, a soak of a day three thousand trials
# Times its size that a pack may unpack to, beyond what a small one may: JSON shrinks to a
# thirtieth.
RATIO, ROOM = 100, 16 << 20
LONGEST_NAME = 100  # bytes, as a ustar header holds
_BLOCK: Bytes = 512
_LEVEL = 6  # of zlib; the same everywhere, so that equal runs have equal bytes
_GZIP = 31  # zlib's `wbits` for the gzip format, whose header has no time then
_MAGIC = b"\x1f\x8b"
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"  # no dot first: neither `..` nor what is out of sight
_NAME = re.compile(rf"{_PART}(?:/{_PART}){{0,4}}")
_RUN = re.compile(_PART)
_AGAIN = "Copy it again from where it was made, or make another: perfhunt pack RUN > FILE"


@dataclass(frozen=True, slots=True)
class PackedFile:
    """What a pack says of one of its files; `sha256` in hex digits."""

    size: Bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class PackManifest:
    """The first file of a pack: its version, the id of the run, and its other files by name."""

    pack: int
    run: str
    files: Mapping[str, PackedFile]


@dataclass(frozen=True, slots=True)
class Pack:
    """A run's id, and its files by name (`trials/0001.samples`)."""

    run: str
    files: Mapping[str, bytes]


def packed(pack: Pack) -> bytes:
    """The bytes of a pack; equal packs give equal bytes. Raises StoreError for one that could not
    be unpacked again: too large, too many files, or a name that is not plain.
    """
    wrong = [name for name in pack.files if not plain_name(name) or name == MANIFEST]
    if wrong or not is_run_name(pack.run):
        raise StoreError(
            f"run {pack.run} cannot be packed: {', '.join(wrong) or 'its id'} is no plain name",
            "A run's directory holds only what perfhunt wrote: move away what else is there.",
        )
    if len(pack.files) > MOST_FILES:
        raise _too_much(pack.run, f"{len(pack.files):,} files, more than {MOST_FILES:,}")
    described = {name: _described(pack.files[name]) for name in sorted(pack.files)}
    manifest = {
        "pack": VERSION,
        "run": pack.run,
        "files": {n: {"size": f.size, "sha256": f.sha256} for n, f in described.items()},
    }
    front = (json_text(manifest, indent=1) + "\n").encode()
    entries = [(MANIFEST, front), *((name, pack.files[name]) for name in described)]
    tar = b"".join(_entry(name, content) for name, content in entries) + bytes(2 * _BLOCK)
    squeezed = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    raw = squeezed.compress(tar) + squeezed.flush()
    if len(tar) > _most(raw):
        raise _too_much(pack.run, f"{len(tar) >> 20} MiB of files, more than a pack may unpack to")
    return raw


def _too_much(run: str, holds: str) -> StoreError:
    return StoreError(
        f"run {run} cannot be packed: it holds {holds}",
        "Keep its whole directory instead, which every verb takes in the place of a run.",
    )


def _described(content: bytes) -> PackedFile:
    return PackedFile(len(content), hashlib.sha256(content).hexdigest())


def _entry(name: str, content: bytes) -> bytes:
    """A file with its header, without a time or an owner."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    return header.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict") + content + _padding(len(content))


def _padding(size: Bytes) -> bytes:
    return bytes(-size % _BLOCK)


def plain_name(name: str) -> bool:
    """Whether a file of a run may have this name: relative, of plain parts, and short."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def is_run_name(name: str) -> bool:
    """Whether a run may be called so."""
    return len(name) <= LONGEST_NAME and _RUN.fullmatch(name) is not None


def _most(raw: bytes) -> Bytes:
    """What a pack of this size may unpack to."""
    return min(MOST_UNPACKED, RATIO * len(raw) + ROOM)


def unpacked(raw: bytes, what: str) -> Pack:
    """The pack in bytes that anybody may have written; `what` names them in messages. Raises
    StoreError for what is no pack, of another version, cut short, changed, or larger than is read.
    """
    if not raw.startswith(_MAGIC):
        raise _foreign(what, "it is not gzipped")
    try:
        entries = _entries(unzipped(raw, _most(raw), what), what)
        first = next(entries, None)
        if first is None or first[0] != MANIFEST:
            raise _foreign(what, f"{MANIFEST} is not the first of its files")
        manifest = _manifest(first[1], what)
        files = dict[str, bytes]()
        for name, content in entries:
            if name in files:
                raise _damaged(what, f"it holds {name} twice")
            files[name] = content
    except Unreadable as error:
        raise StoreError(error.message, _AGAIN) from error
    _check(manifest, files, what)
    return Pack(manifest.run, files)


def _foreign(what: str, why: str) -> StoreError:
    return StoreError(f"{what} is no pack of perfhunt's: {why}", "perfhunt pack RUN > FILE")


def _damaged(what: str, why: str) -> StoreError:
    return StoreError(f"{what} is damaged: {why}", _AGAIN)


def _entries(tar: bytes, what: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, in order. Raises StoreError for anything but plain files."""
    at = 0
    for _ in range(MOST_FILES + 2):  # the manifest, and the block that ends them
        block = tar[at : at + _BLOCK]
        if len(block) < _BLOCK:
            raise _damaged(what, "it is cut short")
        if block == bytes(_BLOCK):
            if tar[at:].strip(b"\0"):
                raise _damaged(what, "more follows behind its end")
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise _damaged(what, f"no file begins at byte {at} ({error})") from error
        at += _BLOCK
        if header.type != tarfile.REGTYPE or not plain_name(header.name):
            raise _foreign(what, f"{header.name!r} is no plain file within a run")
        if not 0 <= header.size <= len(tar) - at:
            raise _damaged(what, f"{header.name} is cut short")
        yield header.name, tar[at : at + header.size]
        at += header.size + len(_padding(header.size))
    raise _foreign(what, f"it holds over {MOST_FILES:,} files")


def _manifest(content: bytes, what: str) -> PackManifest:
    plain = json_value(content, f"{MANIFEST} of {what}")
    version = plain.get("pack") if isinstance(plain, dict) else None
    if version != VERSION:
        raise StoreError(
            f"{what} is a pack of version {version!r}; this perfhunt reads {VERSION}",
            "Unpack it with the perfhunt that made it, or upgrade this one.",
        )
    try:
        return from_plain(PackManifest, plain)
    except PlainError as error:
        raise _damaged(what, f"{MANIFEST}: {error}") from error


def _check(manifest: PackManifest, files: Mapping[str, bytes], what: str) -> None:
    """Raises StoreError when the files are not those that the manifest names."""
    if not is_run_name(manifest.run):
        raise _foreign(what, f"{manifest.run!r} is no run's id")
    for name in sorted({*manifest.files, *files}):
        if name not in files:
            raise _damaged(what, f"{name} is missing")
        if manifest.files.get(name) != _described(files[name]):
            raise _damaged(what, f"{name} is not what was packed")
