"""YAML as plain values, built from libyaml's events: no tag is obeyed, so nothing in the file is
made or run, and what aliases stand for counts as often as it stands there.

Scalars are those of YAML 1.2's core schema that JSON has too: `yes` and a date are texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from perfhunt.errors import Unreadable
from perfhunt.model.document.bounded import DEEPEST, Allowance, beyond

# Values of one file, aliases unfolded. Descriptions of a thousand operations have half a million.
_MOST_VALUES = 3_000_000
_DIGITS = 300  # of a number: Python reads those of 4,300, and floats end at 308
_INTEGER = re.compile(rf"-?(?:0|[1-9][0-9]{{0,{_DIGITS}}})")
_FLOAT = re.compile(
    rf"-?(?:0|[1-9][0-9]{{0,{_DIGITS}}})(?:\.[0-9]{{1,{_DIGITS}}})?(?:[eE][-+]?[0-9]{{1,3}})?"
)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MERGE = "<<"
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml's is ten times as quick


@dataclass(slots=True)
class _Open:
    """A sequence or mapping that has not ended. `key` waits for its value."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    before: int  # values that had been read when it began
    key: Any = None
    keyed: bool = False
    merged: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    values: int


def yaml_value(text: str, what: str) -> Any:
    """The value of the only document of a YAML text; keys of mappings are texts.

    Raises Unreadable, saying where, for what is none, or is larger or nested deeper than is read.
    """
    text = text.encode("utf-8", "replace").decode()  # libyaml knows no halves of a pair
    try:
        return _built(yaml.parse(text, Loader=_LOADER), what)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark is not None else ""
        why = getattr(error, "problem", None) or "it holds characters that YAML does not allow"
        raise Unreadable(f"{what} is not YAML: {why}{place}") from None


def _built(events: Iterator[Any], what: str) -> Any:
    allowed = Allowance(_MOST_VALUES, "values", what)
    anchors: dict[str, _Anchored] = {}
    stack = [_Open([], None, 0)]  # the documents
    for event in events:
        match event:
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(stack) > DEEPEST:
                    raise beyond(what, f"over {DEEPEST} levels of nesting")
                allowed.take()
                made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                stack.append(_Open(made, event.anchor, allowed.taken - 1))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = stack.pop()
                for inner in done.merged:  # what came first wins
                    done.value = {**inner, **_mapping(done.value)}
                _anchor(anchors, done.anchor, done.value, allowed.taken - done.before)
                _put(stack[-1], done.value)
            case yaml.ScalarEvent():
                allowed.take()
                home = stack[-1]
                named = isinstance(home.value, dict) and not home.keyed
                # A key is the name that it is written as: `200`, `true`, `1e3`.
                scalar = event.value if named else _scalar(event)
                _anchor(anchors, event.anchor, scalar, 1)
                _put(stack[-1], scalar)
            case yaml.AliasEvent():
                anchored = anchors.get(event.anchor or "")
                if anchored is None:  # one within itself has not been read either
                    raise Unreadable(f"{what}: an alias stands for nothing: *{event.anchor}"[:200])
                allowed.take(anchored.values)
                _put(stack[-1], anchored.value)
    documents = [*stack[0].value]
    if len(documents) != 1:
        raise Unreadable(f"{what} holds {len(documents)} YAML documents, not one")
    return documents[0]


def _anchor(anchors: dict[str, _Anchored], name: str | None, value: Any, values: int) -> None:
    if name is not None:
        anchors[name] = _Anchored(value, values)


def _put(home: _Open, value: Any) -> None:
    """A value into the sequence or mapping that is open."""
    if isinstance(home.value, list):
        home.value.append(value)
    elif not home.keyed:
        home.key, home.keyed = value, True
    else:
        home.keyed = False
        if home.key == _MERGE and isinstance(value, dict):
            home.merged.append(value)
        elif home.key == _MERGE and isinstance(value, list):
            home.merged += [each for each in value if isinstance(each, dict)]
        else:
            home.value[_key(home.key)] = value


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _key(key: Any) -> str:
    """The name that a key is; a list or a mapping is none, and an alias what it stands for."""
    return "" if key is None or isinstance(key, list | dict) else str(key)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # in quotes, a block, or with a tag
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if _FLOAT.fullmatch(text) else math.inf
    return number if math.isfinite(number) else text
