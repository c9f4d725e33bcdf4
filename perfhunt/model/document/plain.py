"""Frozen nouns as plain values for JSON (dicts, lists, numbers, text), and back, checked against
their declared types.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")
_NOT_FINITE = ("inf", "-inf", "nan")  # JSON has no number for these: they are written as text


class PlainError(ValueError):
    """A plain value does not fit its type; the message says where and what was expected."""


def to_plain(value: object) -> Any:
    """Dataclasses as dicts by field name, enums as their values, tuples as lists; infinities and
    NaN as text.
    """
    return _finite(msgspec.to_builtins(value, str_keys=True, enc_hook=_number))


def from_plain(kind: type[_T], plain: Any, where: str = "") -> _T:
    """The value of type `kind` that `to_plain` wrote. Raises PlainError, naming the place within
    `where`, at a missing, unknown or ill-typed field.
    """
    try:
        value = msgspec.convert(plain, kind, str_keys=True)
    except UnicodeEncodeError as error:
        raise PlainError(f"{where or 'document'}: a key holds half a character") from error
    except msgspec.ValidationError as error:
        value = _with_infinities(kind, plain, _refusal(where, str(error)))
    if unknown := _unknown(plain, to_plain(value), ""):
        raise PlainError(f"{(where + unknown).lstrip('.')}: unknown field")
    return value


def same_fields(kind: Any, source: Any, *without: str) -> dict[str, Any]:
    """The values in `source` of a dataclass's fields, by name: for what two shapes of one noun have
    in common.
    """
    return {f.name: getattr(source, f.name) for f in fields(kind) if f.name not in without}


def _number(value: object) -> Any:
    """A number of another library's type as Python's own: a run is not lost for that. Raises
    TypeError for anything else.
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no plain form")


def _finite(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _finite(item) for key, item in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_finite(item) for item in plain]
    return str(plain) if isinstance(plain, float) and not math.isfinite(plain) else plain


def _with_infinities(kind: type[_T], plain: Any, refusal: PlainError) -> _T:
    """The value when `inf` and its like are read as numbers. Tried second, for they are good text
    too: a function may be called `inf`.
    """
    try:
        return msgspec.convert(_infinite(plain), kind, str_keys=True)
    except msgspec.ValidationError:
        raise refusal from None


def _infinite(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _infinite(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_infinite(item) for item in plain]
    return float(plain) if plain in _NOT_FINITE else plain


def _refusal(where: str, message: str) -> PlainError:
    """msgspec's "Expected `int`, got `str` - at `$.a[0]`" with the place first."""
    reason, _, place = message.partition(" - at ")
    path = f"{where}{place.strip('`').removeprefix('$')}".lstrip(".")
    return PlainError(f"{path or 'document'}: {reason[:1].lower()}{reason[1:]}")


def _unknown(plain: Any, understood: Any, place: str) -> str:
    """Where `plain` holds a key that was not understood; "" when all of it was."""
    if isinstance(plain, dict):
        for key, item in plain.items():
            here = f"{place}.{key}"
            inside = _unknown(item, understood[key], here) if key in understood else here
            if inside:
                return inside
    elif isinstance(plain, list):
        for index, item in enumerate(plain):
            if inside := _unknown(item, understood[index], f"{place}[{index}]"):
                return inside
    return ""
