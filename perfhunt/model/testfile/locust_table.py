"""What the test file says of a locustfile: which it is, what it may connect to, and the `[locust]`
table: what stands on the command line of Locust.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from perfhunt.model.question import LocustOptions
from perfhunt.model.testfile.strict import Reader, show
from perfhunt.model.testfile.template import variables_used
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.model.traffic.connects import peripheral

_EXAMPLE = '[locust] with options = { tenant = "acme" }'
# Options of Locust that the test file has other words for, and which.
_OUR_WORDS: Mapping[str, str] = {
    "host": "target.url",
    "users": "the rate: ramp.start and ramp.max",
    "spawn_rate": "the rate: ramp.start and ramp.max",
    "run_time": "ramp.budget",
    "locustfile": "locustfile",
    "processes": "--workers",
}


def read_locustfile(top: Reader, around: Surroundings) -> tuple[str | None, str | None]:
    """The path of the locustfile and the hash of its content; None each where there is none."""
    traffic = top.raw("traffic")
    inside = traffic[0] if isinstance(traffic, list) and len(traffic) == 1 else traffic
    home = top
    if isinstance(inside, dict) and "locustfile" in inside:
        home = Reader(inside, top.at("traffic"), top.problems)
    name = home.text("locustfile", example='locustfile = "locustfile.py"')
    if not name:
        if home.has("locustfile") and isinstance(home.raw("locustfile"), str):
            home.wrong("locustfile", "is empty", 'write locustfile = "locustfile.py"')
        return None, None
    if home is not top:
        home.finish({"locustfile_connects": "at the top of the file"})
    elif traffic is not None:
        top.wrong(
            "locustfile",
            "there is [[traffic]] as well",
            "the locustfile brings its own tasks: keep one of them",
        )
    path = around.path(name)
    try:
        return path, hashlib.sha256(around.read(path)).hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        home.wrong(
            "locustfile",
            f"{name!r} cannot be read ({reason})",
            "paths start from the directory of the test file",
        )
        return path, None


def read_connects(top: Reader, locustfile: str | None) -> tuple[str, ...]:
    """What the locustfile may connect to besides the target."""
    example = 'locustfile_connects = ["db.internal:5432"]'
    texts = top.strings("locustfile_connects", (), example)
    for n, text in enumerate(texts, start=1):
        if peripheral(text) is None:
            top.wrong(
                f"locustfile_connects[{n}]",
                f"{show(text)} is no place to connect to",
                'write "db.internal:5432", "[::1]:5432" or "unix:/run/db.sock"',
            )
    if texts and not locustfile:
        top.wrong(
            "locustfile_connects",
            "there is no locustfile",
            "requests of [[traffic]] go to target.url only: leave it out",
        )
    return texts


def read_locust(
    top: Reader, locustfile: str | None, around: Surroundings
) -> tuple[LocustOptions, tuple[str, ...]]:
    """Options of a locustfile, and the user classes to take from it (none named: all)."""
    table = top.child("locust", _EXAMPLE)
    if table is None:
        return (), ()
    if not locustfile:
        top.wrong("locust", "there is no locustfile", "it is for one: leave it out")
    lines = table.child("options", 'options = { tenant = "acme", dry-run = true }')
    options = tuple(_options(lines, around.env)) if lines is not None else ()
    classes = table.strings("classes", (), 'classes = ["WebUser"]')
    table.finish(dict.fromkeys(("tags", "exclude_tags"), "in options of [locust]"))
    return options, classes


def _options(lines: Reader, env: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in lines.table.items():
        lines.raw(name)
        dest = name.lstrip("-").replace("-", "_")
        if dest in _OUR_WORDS:
            lines.wrong(name, "is said elsewhere", f"write {_OUR_WORDS[dest]}")
            continue
        values = _values(value)
        if values is None:
            lines.wrong(
                name,
                f"{show(value)} is no value of an option",
                "write a text, a number, true, or a list of texts",
            )
        elif value is not False:  # a flag that is not set
            for variable in (v for text in values for v in variables_used(text)):
                if variable not in env:
                    lines.wrong(
                        name,
                        f"the environment has no {variable}",
                        f"set it: export {variable}=...",
                    )
            yield dest, values


def _values(value: Any) -> tuple[str, ...] | None:
    """What an option is followed by; None for what cannot follow one."""
    if isinstance(value, bool):
        return ()
    if isinstance(value, list):
        inner = [_values(item) for item in value]
        single = all(isinstance(item, str | int | float) for item in value)
        return tuple(text for given in inner if given for text in given) if single else None
    return (str(value),) if isinstance(value, str | int | float) else None
