"""Units as types, and the one parser for every number with a unit that a person may write."""

from __future__ import annotations

import re
from typing import TypeAlias

Seconds: TypeAlias = float
PerSecond: TypeAlias = float
Share: TypeAlias = float  # 0..1
Cores: TypeAlias = float
Bytes: TypeAlias = int

_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ%/]*)\s*")


class UnitError(ValueError):
    """A number had no unit, or one that does not fit; the message says which are accepted."""


def _split(text: str, accepted: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnitError(f"{text!r} is not a number with a unit (accepted: {accepted})")
    return float(match[1]), match[2]


def parse_duration(text: str) -> Seconds:
    """`"400ms"`, `"2s"`, `"1m"` as seconds. Raises UnitError without a unit: 400 of what?"""
    value, unit = _split(text, "us, ms, s, m, h")
    if unit not in _SECONDS:
        raise UnitError(f"{text!r} needs a unit of time (us, ms, s, m, h)")
    return value * _SECONDS[unit]


def parse_rate(text: str) -> PerSecond:
    """`"300/s"` or `"600/m"` as requests per second."""
    value, unit = _split(text, "/s, /m")
    if unit not in ("/s", "/m", "/min"):
        raise UnitError(f"{text!r} needs a unit of rate (/s or /m)")
    return value if unit == "/s" else value / 60.0


_BYTES = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_bytes_per_hour(text: str) -> float:
    """`"10MiB/h"` as bytes per hour."""
    value, unit = _split(text, "B/h, KiB/h, MiB/h, GiB/h")
    size, _, time = unit.partition("/")
    if size not in _BYTES or time != "h":
        raise UnitError(f"{text!r} needs a unit of growth (KiB/h, MiB/h, GiB/h)")
    return value * _BYTES[size]


def parse_per_hour(text: str) -> float:
    """`"5/h"` as a number per hour."""
    value, unit = _split(text, "/h")
    if unit != "/h":
        raise UnitError(f"{text!r} needs a unit of growth (/h)")
    return value


def parse_share(text: str) -> Share:
    """`"0.1%"` as 0.001. A bare `0` needs no unit; nothing else goes without."""
    value, unit = _split(text, "%")
    if unit == "%":
        return value / 100.0
    if value == 0.0 and unit == "":
        return 0.0
    raise UnitError(f"{text!r} needs a percent sign")


def format_duration(seconds: Seconds) -> str:
    """Three significant digits in the unit a person would pick: `1.2 s`, `43 ms`, `120 us`."""
    if seconds >= 120:
        return f"{int(seconds) // 60}m{int(seconds) % 60:02d}s"
    if seconds >= 0.9995 or seconds == 0:  # 0.9996 s would round to "1e+03 ms"
        return f"{seconds:.3g} s"
    if seconds >= 0.9995e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} us"


def format_bytes(count: float) -> str:
    """`512 KiB`, `1.5 GiB`: three significant digits."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(count) >= 0.9995 * size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def format_rate(rate: PerSecond) -> str:
    """`141/s`; one decimal below 100."""
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s"


_ROUNDING: Share = 1e-9  # far below the rarest error that anybody asks for


def times(count: int) -> str:
    """`once`, `3 times`."""
    return "once" if count == 1 else f"{count} times"


def format_share(share: Share) -> str:
    """`38.1 %`; what sums of floats leave over is nothing."""
    return f"{share * 100 if abs(share) > _ROUNDING else 0:.3g} %"
