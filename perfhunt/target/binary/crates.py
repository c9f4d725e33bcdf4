"""Which crates a program of Rust was linked with, by the paths in it that panics name."""

from __future__ import annotations

import re

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


def is_of_others(path: str) -> bool:
    """Whether a source is of another's crate, or of the language's own library."""
    return _OTHERS.search(path) is not None


def linked_crates(path: str) -> tuple[str, ...]:
    """How the functions of others' crates begin in a program (`tokio::`), in the order of names;
    empty where there are none, or it cannot be read.

    A crate that cannot panic names no path, and is taken for the application's.
    """
    try:
        with FileBytes(path) as content:
            found = {next(filter(None, match.groups())) for match in content.matches(_SOURCE)}
    except OSError:
        return ()
    names = {name.decode().replace("-", "_") for name in found}
    return tuple(sorted(f"{name}::" for name in names | {_PART.sub("", name) for name in names}))
