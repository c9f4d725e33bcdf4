"""The key of a store's digests: random, made once, readable by its owner alone, and never copied
to where reports go.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from perfhunt.errors import StoreError
from perfhunt.model.redact import Mark, marker

KEY_FILE = "digest.key"
_BYTES = 32  # as many as the digest has
_OTHERS = 0o077  # what nobody but the owner may do with it


# For what is not to be kept: good for comparing within this process.
FORGOTTEN = marker(secrets.token_bytes(_BYTES))


def mark_of(root: Path) -> Mark:
    """What marks texts in a store (`root` is its `.perfhunt`). Without a key that is ours alone to
    read it is FORGOTTEN: nothing is given away, and nothing compares later on.
    """
    key = _kept_key(root)
    return marker(key) if key else FORGOTTEN


def _kept_key(root: Path) -> bytes:
    """The store's key, made when there is none; b"" when there can be none."""
    try:
        return _read(root / KEY_FILE) if (root / KEY_FILE).exists() else _made(root)
    except (OSError, StoreError):
        return b""


def _made(root: Path) -> bytes:
    root.mkdir(parents=True, exist_ok=True)
    part = root / f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}"
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(part, new, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(part, root / KEY_FILE)  # whoever is first wins, and all read that one
    finally:
        part.unlink(missing_ok=True)
    return _read(root / KEY_FILE)


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if os.fstat(fd).st_mode & _OTHERS:
            raise StoreError(f"{path} may be read by others, so digests under it hide nothing")
        key = file.read(_BYTES)
    if len(key) != _BYTES:
        raise StoreError(f"{path} is not the key of a store")
    return key
