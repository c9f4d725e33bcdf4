"""The secret of a master and its workers: where it is kept, and how one side shows the other that
it knows it.

It never stands on a command line, in a stored run or on the wire.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.target.leash import SECRET_VARIABLE

NAME = "workers.secret"
# Characters: 128 bits in hex. Who answers a worker could try shorter ones on what it was shown.
LEAST = 32
MOST = 4096  # bytes of the file: more is another file
NONCE = 32  # bytes; with as many of the other side no proof is ever asked for twice
PROOF = 32  # bytes: SHA-256
AS_MASTER, AS_WORKER = b"perfhunt master 1\0", b"perfhunt worker 1\0"


def find_secret(file: Path | None, env: Mapping[str, str], *, make: bool) -> str:
    """The secret in `file`; else in the environment; else the one that is kept for this user, which
    is made where there is none yet and `make` says so. Raises UsageError.
    """
    if file is not None:
        return read_secret(file)
    if SECRET_VARIABLE in env:
        return _long_enough(env[SECRET_VARIABLE], f"${SECRET_VARIABLE}")
    kept = kept_at(env)
    if make and not kept.exists():
        _make(kept)
    return read_secret(kept)


def named_place(file: Path | None, env: Mapping[str, str]) -> str:
    """Where `find_secret` has it from, in words."""
    if file is not None:
        return str(file)
    return f"${SECRET_VARIABLE}" if SECRET_VARIABLE in env else str(kept_at(env))


def kept_at(env: Mapping[str, str]) -> Path:
    """Where this user's secret is kept (XDG Base Directory Specification)."""
    config = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/", ".config")
    return Path(config, "perfhunt", NAME)


def read_secret(path: Path) -> str:
    """The secret in a file. Raises UsageError for one that is missing, short, or open to others."""
    try:
        with open(path, "rb", opener=_unblocked) as file:
            found = os.fstat(file.fileno())
            kind = found.st_mode
            if not stat.S_ISREG(kind):
                raise UsageError(f"the secret {path} is no file")
            if kind & (stat.S_IRWXG | stat.S_IRWXO):
                raise UsageError(
                    f"others may read or change the secret {path}; it was not used",
                    f"chmod 600 {path}, and if they may have read it, make a new one.",
                )
            if found.st_uid not in (os.geteuid(), 0):
                raise UsageError(
                    f"the secret {path} belongs to another user, who knows it; it was not used",
                    "Make one of your own: openssl rand -hex 32",
                )
            content = file.read(MOST + 1)
    except OSError as error:
        raise UsageError(
            f"the secret {path} cannot be read: {error.strerror}",
            f"Copy it from the host that commands the load (there --bind keeps it in"
            f" ~/.config/perfhunt/{NAME}), or name it with --secret FILE.",
        ) from None
    if len(content) > MOST:
        raise UsageError(f"the secret {path} is longer than {MOST} bytes")
    return _long_enough(content.decode("utf-8", "surrogateescape"), str(path))


def _unblocked(path: str, flags: int) -> int:
    """So that a FIFO is told, not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _long_enough(text: str, where: str) -> str:
    secret = text.strip()
    if len(secret) < LEAST:
        raise UsageError(
            f"the secret in {where} is shorter than {LEAST} characters, and could be guessed",
            "A good one: openssl rand -hex 32",
        )
    return secret


def _make(path: Path) -> None:
    """A fresh secret, there whole or not at all; one that another process made meanwhile stays."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # mode 0600
        try:
            with open(descriptor, "w") as file:
                file.write(f"{secrets.token_hex(32)}\n")
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.unlink(name)
    except OSError as error:
        raise UsageError(
            f"a secret for workers cannot be kept in {path}: {error.strerror}",
            f"Give one with --secret FILE, or in ${SECRET_VARIABLE}.",
        ) from None


def proof(secret: str, side: bytes, conversation: bytes) -> bytes:
    """What only who knows the secret can say of this conversation, and only in this part of it
    (HMAC-SHA-256). `side` is AS_MASTER or AS_WORKER.
    """
    return hmac.digest(secret.encode("utf-8", "surrogateescape"), side + conversation, "sha256")
