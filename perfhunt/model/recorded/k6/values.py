"""What an expression of a script stands for, as far as it can be said without running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from perfhunt.model.recorded.k6.scopes import Scopes
from perfhunt.model.recorded.k6.syntax import (
    Node,
    arguments_of,
    bare,
    line_of,
    shown,
    source,
)

_DEEPEST = 40  # expressions within each other, names that stand for names counted too
_MOST = 5_000  # expressions that are looked at for one value
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|(.|\n))")
_EXACT = 2**53  # beyond which numbers of JavaScript are not what was written
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "undefined": None}


@dataclass(frozen=True, slots=True)
class Hole:
    """What running the script would fill: `${NAME}` of the environment, or something computed:
    `name` is a word for it, `text` what stands there.
    """

    name: str
    line: int
    text: str
    from_environment: bool = False


Text: TypeAlias = tuple[str | Hole, ...]  # a string, its holes in their places


@dataclass(frozen=True, slots=True)
class Json:
    """What JSON.stringify makes of a value."""

    value: Any


@dataclass(slots=True)
class ScriptValues:
    """The values of one script's expressions: Text, numbers, True, False, None, lists, dicts, Json,
    or a Hole. `defaults` are the values of the environment that the script has defaults for.
    """

    scopes: Scopes
    defaults: dict[str, str] = field(default_factory=dict)
    _left: int = 0

    def of(self, node: Node | None) -> Any:
        """The value of an expression; None for no expression at all."""
        self._left = _MOST
        return self._value(node, 0)

    def _value(self, node: Node | None, depth: int) -> Any:
        node = bare(node)
        if node is None:
            return None
        self._left -= 1
        read = _READERS.get(node.type)
        if read is None or depth > _DEEPEST or self._left < 0:
            return _hole(node)
        return read(self, node, depth + 1)

    def _string(self, node: Node, depth: int) -> Text:
        return (_unescaped(source(node)[1:-1]),)

    def _template(self, node: Node, depth: int) -> Text:
        parts: list[str | Hole] = []
        for child in node.named_children:
            if child.type == "template_substitution":
                inner = child.named_children[0] if child.named_children else None
                parts += _as_text(self._value(inner, depth), child)
            else:
                parts.append(_unescaped(source(child)))
        return _text(parts)

    def _number(self, node: Node, depth: int) -> Any:
        text = source(node).replace("_", "")
        for read in (lambda: int(text, 0), lambda: float(text)):
            try:
                number = read()
            except (ValueError, OverflowError):
                continue
            octal = text[:1] == "0" and text[1:].isdigit()
            if octal or not abs(number) <= _EXACT:  # what JavaScript writes otherwise than we do
                break
            return int(number) if number == int(number) else number
        return _hole(node)

    def _literal(self, node: Node, depth: int) -> Any:
        return _WORDS[node.type]

    def _name(self, node: Node, depth: int) -> Any:
        if source(node) == "undefined":
            return None
        declared = self.scopes.declared(node)
        return _hole(node) if declared is None else self._renamed(node, declared, depth)

    def _renamed(self, node: Node, declared: Node, depth: int) -> Any:
        """A hole is told by the name that stands there."""
        value = self._value(declared, depth)
        if isinstance(value, Hole) and not value.from_environment:
            return Hole(_word(source(node)), value.line, value.text)
        return value

    def _member(self, node: Node, depth: int) -> Any:
        holder, key = node.child_by_field_name("object"), _key_of(node)
        if key is None:
            return _hole(node)
        if source(holder) == "__ENV" and _VARIABLE.fullmatch(key):
            return Hole(key, line_of(node), shown(node), from_environment=True)
        inner = self._value(holder, depth)
        if isinstance(inner, dict) and key in inner:
            return inner[key]
        if isinstance(inner, list) and key.isascii() and key.isdigit() and len(key) < 7:
            return inner[int(key)] if int(key) < len(inner) else None
        return _hole(node)

    def _binary(self, node: Node, depth: int) -> Any:
        sign = source(node.child_by_field_name("operator"))
        left = self._value(node.child_by_field_name("left"), depth)
        right_node = node.child_by_field_name("right")
        if sign in ("||", "??"):
            return self._either(node, left, right_node, depth)
        if sign != "+":
            return _hole(node)
        right = self._value(right_node, depth)
        if isinstance(left, tuple) or isinstance(right, tuple):
            return _text([*_as_text(left, node), *_as_text(right, right_node)])
        plain = all(isinstance(each, int) and not isinstance(each, bool) for each in (left, right))
        return left + right if plain else _hole(node)

    def _either(self, node: Node, left: Any, right_node: Node, depth: int) -> Any:
        """`a || b`: b where a is missing. What the environment may say has its default here."""
        variable = left if isinstance(left, Hole) else _only_hole(left)
        if variable is None:
            return (
                left if left not in (None, False, 0, (), ("",)) else self._value(right_node, depth)
            )
        if not variable.from_environment:
            return _hole(node)
        default = self._value(right_node, depth)
        if not (isinstance(default, tuple) and _only_hole(default)):
            self.defaults[variable.name] = shown(right_node)
        return default

    def _ternary(self, node: Node, depth: int) -> Any:
        """`__ENV.A ? __ENV.A : b`, which is `__ENV.A || b`."""
        condition, first, other = (
            bare(node.child_by_field_name(name))
            for name in ("condition", "consequence", "alternative")
        )
        if condition is None or first is None or source(condition) != source(first):
            return _hole(node)
        return self._either(node, self._value(first, depth), other, depth)

    def _object(self, node: Node, depth: int) -> Any:
        made: dict[str, Any] = {}
        for child in node.named_children:
            if child.type == "pair":
                key = _key_of(child)
                if key is None:
                    return _hole(node)
                made[key] = self._value(child.child_by_field_name("value"), depth)
            elif child.type == "shorthand_property_identifier":
                made[source(child)] = self._name(child, depth)
            elif child.type == "spread_element":
                inner = self._value(child.named_children[0], depth)
                if not isinstance(inner, dict):
                    return _hole(node)
                made |= inner
            elif child.type != "comment":
                made[source(child.child_by_field_name("name") or child)] = _hole(child)
        return made

    def _array(self, node: Node, depth: int) -> Any:
        inner = [child for child in node.named_children if child.type != "comment"]
        if any(child.type == "spread_element" for child in inner):
            return _hole(node)
        return [self._value(child, depth) for child in inner]

    def _negative(self, node: Node, depth: int) -> Any:
        value = self._value(node.child_by_field_name("argument"), depth)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return _hole(node)
        return -value if source(node).startswith("-") else _hole(node)

    def _call(self, node: Node, depth: int) -> Any:
        called = node.child_by_field_name("function")
        name, given = source(called), arguments_of(node)
        tagged = node.child_by_field_name("arguments")
        if tagged is not None and tagged.type == "template_string" and name.endswith(".url"):
            return self._template(tagged, depth)
        if not given:
            return _hole(node)
        if name == "JSON.stringify" and (len(given) == 1 or source(given[1]) == "null"):
            value = self._value(given[0], depth)
            return value if isinstance(value, Hole) else Json(value)
        if name == "Object.assign":
            every = [self._value(each, depth) for each in given]
            whole = all(isinstance(each, dict) for each in every)
            return {k: v for each in every for k, v in each.items()} if whole else _hole(node)
        if name in ("Object.freeze", "String"):
            value = self._value(given[0], depth)
            return value if name == "Object.freeze" else _text(_as_text(value, node))
        return _hole(node)


_READERS: Mapping[str, Callable[[ScriptValues, Node, int], Any]] = {
    "string": ScriptValues._string,
    "template_string": ScriptValues._template,
    "number": ScriptValues._number,
    "identifier": ScriptValues._name,
    "undefined": ScriptValues._literal,
    "true": ScriptValues._literal,
    "false": ScriptValues._literal,
    "null": ScriptValues._literal,
    "member_expression": ScriptValues._member,
    "subscript_expression": ScriptValues._member,
    "binary_expression": ScriptValues._binary,
    "ternary_expression": ScriptValues._ternary,
    "object": ScriptValues._object,
    "array": ScriptValues._array,
    "unary_expression": ScriptValues._negative,
    "call_expression": ScriptValues._call,
}


def text_with_holes(value: Any, node: Node) -> Text:
    """A value as the string that it becomes where it is joined to one."""
    return _text(_as_text(value, node))


def _hole(node: Node) -> Hole:
    return Hole(_word(source(node)), line_of(node), shown(node))


def _word(text: str) -> str:
    """A name for what an expression stands for: its last word, as a column may be called."""
    end = re.search(r"([A-Za-z_][A-Za-z0-9_]{0,39})$", text.strip())
    words = [end[1]] if end else re.findall(r"[A-Za-z_][A-Za-z0-9_]{0,39}", text.partition("(")[0])
    return words[-1] if words else "value"


def _only_hole(value: Any) -> Hole | None:
    """The hole that a string is, when it is nothing else."""
    holes = [part for part in value if part != ""] if isinstance(value, tuple) else []
    return holes[0] if len(holes) == 1 and isinstance(holes[0], Hole) else None


def _as_text(value: Any, node: Node) -> list[str | Hole]:
    if isinstance(value, tuple):
        return [*value]
    if isinstance(value, Hole):
        return [value]
    if value is None or isinstance(value, bool):
        return [str(value).lower().replace("none", "null")]
    return [str(value)] if isinstance(value, int | float) else [_hole(node)]


def _text(parts: list[str | Hole]) -> Text:
    """The parts with neighbouring strings joined."""
    joined: list[str | Hole] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return tuple(joined)


def _unescaped(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        if code is None:
            return _CONTROLS.get(match[4], match[4])
        number = int(code, 16)
        return chr(number) if number < 0x110000 else "\ufffd"

    text = _ESCAPE.sub(char, text)
    # Halves of a pair that stand beside each other are one character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _key_of(node: Node) -> str | None:
    """The name of a property: of an object's pair, or after a dot, or in brackets."""
    key = node.child_by_field_name("key") or node.child_by_field_name("property")
    key = key or node.child_by_field_name("index")
    if key is None:
        return None
    if key.type == "computed_property_name":
        key = key.named_children[0] if key.named_children else key
    if key.type == "string":
        return _unescaped(source(key)[1:-1])
    in_brackets = node.type == "subscript_expression" or key.parent.type == "computed_property_name"
    if key.type == "number" or (key.type == "property_identifier" and not in_brackets):
        return source(key)
    return None
