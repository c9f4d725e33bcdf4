"""Who decides that a request is refused: the function with the test whose branch writes the status,
or the one that it plainly asks. A wrong name costs more than none: where two may be, or the code
does not say, there are but candidates.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import NamedTuple

from perfhunt.analysis.blame.frames import FunctionKey
from perfhunt.analysis.diagnosis.answer.refusal.definitions import (
    CodeDefinition,
    CodeDefinitions,
    dotted,
    last_name,
    parsed,
)
from perfhunt.analysis.diagnosis.answer.refusal.delegation import Delegation
from perfhunt.analysis.diagnosis.answer.refusal.meaning import MeaningKind, Meanings
from perfhunt.analysis.diagnosis.answer.refusal.places import (
    Asked,
    BranchAsked,
    CodePlace,
    Excepted,
    RefusalPlaces,
    all_asked,
    places_in,
)
from perfhunt.analysis.diagnosis.answer.refusal.routes import Routes

# Calls from where a status is written to where it is decided: a helper that makes the answer, the
# exception it is raised as, its handler.
_FARTHEST = 6
# Of exceptions that no code of the application raises, those that say that something is full here;
# a limit may be that of a service behind it.
_FULL = re.compile(r"(?:Queue)?Full|WouldBlock|BlockingIOError")
_LATE = re.compile(r"Timeout")
_HANDLING = re.compile(r"handler|^exception$")  # decorators of what answers an exception
_MAKING = frozenset({"__init__", "__new__"})
_TAKES_A_PLACE = frozenset({"acquire", "acquire_nowait", "put", "put_nowait"})
# Libraries that refuse by themselves, by the settings of the application.
_LIBRARIES = re.compile(
    r"(?:flask_limiter|slowapi|fastapi_limiter|django_ratelimit|ratelimit|quart_rate_limiter"
    r"|sanic_limiter|rest_framework\.throttling)(?:\..*)?"
)

_OF_UVICORN = "limit_concurrency"  # beyond it the server answers 503 itself


class Refusal(NamedTuple):
    """The function that decides to refuse, with the line to look at, and where the status is
    written: `home (/shop/app.py:27)`. `only` are those that were seen and run for what is refused,
    and for nothing else.
    """

    function: FunctionKey
    line: int
    written: str
    only: frozenset[FunctionKey] = frozenset()


class Candidates(NamedTuple):
    """Those that may decide, where the code does not settle who does, as `limit (/shop/app.py:9)`;
    and the files of the application that could not be read; `only` as for one that is settled.
    """

    places: tuple[str, ...]
    unread: tuple[str, ...]
    only: frozenset[FunctionKey] = frozenset()


@dataclass(frozen=True, slots=True)
class _Decider:
    """One that may decide. `sure`: the code says that it does."""

    function: FunctionKey
    line: int
    sure: bool


def refusal_in(
    sources: Mapping[str, str | None],
    status: int,
    paths: Collection[str] = (),
    seen: Collection[FunctionKey] = (),
) -> Refusal | Candidates | None:
    """Who answers with that status, by the texts of the application's files (None: could not
    be read), on the routes of these paths (none: on any); None where nothing is to be seen of it.
    `seen` are functions that may run for what is refused alone.
    """
    if status not in {s.value for s in HTTPStatus}:
        return None
    if not any(text is None or _mentions(text, status) for text in sources.values()):
        return None
    code = parsed(sources)
    try:
        return _Deciding.of(code, status, paths).answer(seen)
    except RecursionError:
        return Candidates((), tuple(code.files))


def _mentions(text: str, status: int) -> bool:
    """Whether a text holds the number or its words at all: most do not, and need not be parsed."""
    words = HTTPStatus(status).phrase.replace(" ", "[ _]?")
    library = "limiter|ratelimit|slowapi|throttl"
    return re.search(f"{status}|{words}|{library}|{_OF_UVICORN}", text, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class _Deciding:
    status: int
    code: CodeDefinitions
    names: Meanings
    places: RefusalPlaces
    routes: Routes
    delegation: Delegation
    known: dict[int, set[_Decider]]  # by the id of a place

    @staticmethod
    def of(code: CodeDefinitions, status: int, paths: Collection[str]) -> _Deciding:
        names, places = Meanings(code), places_in(code, status)
        return _Deciding(
            status=status,
            code=code,
            names=names,
            places=places,
            routes=Routes(code, places, paths),
            delegation=Delegation(code, names),
            known={},
        )

    def answer(self, seen: Collection[FunctionKey]) -> Refusal | Candidates | None:
        found: dict[FunctionKey, tuple[_Decider, CodePlace]] = {}
        for written in self.places.written:
            for decider in self._decided(written, 0):
                earlier = found.get(decider.function)
                if earlier is None or (earlier[0].sure and not decider.sure):
                    found[decider.function] = decider, written
        libraries, unread = sorted(self._libraries()), tuple(self.code.unread)
        if len(found) == 1 and not libraries and not unread:
            decider, written = next(iter(found.values()))
            if decider.sure:
                name = written.owner.name if written.owner is not None else ""
                where = f"{name} ({written.file}:{written.line})"
                only = self._only(seen) | ({decider.function} & {*seen})
                return Refusal(decider.function, decider.line, where, only)
        if not found and not libraries and not unread:
            return None
        named = [f"{d.function[0]} ({d.function[1]}:{d.line})" for d, _ in found.values()]
        return Candidates((*sorted(named), *libraries), unread, self._only(seen))

    def _only(self, seen: Collection[FunctionKey]) -> frozenset[FunctionKey]:
        """Those that are called where the status is written, and nowhere else."""
        branches = [written for written in self.places.written if self._decided(written, 0)]
        found: set[FunctionKey] = set()
        for name, file in seen:
            for function in self.code.by_name.get(name.rpartition(".")[2], ()):
                sites = self._sites(function) if function.file == file else []
                if sites and all(any(_is_within(s, b) for b in branches) for s in sites):
                    found.add((name, file))
        return frozenset(found)

    def _decided(self, place: CodePlace, steps: int) -> set[_Decider]:
        """Who decides that it comes to that place; not sure where that is on a route and nobody
        knows which one was asked.
        """
        owner = place.owner
        if owner is None or self.routes.is_elsewhere(owner) or self.routes.was_not_asked(place):
            return set()
        if id(place) not in self.known:
            self.known[id(place)] = set()  # for functions that call each other
            found = {_unsure(place)} if steps > _FARTHEST else self._by_owner(place, owner, steps)
            doubtful = self.routes.may_be_elsewhere(place)
            self.known[id(place)] = {replace(d, sure=d.sure and not doubtful) for d in found}
        return self.known[id(place)]

    def _by_owner(self, place: CodePlace, owner: CodeDefinition, steps: int) -> set[_Decider]:
        asked = place.asked
        if asked is None or owner.is_class:
            return self._before(place, owner, steps)
        if isinstance(asked, Excepted):
            return self._caught(place, asked, steps)
        if types := _types_asked(asked.test):
            return self._raised(place, types, steps)
        if self._handled(owner):
            return self._before(place, owner, steps)
        if self._is_parameter(asked.test, owner) and (sites := self._sites(owner)):
            return self._of_all(sites, steps)
        if self.delegation.reads_an_answer(asked.test, place):
            return {_unsure(place)}
        if to := self.delegation.decider(asked.test, place):
            return {_Decider(to.key, to.node.lineno, True)}
        return {_Decider(owner.key, place.line, True)}

    def _before(self, place: CodePlace, owner: CodeDefinition, steps: int) -> set[_Decider]:
        """Who decides that a function is called, or an exception raised, that always answers so."""
        made = owner.owner if owner.node.name in _MAKING else owner
        if made is not None and made.is_class:
            sites = self._made(made)
            unused = not self.places.users.get(made.node.name, set()) - {made}
            return self._of_all(sites, steps) if sites or unused else {_unsure(place)}
        handled = self._handled(owner)
        if any(isinstance(h, ast.Constant) for h in handled):
            return set()  # how an answer looks that somebody else decided on
        if handled:
            return self._raised(place, handled, steps)
        sites = self._sites(owner)
        if sites:
            return self._of_all(sites, steps)
        return set() if self._is_idle(owner) else {_unsure(place)}

    def _of_all(self, places: Iterable[CodePlace], steps: int) -> set[_Decider]:
        return {d for place in places for d in self._decided(place, steps + 1)}

    def _sites(self, function: CodeDefinition) -> list[CodePlace]:
        """Where a function is called, as far as can be told: by a name that could be another's,
        too.
        """
        sites = []
        for call, place in self.places.calls.get(function.node.name, ()):
            if place.owner is function:
                continue
            called = self.names.called(call, place.file, place.owner)
            may_be = called is None and isinstance(call.func, ast.Attribute) and function.owner
            if called is function or may_be:
                sites.append(place)
        return sites

    def _is_idle(self, function: CodeDefinition) -> bool:
        """Whether nobody is known to use it, or a route of its own does that is always answered so:
        what refuses some requests is none of these.
        """
        if self.routes.of(function):
            return True
        users = self.places.users.get(function.node.name, set()) - {function}
        plain = function.outer is None and not function.node.decorator_list
        return plain and not users

    def _made(self, owner: CodeDefinition) -> list[CodePlace]:
        """Where an exception or an answer of a class, or of one derived from it, is made."""
        family = {owner, *self.names.derived(owner)}
        raised = [
            place for exc, place in self.places.raised if self._class_of(exc, place) in family
        ]
        for each in family:
            for call, place in self.places.calls.get(each.node.name, ()):
                if self._class_of(call, place) in family and place not in raised:
                    raised.append(place)
        return raised

    def _class_of(self, exc: ast.expr, place: CodePlace) -> CodeDefinition | None:
        func = exc.func if isinstance(exc, ast.Call) else exc
        meaning = self.names.meaning(func, place.file, place.owner)
        if meaning is None or meaning.kind is not MeaningKind.CLASS:
            return None
        return meaning.of if isinstance(meaning.of, CodeDefinition) else None

    def _raised(self, place: CodePlace, types: Sequence[ast.expr], steps: int) -> set[_Decider]:
        """Who decides that one of these exceptions is raised; nobody that is known where it is a
        library's and the application does not raise it.
        """
        found: set[_Decider] = set()
        for each in types:
            ours = self._class_of(each, place)
            if ours is not None:
                sites = self._made(ours)
            else:
                name = last_name(each)
                sites = [p for exc, p in self.places.raised if name and _raises(exc) == name]
            found |= self._of_all(sites, steps) if sites else {_unsure(place)}
        return found

    def _caught(self, place: CodePlace, asked: Excepted, steps: int) -> set[_Decider]:
        found = self._raised(place, asked.types, steps)
        if not asked.types or found != {_unsure(place)}:
            return found or {_unsure(place)}
        calls = [c for s in asked.tried for c in ast.walk(s) if isinstance(c, ast.Call)]
        called = {self.names.called(call, place.file, place.owner) for call in calls} - {None}
        full = all(_FULL.fullmatch(last_name(t)) for t in asked.types)
        late = all(_LATE.search(last_name(t)) for t in asked.types)
        takes = any(last_name(call.func) in _TAKES_A_PLACE for call in calls)
        if called or not (full or (late and takes)):
            inside = {_Decider(d.key, d.node.lineno, False) for d in called if d is not None}
            return found | inside
        return {replace(_unsure(place), sure=True)}

    def _handled(self, function: CodeDefinition) -> list[ast.expr]:
        """The exceptions, or the status, that a function is registered as the handler of."""
        found = [
            arg
            for decorator in function.node.decorator_list
            if isinstance(decorator, ast.Call) and _HANDLING.search(last_name(decorator.func))
            for arg in decorator.args
        ]
        for name in ("add_exception_handler", "register_error_handler"):
            for call, _ in self.places.calls.get(name, ()):
                if last_name(call.args[-1] if call.args else None) == function.node.name:
                    found += call.args[:-1]
        return found

    def _is_parameter(self, test: ast.expr, owner: CodeDefinition) -> bool:
        bare = test.operand if isinstance(test, ast.UnaryOp) else test
        return isinstance(bare, ast.Name) and bare.id in {p.arg for p in owner.parameters}

    def _libraries(self) -> Iterator[str]:
        for file in self.code.files.values():
            for module, name, dots in file.imports.values():
                whole = f"{module}.{name}" if name else module
                if not dots and _LIBRARIES.fullmatch(whole):
                    yield f"{module} (a library, imported in {file.file})"
        for call, place in self.places.calls.get("run", ()):
            if any(k.arg == _OF_UVICORN for k in call.keywords):
                yield f"{_OF_UVICORN} of uvicorn ({place.file}:{place.line})"


def _unsure(place: CodePlace) -> _Decider:
    assert place.owner is not None
    return _Decider(place.owner.key, place.line, False)


def _is_within(site: CodePlace, branch: CodePlace) -> bool:
    """Whether a call is made on the way that the status is written on."""
    asked = branch.asked
    if site.owner is not branch.owner:
        return False
    return asked is None or any(_is_same(each, asked) for each in all_asked(site.asked))


def _is_same(one: BranchAsked, other: BranchAsked) -> bool:
    if isinstance(one, Asked) and isinstance(other, Asked):
        return one.test is other.test and one.side == other.side
    return one is other


def _raises(exc: ast.expr) -> str:
    return last_name(exc.func if isinstance(exc, ast.Call) else exc)


def _types_asked(test: ast.expr) -> list[ast.expr]:
    """The classes of `isinstance(error, Busy)`."""
    calls = [
        c for c in ast.walk(test) if isinstance(c, ast.Call) and dotted(c.func) == "isinstance"
    ]
    types = calls[0].args[1:2] if calls else []
    return [t for each in types for t in (each.elts if isinstance(each, ast.Tuple) else [each])]
