"""What a diagnosis was made from, kept so that it can be made again without the load.

A diagnosis is a pure function of what it is given, so that is what is kept, every object as its
class and its fields by name: a class that has gained a field with a default since reads on.
"""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from perfhunt.analysis.diagnosis.diagnosis import Diagnosis, diagnose
from perfhunt.stories import investigation
from tests.live.zoo.animals import Animal


@dataclass(frozen=True, slots=True)
class Peer:
    """How another profiler ranked the culprit: by the time of the application's function that was
    on top, and by that of every application function on the stack. None: it was not there.
    """

    own: int | None
    inclusive: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a service: how it was asked, its capacity, the same without the culprit, and
    what `diagnose` was given. `busy` and `mended_busy` are the generator's part of a core.
    """

    name: str
    mode: str
    capacity: float
    busy: float
    mended: float
    mended_busy: float
    given: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    seconds: float = 0.0

    def heard(self, name: str) -> Any:
        """What `diagnose` was given under that name; None when it was not."""
        return signature(diagnose).bind(*self.given, **self.named).arguments.get(name)

    def diagnosis(self) -> Diagnosis:
        """As today's code makes it."""
        return diagnose(*self.given, **self.named)


class _ByName(pickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, MappingProxyType):
            return dict, (dict(thing),)
        if is_dataclass(thing) and not isinstance(thing, type):
            return _made, (type(thing), {f.name: getattr(thing, f.name) for f in fields(thing)})
        return NotImplemented


def _made(kind: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    known = {f.name for f in fields(kind) if f.init}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in known})


def keep(seen: Seen, directory: Path) -> None:
    """Write what was seen of a service into `NAME.seen` there."""
    directory.mkdir(parents=True, exist_ok=True)
    with gzip.open(directory / f"{seen.name}.seen", "wb", compresslevel=4) as file:
        _ByName(file, protocol=5).dump(seen)


def kept(directory: Path, animals: tuple[Animal, ...]) -> Iterator[tuple[Animal, Seen]]:
    """What is kept of these animals there. It runs what it reads: only for files of one's own."""
    for animal in animals:
        path = directory / f"{animal.name}.seen"
        if path.exists():
            with gzip.open(path, "rb") as file:
                yield animal, pickle.load(file)


@contextmanager
def overheard() -> Iterator[list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """What the story gives to `diagnose` while the block lasts."""
    heard: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def listening(*given: Any, **named: Any) -> Diagnosis:
        heard.append((given, named))
        return diagnose(*given, **named)

    with patch.object(investigation, "diagnose", listening):
        yield heard
