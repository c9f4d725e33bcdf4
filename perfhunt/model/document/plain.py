"""Frozen nouns as plain values for JSON (dicts, lists, numbers, text), and back, checked against
their declared types.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints


class PlainError(ValueError):
    """A plain value does not fit its type; the message says where and what was expected."""


def to_plain(value: object) -> Any:
    """Dataclasses as dicts by field name, enums as their values, tuples as lists; infinities and
    NaN as text.
    """
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_plain(kind: Any, plain: Any, where: str = "") -> Any:
    """The value of type `kind` that `to_plain` wrote. Raises PlainError at a missing, unknown or
    ill-typed field.
    """
    if kind is Any:
        return plain
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), plain, where)
    if origin is tuple:
        return _tuple(get_args(kind), plain, where)
    if origin is not None and issubclass(origin, Mapping):
        key, item = get_args(kind)
        _expect(isinstance(plain, dict), where, "an object", plain)
        return {_key(key, k, where): from_plain(item, v, f"{where}.{k}") for k, v in plain.items()}
    if is_dataclass(kind):
        return _dataclass(kind, plain, where)
    return _scalar(kind, plain, where)


def _expect(fits: bool, where: str, expected: str, plain: object) -> None:
    if not fits:
        raise PlainError(f"{where or 'document'}: expected {expected}, found {str(plain)[:60]!r}")


def _union(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if plain is None and type(None) in kinds:
        return None
    problem = PlainError(f"{where}: nothing fits")
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return from_plain(kind, plain, where)
        except PlainError as error:
            problem = error
    raise problem


def _tuple(kinds: tuple[Any, ...], plain: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(plain, list), where, "a list", plain)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(from_plain(kinds[0], item, f"{where}[{i}]") for i, item in enumerate(plain))
    _expect(len(plain) == len(kinds), where, f"{len(kinds)} items", plain)
    return tuple(
        from_plain(k, item, f"{where}[{i}]")
        for i, (k, item) in enumerate(zip(kinds, plain, strict=True))
    )


def _key(kind: Any, key: str, where: str) -> Any:
    return _scalar(
        kind, int(key) if kind is int and key.lstrip("-").isdigit() else key, f"{where} key"
    )


@cache
def _shape(kind: Any) -> tuple[tuple[str, Any, bool], ...]:
    """(name, type, required) of each field."""
    hints = get_type_hints(kind)
    return tuple(
        (f.name, hints[f.name], f.default is MISSING and f.default_factory is MISSING)
        for f in fields(kind)
        if f.init
    )


def _dataclass(kind: Any, plain: Any, where: str) -> Any:
    _expect(isinstance(plain, dict), where, f"an object ({kind.__name__})", plain)
    shape = _shape(kind)
    unknown = set(plain) - {name for name, _, _ in shape}
    _expect(not unknown, where, f"no key {sorted(unknown)} in {kind.__name__}", sorted(plain))
    values = {}
    for name, hint, required in shape:
        if name in plain:
            values[name] = from_plain(hint, plain[name], f"{where}.{name}")
        else:
            _expect(not required, f"{where}.{name}", "a value", "nothing")
    return kind(**values)


def _scalar(kind: Any, plain: Any, where: str) -> Any:
    if kind is float:
        if plain in ("inf", "-inf", "nan"):
            return float(plain)
        _expect(
            isinstance(plain, (int, float)) and not isinstance(plain, bool),
            where,
            "a number",
            plain,
        )
        return float(plain)
    if isinstance(kind, type) and issubclass(kind, Enum):
        _expect(
            plain in {member.value for member in kind},
            where,
            f"one of {[m.value for m in kind]}",
            plain,
        )
        return kind(plain)
    _expect(
        isinstance(plain, kind) and not (kind is int and isinstance(plain, bool)),
        where,
        kind.__name__,
        plain,
    )
    return plain
