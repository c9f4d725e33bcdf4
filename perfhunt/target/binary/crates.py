"""Which crates a program of Rust was linked with, by the paths in it that panics name."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import closing
from functools import lru_cache

from perfhunt.target.proc.files import FileBytes

# Where cargo keeps sources: of registries, of git, those that a project keeps beside its own, and
# those that the language's library was built with.
_SOURCE = re.compile(
    rb"/registry/src/[^/\0]{1,128}/([A-Za-z0-9_-]{1,64}?)-\d+\.\d[^/\0]{0,64}/"
    rb"|/rust/deps/([A-Za-z0-9_-]{1,64}?)-\d+\.\d[^/\0]{0,64}/"
    rb"|/git/checkouts/([A-Za-z0-9_-]{1,64})-[0-9a-f]{8,16}/"
    rb"|/vendor/([A-Za-z0-9_-]{1,64}?)(?:-\d+\.\d[^/\0]{0,64})?/src/"
)
# The same, and where the language's own library is said to be.
_OTHERS = re.compile(rf"{_SOURCE.pattern.decode()}|^/rustc/|/rustlib/src/")


# How the crates are called that another is made of: `parking_lot_core` says that `parking_lot`,
# which cannot panic, was linked as well.
_PART = re.compile(r"_(?:core|utils?|impl|sys|common|types)$")


# The first part of a function's symbol, of either scheme; those of the older one end in a hash.
_LEGACY = re.compile(
    rb"_ZN(?:(\d{1,2})([a-z]\w{1,63})|\d{1,4}_\$LT\$(?:\$RF\$(?:mut\$u20\$)?)?([a-z]\w{1,63})\.\.)"
)
_HASH, _BEHIND = re.compile(rb"17h[0-9a-f]{16}E"), 64  # bytes at the end, in which it stands
_V0 = re.compile(rb"_R\w{0,20}?Cs[0-9A-Za-z]{1,20}_(\d{1,2})([a-z]\w{1,63})()")
_IS_MAIN = re.compile(rb"(?:_ZN\d{1,2}\w+4main17h|_RNvCs[0-9A-Za-z]{1,20}_\d{1,2}\w+4main$)")
_LANGUAGE = frozenset({"std", "core", "alloc", "proc_macro", "test"})


def is_of_others(path: str) -> bool:
    """Whether a source is of another's crate, or of the language's own library."""
    return _OTHERS.search(path) is not None


def linked_crates(path: str) -> tuple[str, ...]:
    """How the functions of others' crates begin in a program (`tokio::`), in the order of names;
    empty where there are none, or it cannot be read.

    A crate that cannot panic names no path. It is another's, unless the application has sources of
    which it is not known what crate they are of.
    """
    try:
        told = os.stat(path)
        return _crates(path, (told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns))
    except OSError:
        return ()


@lru_cache(maxsize=16)
def _crates(path: str, _identity: tuple[int, ...]) -> tuple[str, ...]:
    """Raises OSError."""
    with FileBytes(path) as content:
        found = {next(filter(None, match.groups())) for match in content.matches(_SOURCE)}
    names = {name.decode().replace("-", "_") for name in found}
    names |= {_PART.sub("", name) for name in names}
    return tuple(sorted(f"{name}::" for name in names | (_silent(path, names) if names else set())))


def _silent(path: str, known: Collection[str]) -> set[str]:
    """The crates in a program's symbols that no panic names, beside those of the application; none
    where what reads them is not, as in the half of perfhunt that is sent elsewhere.
    """
    try:
        from perfhunt.target.binary.elf import Elf
        from perfhunt.target.binary.panics import PanicPlaces

        elf = Elf(path)
    except (ImportError, ValueError):
        return set()
    mains, crates = set[str](), set[str]()
    for symbol in elf.part(".strtab").split(b"\0"):
        if crate := _crate_of(symbol):
            crates.add(crate)
            mains |= {crate} if _IS_MAIN.match(symbol) else set()
    with closing(PanicPlaces(elf)) as panics:
        folders = {_folder(source) for source in panics.sources() if not is_of_others(source)}
    folders.discard("")
    own = {crate for crate in crates if any(_is_in(crate, folder) for folder in folders)}
    told = all(any(_is_in(crate, folder) for crate in own) for folder in folders)
    if not mains or not told:
        return set()
    return crates - own - mains - _LANGUAGE - {*known}


def _crate_of(symbol: bytes) -> str:
    """The crate of a function of Rust, by its symbol; "" for that of anything else."""
    of_legacy = symbol.startswith(b"_ZN") and _HASH.search(symbol, max(0, len(symbol) - _BEHIND))
    found = (_LEGACY if of_legacy else _V0).match(symbol)
    if found is None:
        return ""
    size, name = found[1], found[2] or found[3]
    return name[: int(size or len(name))].decode(errors="replace")


def _folder(source: str) -> str:
    """The folder of the crate of a source; "" for that which was built."""
    return source.rpartition("/src/")[0].rpartition("/")[2].replace("-", "_")


def _is_in(crate: str, folder: str) -> bool:
    """Whether a crate may be the one in a folder, which mostly has its name, or a part of it."""
    return crate == folder or crate.endswith(f"_{folder}") or folder.endswith(f"_{crate}")
