"""A run's directory into a pack, and a pack into a store: the whole run is there, or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from pathlib import Path

from perfhunt.errors import StoreError, Unreadable, UsageError
from perfhunt.model.run import RunEnd
from perfhunt.store.files import (
    PARTIAL,
    cannot_write,
    make_directory,
    open_store,
    regular_bytes,
    sync_directory,
    write_atomic,
)
from perfhunt.store.owner import UNPACKING, making
from perfhunt.store.pack.archive import (
    MOST_FILES,
    MOST_UNPACKED,
    Pack,
    is_run_name,
    packed,
    unpacked,
)
from perfhunt.store.rundir import read_directory


def pack_directory(directory: Path) -> tuple[str, bytes]:
    """The id of the run in a directory, and the run as a pack. Nothing is added to what is there:
    the store's key, the test file and the environment stay outside. Raises UsageError for a run
    that is not closed, StoreError for one that cannot be read or is too large.
    """
    if directory.name.endswith(PARTIAL):
        raise UsageError(
            f"{directory} is not closed: it is being written, or was cut off",
            "Wait for its end, or let it be closed: perfhunt history",
        )
    run = read_directory(directory).id
    return run, packed(Pack(run, _files(directory)))


def _files(directory: Path) -> dict[str, bytes]:
    """The plain files below a directory, by name. Raises StoreError for what is none."""
    files: dict[str, bytes] = {}
    left = MOST_UNPACKED
    for folder, folders, names in os.walk(directory, onerror=_refused):
        for name in (*(f for f in folders if Path(folder, f).is_symlink()), *names):
            path = Path(folder, name)
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise StoreError(
                    f"{path} is no plain file", "A pack holds those only: move it away."
                )
            if len(files) > MOST_FILES or left <= 0:
                raise StoreError(
                    f"{directory} is too large for a pack (over {MOST_FILES:,} files, or"
                    f" {MOST_UNPACKED >> 20} MiB)",
                    "Keep the whole directory instead.",
                )
            try:
                content = regular_bytes(path)
            except (OSError, Unreadable) as error:
                raise StoreError(f"{path} cannot be read: {error}") from error
            files[path.relative_to(directory).as_posix()] = content
            left -= len(content)
    return files


def _refused(error: OSError) -> None:
    raise StoreError(f"{error.filename} cannot be read: {error.strerror}") from error


def read_pack(file: Path) -> Pack:
    """The pack in a file. Raises StoreError for what cannot be read, or is none."""
    try:
        return unpacked(regular_bytes(file), str(file))
    except (OSError, Unreadable) as error:
        why = error.message if isinstance(error, Unreadable) else error.strerror
        raise StoreError(f"{file} cannot be read: {why}", "perfhunt pack RUN > FILE") from error


def unpack_into(pack: Pack, root: Path, what: str) -> Path:
    """The run of a pack in a store (`root` is a `.perfhunt`), and its directory there. One that is
    there already, file by file the same, is left as it is.

    Raises StoreError, and leaves the store as it was, when the pack holds no whole run of its id,
    another run of that name is there, or the disk refuses.
    """
    runs = root / "runs"
    final = runs / pack.run
    if os.path.lexists(final):
        return _there_already(final, pack)
    open_store(root)
    with making(runs):
        return _unpacked_to(final, pack, what)


def _unpacked_to(final: Path, pack: Pack, what: str) -> Path:
    # Out of sight until it is whole: the list of runs takes no name with a dot in front.
    aside = final.with_name(f"{UNPACKING}{secrets.token_hex(8)}")
    try:
        for name, content in pack.files.items():
            make_directory((aside / name).parent)
            write_atomic(aside / name, content)
        _require_whole(aside, pack.run, what)
        os.rename(aside, final)
        sync_directory(final.parent)
    except OSError as error:
        raise cannot_write(final, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return final


def _there_already(final: Path, pack: Pack) -> Path:
    if final.is_dir() and not final.is_symlink() and _files(final) == pack.files:
        return final
    raise StoreError(
        f"{final} is there already, and is not what was packed",
        "Its reports may have been rendered again: move it away, or name another --store.",
    )


def _require_whole(directory: Path, run: str, what: str) -> None:
    """Raises StoreError for a directory that does not hold a closed run of that id."""
    if not is_run_name(run) or run.endswith(PARTIAL):
        raise StoreError(f"{what}: {run!r} is no closed run's id")
    try:
        inside = read_directory(directory)
    except StoreError as error:
        message = error.message.replace(f"{directory}/", f"{what}: ")
        raise StoreError(message, error.hint) from error
    if inside.id != run or inside.ended == RunEnd.RUNNING:
        raise StoreError(
            f"{what} says that it holds run {run}, and holds {inside.id} ({inside.ended})",
            "Make it again: perfhunt pack RUN > FILE",
        )
