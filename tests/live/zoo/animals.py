"""What a service of the zoo is, and how the servers are started that they run under."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.live.zoo import backing


class Half(StrEnum):
    """What a service is for: thresholds are fitted on one half and judged on the other."""

    TUNING = "tuning"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Animal:
    """A service with a known culprit: the folder it is started from, and how.

    `culprits` are the functions that name it rightly, the first of them the one that mending
    (`ZOO_MENDED`) empties; what only that one calls, and where it spends all of its time, is right
    as well. `packages` is what it imports beside the standard library. `users` of a
    closed burst show the capacity, `load` is the part of that it is looked at; `limit` the p99 of
    its SLO in seconds (None: some times what it takes unloaded). One to be `searched`
    breaks where no burst shows it.
    """

    name: str
    folder: str
    command: tuple[str, ...]
    culprits: tuple[str, ...]
    classes: frozenset[str]
    behind: str = ""
    neighbour_ms: float = 0.0
    users: int = 24
    load: float = 0.85
    limit: float | None = None
    paths: tuple[str, ...] = ("/",)
    packages: tuple[str, ...] = ()
    searched: bool = False

    @property
    def half(self) -> Half:
        """By the name alone, so that no result can move a service from one half to the other."""
        return Half.TUNING if hashlib.sha256(self.name.encode()).digest()[0] % 2 else Half.TEST

    def missing(self) -> str:
        """What it lacks on this host, as words; "" when it can be started."""
        packages = [name for name in self.packages if importlib.util.find_spec(name) is None]
        return ", ".join(filter(None, [*packages, backing.missing(self.behind)]))


def python(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words)


def script(name: str) -> tuple[str, ...]:
    return (sys.executable, f"{name}.py", "{port}")


def gunicorn(*words: str) -> tuple[str, ...]:
    bind = ("--bind", "127.0.0.1:{port}", "--log-level", "error", "--backlog", "512")
    return python("gunicorn", *bind, *words)


def threads(module: str, count: int) -> tuple[str, ...]:
    return gunicorn("--worker-class", "gthread", "--threads", str(count), f"{module}:app")


def forked(module: str, count: int, *words: str) -> tuple[str, ...]:
    return gunicorn("--workers", str(count), *words, f"{module}:app")


def greenlets(module: str) -> tuple[str, ...]:
    return gunicorn("--worker-class", "gevent", f"{module}:app")


def uvicorn(module: str, *words: str) -> tuple[str, ...]:
    quiet = ("--log-level", "error", "--no-access-log")
    return python("uvicorn", "--port", "{port}", *quiet, *words, f"{module}:app")


def hypercorn(module: str) -> tuple[str, ...]:
    return python(
        "hypercorn", "--bind", "127.0.0.1:{port}", "--log-level", "ERROR", f"{module}:app"
    )


def granian(module: str, *words: str) -> tuple[str, ...]:
    where = ("--host", "127.0.0.1", "--port", "{port}", "--no-log")
    return python("granian", *where, *words, f"{module}:app")


_SERVERS = {"gunicorn", "uvicorn", "hypercorn", "granian"}


def animal(
    name: str, where: str, command: tuple[str, ...], culprits: str, classes: str, **more: Any
) -> Animal:
    """An animal in few words: `where` is its folder and the packages it imports, the server it runs
    under excepted.
    """
    folder, *packages = where.split()
    return Animal(
        name=name,
        folder=folder,
        command=command,
        culprits=tuple(culprits.split()),
        classes=frozenset(classes.split()),
        packages=tuple(sorted({*packages, *(_SERVERS & set(command))})),
        **more,
    )
