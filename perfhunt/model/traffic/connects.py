"""What a locustfile connects to besides the target, and is no load: a database, say."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PORTS = range(1, 65536)
_WHERE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")
_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class Peripheral:
    """A host and its port, or the `path` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def peripheral(text: str) -> Peripheral | None:
    """What `db.internal:5432`, `[::1]:5432` or `unix:/run/db.sock` names; None for anything
    else.
    """
    if text.startswith(f"{_UNIX}/") and text.isprintable():
        return Peripheral(path=text.removeprefix(_UNIX))
    match = _WHERE.fullmatch(text)
    if match is None or int(match[3]) not in _PORTS:
        return None
    return Peripheral((match[1] or match[2]).lower(), int(match[3]))
