"""Which statuses a script expects: `check(res, { "created": (r) => r.status === 201 })`."""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.model.recorded.k6.syntax import (
    FUNCTIONS,
    Node,
    arguments_of,
    bare,
    function_around,
    source,
    walked,
)

_EQUAL = ("===", "==")
_STATUSES = range(100, 600)
# By function and name, where in the text it is given which value.
_Given = dict[tuple[int, str], list[tuple[int, Node]]]


def expected_statuses(root: Node) -> dict[int, frozenset[int]]:
    """The statuses that checks ask of the answer to a call, by the call's node; a call of which
    checks ask several things at once that no status is, has none.
    """
    given = _given(root)
    expected: dict[int, frozenset[int]] = {}
    for node in walked(root):
        if node.type != "call_expression" or not _is_check(node):
            continue
        arguments = arguments_of(node)
        call = _answered(arguments[0], given) if len(arguments) > 1 else None
        if call is None or bare(arguments[1]) is None:
            continue
        for statuses in _asked(bare(arguments[1])):
            expected[call.id] = expected.get(call.id, statuses) & statuses
    return expected


def _is_check(call: Node) -> bool:
    called = call.child_by_field_name("function")
    return called is not None and source(called).rpartition(".")[2] == "check"


def _given(root: Node) -> _Given:
    given: _Given = {}
    for node in walked(root):
        if node.type == "variable_declarator":
            name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        elif node.type == "assignment_expression":
            name, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        else:
            continue
        if name is not None and value is not None and name.type == "identifier":
            place = given.setdefault((_home(node), source(name)), [])
            place.append((node.start_byte, value))
    return given


def _home(node: Node) -> int:
    around = function_around(node)
    return around.id if around is not None else 0


def _answered(node: Node, given: _Given) -> Node | None:
    """The call whose answer an expression is: itself, or what a name was given last before."""
    node = bare(node)
    if node is not None and node.type == "identifier":
        before = [
            value
            for at, value in given.get((_home(node), source(node)), ())
            if at < node.start_byte
        ]
        node = bare(before[-1]) if before else None
    return node if node is not None and node.type == "call_expression" else None


def _asked(checks: Node) -> Iterator[frozenset[int]]:
    for pair in checks.named_children if checks.type == "object" else ():
        function = pair.child_by_field_name("value") if pair.type == "pair" else pair
        if function is None or function.type not in FUNCTIONS:
            continue
        given = function.child_by_field_name("parameters")
        given = given or function.child_by_field_name("parameter")
        names = [each for each in walked(given) if each.type == "identifier"] if given else []
        result = _result(function.child_by_field_name("body"))
        if names and result is not None:
            statuses = _statuses(result, f"{source(names[0])}.status", 0)
            if statuses:
                yield statuses


def _result(body: Node | None) -> Node | None:
    """What a function returns, where its body is that alone."""
    if body is None or body.type != "statement_block":
        return bare(body)
    statements = [each for each in body.named_children if each.type != "comment"]
    if len(statements) != 1 or statements[0].type != "return_statement":
        return None
    returned = statements[0].named_children
    return bare(returned[0]) if returned else None


def _statuses(node: Node | None, status: str, depth: int) -> frozenset[int] | None:
    """The statuses for which an expression can be true; None where it says nothing of them."""
    node = bare(node)
    if node is None or depth > 20:  # nobody asks for more in one expression
        return None
    if node.type == "call_expression":
        return _included(node, status)
    if node.type != "binary_expression":
        return None
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    sign = source(node.child_by_field_name("operator"))
    if sign in _EQUAL:
        for one, other in ((left, right), (right, left)):
            if source(one) == status:
                return _numbers([other])
    if sign not in ("||", "&&"):
        return None
    first, second = _statuses(left, status, depth + 1), _statuses(right, status, depth + 1)
    if sign == "||":
        return first | second if first is not None and second is not None else None
    return first & second if first is not None and second is not None else first or second


def _included(call: Node, status: str) -> frozenset[int] | None:
    """`[200, 201].includes(r.status)`."""
    called, given = call.child_by_field_name("function"), arguments_of(call)
    holder = called.child_by_field_name("object") if called is not None else None
    if holder is None or holder.type != "array" or [source(each) for each in given] != [status]:
        return None
    return _numbers(holder.named_children) if source(called).endswith(".includes") else None


def _numbers(nodes: list[Node]) -> frozenset[int] | None:
    texts = [source(node) for node in nodes]
    if not all(text.isascii() and text.isdigit() and len(text) == 3 for text in texts):
        return None
    statuses = frozenset(map(int, texts))
    return statuses if all(code in _STATUSES for code in statuses) else None
