"""Whether a test hands its decision on to one function of the application, and to which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    FUNCTIONS,
    CodeDefinition,
    CodeDefinitions,
    Given,
    statements_in,
)
from perfhunt.analysis.diagnosis.answer.refusal.meaning import Meanings
from perfhunt.analysis.diagnosis.answer.refusal.places import CodePlace

# Functions that ask another one in turn: longer ways are not followed.
_FARTHEST = 4
# What is read of somebody else's answer: who decided is elsewhere.
_OF_AN_ANSWER = re.compile(r"status|status_code|ok|is_(?:error|success|server_error)")


@dataclass(frozen=True, slots=True)
class _Value:
    """A call that a value is of, as far as a test goes by it: `part` of a tuple, or what is left
    of something (`level`), compared with nothing left.
    """

    call: ast.Call
    part: int | None
    level: bool


@dataclass(frozen=True, slots=True)
class Delegation:
    """Follows tests to the functions that decide them."""

    code: CodeDefinitions
    names: Meanings

    def decider(self, test: ast.expr, place: CodePlace) -> CodeDefinition | None:
        """The function that a test does nothing but ask, and that compares something or says which
        of two it is; None where the test itself compares, or asks more than one.
        """
        value = self._value(test, place)
        if value is None:
            return None
        return self._holding(self.names.called(value.call, place.file, place.owner), value, 0)

    def reads_an_answer(self, test: ast.expr, place: CodePlace) -> bool:
        """Whether a test reads what another service answered to a call of this function."""
        for node in ast.walk(test):
            if isinstance(node, ast.Attribute) and _OF_AN_ANSWER.fullmatch(node.attr):
                of = node.value
                if isinstance(of, ast.Name) and self.names.given_to(of.id, place.owner):
                    return True
        return False

    def _value(self, test: ast.expr, place: CodePlace, level: bool = False) -> _Value | None:
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._value(operand, place, level)
            case ast.Await(value=value) | ast.NamedExpr(value=value):
                return self._value(value, place, level)
            case ast.BoolOp(values=values):
                asking = [v for v in values if not _is_flag(v)]
                return self._value(asking[0], place, level) if len(asking) == 1 else None
            case ast.Compare(left=left, comparators=[ast.Constant(value=limit)]):
                known = isinstance(limit, int) and limit == 0
                return (
                    self._value(left, place, not isinstance(limit, bool))
                    if known or isinstance(limit, bool)
                    else None
                )
            case ast.Call():
                return _Value(test, None, level)
            case ast.Name():
                return self._of_variable(test, place, level)
        return None

    def _of_variable(self, name: ast.Name, place: CodePlace, level: bool) -> _Value | None:
        """Of the value that a variable was given last before the test."""
        given = self.names.given_to(name.id, place.owner)
        earlier = [g for g in given if g.line <= name.lineno]
        last = max(earlier, key=lambda g: g.line, default=Given(0, None))
        value = last.value.value if isinstance(last.value, ast.Await) else last.value
        if not isinstance(value, ast.Call):
            return None
        return _Value(value, last.part, level)

    def _holding(
        self, function: CodeDefinition | None, value: _Value, steps: int
    ) -> CodeDefinition | None:
        if function is None or function.is_class or steps > _FARTHEST:
            return None
        if function.is_blank:
            return function
        body = list(statements_in(function.node.body))
        returned = [
            _part(s.value, value.part) for s in body if isinstance(s, ast.Return) and s.value
        ]
        asked = self._asked_in_turn(function, returned)
        if asked is not None:
            return self._holding(asked, value, steps + 1)
        says = bool(returned) and all(_says_which(each, value.level) for each in returned)
        return function if says and (value.level or _compares(body)) else None

    def _asked_in_turn(
        self, function: CodeDefinition, returned: list[ast.expr | None]
    ) -> CodeDefinition | None:
        """The function whose word is all that one returns."""
        if len(returned) != 1:
            return None
        node = returned[0]
        while isinstance(node, ast.Await | ast.UnaryOp):
            node = node.value if isinstance(node, ast.Await) else node.operand
        if not isinstance(node, ast.Call):
            return None
        return self.names.called(node, function.file, function)


def _is_flag(node: ast.expr) -> bool:
    """Whether it is no more than a setting: `ENABLED`, `not settings.debug`."""
    bare = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(bare, ast.Name | ast.Attribute | ast.Constant)


def _part(node: ast.expr | None, part: int | None) -> ast.expr | None:
    if part is None:
        return node
    return node.elts[part] if isinstance(node, ast.Tuple) and part < len(node.elts) else None


def _says_which(node: ast.expr | None, level: bool) -> bool:
    """Whether a value is one of two; or, of what is left, the outcome of a sum."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool) or (level and isinstance(node.value, int))
    if isinstance(node, ast.BoolOp):
        return any(_says_which(v, level) for v in node.values)
    if level:
        return isinstance(node, ast.BinOp | ast.Call)
    if isinstance(node, ast.Compare):
        return True
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _compares(body: list[ast.stmt]) -> bool:
    return any(_decides(node) for node in _inner(body))


def _decides(node: ast.AST) -> bool:
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    return isinstance(node, ast.Compare | ast.If | ast.IfExp | ast.Try)


def _inner(body: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in body:
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            yield from ast.walk(statement)
