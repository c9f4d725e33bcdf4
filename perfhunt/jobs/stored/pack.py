"""Runs that leave a store, and come back to it or to another one, as one file each."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from perfhunt.model.run import Run
from perfhunt.store.listing import find
from perfhunt.store.pack.place import pack_directory, read_pack, unpack_into
from perfhunt.store.rundir import read_directory


@dataclass(frozen=True, slots=True)
class PackedRun:
    """A run's id, and its bytes for a file."""

    run: str
    content: bytes


def pack_run(run: str, store: Path) -> PackedRun:
    """The run of that id, beginning of an id, or directory (`last` is the newest) as a pack. Raises
    UsageError, StoreError.
    """
    return PackedRun(*pack_directory(find(store, run)))


def unpack_run(file: Path, store: Path) -> Path:
    """The directory in the store that the run of a pack is now in. Raises StoreError, and leaves
    the store as it was, for what is no whole run.
    """
    return unpack_into(read_pack(file), store, str(file))


def packed_run(file: Path) -> Run:
    """The run of a pack, which no store is given. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="perfhunt-pack-") as aside:
        return read_directory(unpack_run(file, Path(aside)))
