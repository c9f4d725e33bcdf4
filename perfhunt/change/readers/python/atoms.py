"""Atoms of edited Python files: functions whose code differs, constants, rebound imports; renames
and moves are seen through.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence

from perfhunt.change.readers.edit_shape import edit_shape
from perfhunt.change.readers.python.definitions import (
    STATEMENTS,
    Module,
    Renames,
    Unit,
    masked_text,
    parse_module,
)
from perfhunt.change.readers.python.renames import UnitPair, renames_of, same_but_parameters, simple
from perfhunt.change.readers.settings.forms import belongs_to, plain_name
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

# Methods of built-in types and of every other library: a call of one of these says nothing about
# who is called.
_COMMON = frozenset(
    name
    for kind in (dict, list, set, str, bytes, tuple, int, float, object, io.BytesIO, BaseException)
    for name in dir(kind)
) | {
    *(
        "acquire",
        "add",
        "all",
        "begin",
        "call",
        "close",
        "commit",
        "connect",
        "count",
        "create",
        "cursor",
        "delete",
        "execute",
    ),
    *(
        "fetch",
        "fetchall",
        "fetchone",
        "filter",
        "find",
        "first",
        "flush",
        "get",
        "handle",
        "init",
        "load",
        "main",
        "next",
        "one",
    ),
    *(
        "open",
        "order_by",
        "patch",
        "post",
        "process",
        "put",
        "query",
        "release",
        "render",
        "request",
        "rollback",
        "run",
        "save",
    ),
    *("scalar", "scalars", "select", "send", "set", "setup", "start", "stop", "submit", "update"),
}
_TYPING = ("typing.", "typing_extensions.", "collections.abc.", "__future__.")


def python_atoms(sources: Sequence[FileTexts]) -> FileAtoms:
    """The atoms of edited Python files, read together so that a move from one to another is
    seen.
    """
    readable, notes = _readable(sources)
    broken = tuple(_text_atom(s) for s in sources if s not in readable)
    plain = [(s, _modules(s, None)) for s in readable]
    renames = renames_of([p for s, (a, b) in plain for p in _pairs(s, a, b)])
    modules = [(s, _modules(s, renames)) for s in readable] if renames else plain
    pairs = [p for s, (a, b) in modules for p in _pairs(s, a, b, renames)]
    moved = _moved(pairs)
    atoms = [
        _atom(p, modules, new_classes=_new_classes(pairs)) for p in pairs if id(p) not in moved
    ]
    atoms += [
        a
        for s, (b, f) in modules
        for a in _rebound(s, b, f, {p.unit.name for p in pairs if id(p) in moved}, sources)
    ]
    ignored = [_gone(p, Edit.MOVED, "moved") for p in pairs if id(p) in moved and p.after]
    ignored += [
        Atom(Kind.IGNORED, "", new, Edit.RENAMED, f"renamed from {old}")
        for (_, old), new in renames.keywords.items()
    ]
    ignored += [
        Atom(Kind.IGNORED, "", new, Edit.RENAMED, f"renamed from {old}")
        for old, new in renames.names.items()
    ]
    edited = {a.file for a in (*atoms, *ignored)}
    ignored += [
        Atom(Kind.IGNORED, s.path, "", Edit.CHANGED, "same code")
        for s in readable
        if s.path not in edited
    ]
    return FileAtoms((*atoms, *broken), tuple(ignored), notes)


def _readable(sources: Sequence[FileTexts]) -> tuple[list[FileTexts], tuple[str, ...]]:
    good, notes = [], []
    for source in sources:
        try:
            for text in (source.before, source.after):
                ast.parse(text or "")
        except (SyntaxError, ValueError, RecursionError) as error:
            notes.append(
                f"{source.path} does not parse ({error}); the whole file counts as one edit"
            )
        else:
            good.append(source)
    return good, tuple(notes)


def _modules(source: FileTexts, renames: Renames | None) -> tuple[Module, Module]:
    before, after = source.before or "", source.after or ""
    return parse_module(source.path, before, renames, after), parse_module(
        source.path, after, beside=before
    )


def _pairs(
    source: FileTexts, before: Module, after: Module, renames: Renames | None = None
) -> Iterator[UnitPair]:
    """The units that differ, imports aside: those are judged by what they bind."""
    old = {u.name: u for u in before.units if u.sort not in ("import", "statement")}
    new = {u.name: u for u in after.units if u.sort not in ("import", "statement")}
    for name in dict.fromkeys([*old, *new]):
        a, b = old.get(name), new.get(name)
        if (
            a is None
            or b is None
            or (a.code != b.code and not (renames and same_but_parameters(a, b)))
        ):
            yield UnitPair(source, a, b)
    yield from _statement_pairs(source, before, after)


def _statement_pairs(source: FileTexts, before: Module, after: Module) -> Iterator[UnitPair]:
    """Unnamed module-level statements that were added, dropped or altered, paired in order."""
    old = [u for u in before.units if u.sort == "statement"]
    new = [u for u in after.units if u.sort == "statement"]
    gone = _left_over(old, Counter(u.code for u in new))
    fresh = _left_over(new, Counter(u.code for u in old))
    for index in range(max(len(gone), len(fresh))):
        yield UnitPair(
            source,
            gone[index] if index < len(gone) else None,
            fresh[index] if index < len(fresh) else None,
        )


def _left_over(units: Sequence[Unit], matched: Counter[str]) -> list[Unit]:
    left = []
    for unit in units:
        matched[unit.code] -= 1
        if matched[unit.code] < 0:
            left.append(unit)
    return left


def _moved(pairs: Sequence[UnitPair]) -> set[int]:
    """Ids of pairs that are the two ends of one move: same name and code, gone here and new
    there.
    """
    gone = {(simple(p.before), p.before.code): p for p in pairs if p.before and not p.after}
    found: set[int] = set()
    for pair in pairs:
        if pair.after and not pair.before and (simple(pair.after), pair.after.code) in gone:
            found |= {id(pair), id(gone[(simple(pair.after), pair.after.code)])}
    return found


def _new_classes(pairs: Sequence[UnitPair]) -> set[tuple[str, str]]:
    return {
        (p.source.path, p.unit.name)
        for p in pairs
        if p.unit.sort == "class" and p.edit != Edit.CHANGED
    }


def _atom(
    pair: UnitPair,
    modules: Sequence[tuple[FileTexts, tuple[Module, Module]]],
    new_classes: set[tuple[str, str]],
) -> Atom:
    unit, path = pair.unit, pair.source.path
    owner = unit.name.rpartition(".")[0]
    in_new_class = (path, owner) in new_classes
    uses = _uses(pair) + ([f"{path}::{owner}"] if in_new_class else [])
    modules_here = next(m for s, m in modules if s is pair.source)
    defines = _defines(pair, modules_here)
    return Atom(
        _kind(pair),
        path,
        unit.name,
        pair.edit,
        _schema_detail(pair),
        unit.first,
        (pair.before.first, pair.before.last) if pair.before else None,
        (pair.after.first, pair.after.last) if pair.after else None,
        _is_entry(pair, in_new_class),
        Links(
            tuple(sorted(defines)),
            tuple(sorted(set(uses) - set(defines))),
            _same_setting(pair),
            _shape(pair),
        ),
    )


def _is_entry(pair: UnitPair, in_new_class: bool) -> bool:
    """False for what is new (or gone) and can only act through code that names it."""
    unit = pair.unit
    if pair.edit == Edit.CHANGED or unit.decorated or unit.sort == "statement":
        return True
    if unit.sort == "function":
        return "." in unit.name and not in_new_class
    if unit.sort == "constant":
        return pair.source.settings or not unit.name.isidentifier()
    return unit.sort == "class" and _is_model(unit)


def _kind(pair: UnitPair) -> Kind:
    unit = pair.unit
    if unit.sort == "class" and _is_model(unit):
        return Kind.SCHEMA
    if pair.source.settings and unit.sort != "function":
        return Kind.CONFIG
    return Kind.CODE


def _is_model(unit: Unit) -> bool:
    """Whether a class body declares a database table (Django, SQLAlchemy, SQLModel, peewee)."""
    if "'__tablename__'" in unit.code:
        return True
    return any(
        b.endswith(("models.Model", "db.Model", "DeclarativeBase", "TimeStampedModel"))
        or b in ("Base", "Model")
        for b in unit.bases
    )


def _schema_detail(pair: UnitPair) -> str:
    return "table declaration" if pair.unit.sort == "class" and _is_model(pair.unit) else ""


def _uses(pair: UnitPair) -> list[str]:
    """Every symbol either side reads; attributes only when their name tells who is meant."""
    names = set(pair.before.names if pair.before else ()) | set(
        pair.after.names if pair.after else ()
    )
    found = [n for n in names if not n.startswith(".") or n[1:] not in _COMMON]
    before = pair.before.state if pair.before else Counter[str]()
    after = pair.after.state if pair.after else Counter[str]()
    touched = {key.partition("\t")[0] for key in {*before, *after} if before[key] != after[key]}
    return (
        found
        + [f"state:{n}" for n in touched]
        + (list(belongs_to(plain_name(pair.unit.name))) if _kind(pair) == Kind.CONFIG else [])
    )


def _same_setting(pair: UnitPair) -> tuple[str, ...]:
    """What a setting shares with the same one, given the same value, in another file."""
    if _kind(pair) != Kind.CONFIG or pair.after is None or not _value(pair.after):
        return ()
    return (f"setting={plain_name(pair.unit.name)}={_value(pair.after)}",)


def _value(unit: Unit) -> str:
    """The one literal a setting is given; empty when it is more than that."""
    literals = re.findall(r"Constant\(value=([^()]*?)\)", unit.code)
    return literals[0].strip("'\"") if len(literals) == 1 else ""


def _defines(pair: UnitPair, modules: tuple[Module, Module]) -> set[str]:
    unit, path = pair.unit, pair.source.path
    name = unit.name.partition("#")[0]
    dotted = path.removesuffix(".py").removesuffix("/__init__").split("/")
    made = (
        {name.rpartition(".")[0]}
        if name.endswith((".__init__", ".__new__", ".__post_init__"))
        else set()
    )  # called by its class
    names = {
        name,
        *made,
        *((unit.binds) if unit.sort in ("class", "constant", "statement") else ()),
    } - {STATEMENTS}
    found = {f"{path}::{n}" for n in names} | {
        ".".join([*dotted[i:], n]) for n in names for i in range(len(dotted))
    }
    found |= {f"{part}.{n}" for n in names for part in _package_names(dotted)}
    owner, _, simple = name.rpartition(".")
    if owner and simple not in _COMMON and unit.sort == "function":
        found.add(f".{simple}")
    for module in (
        modules
    ):  # `cache = Cache()` makes cache.get mean Cache.get, here and where cache is imported
        for instance in (
            i for i, made_by in module.instances.items() if owner and made_by == owner
        ):
            found |= {f"{path}::{instance}.{simple}"} | {
                ".".join([*dotted[i:], instance, simple]) for i in range(len(dotted))
            }
    return (
        found
        | {f"state:{s}" for s in _written(pair)}
        | {f"{how}:{n}" for n in names if pair.source.settings for how in ("setting", "text")}
    )


def _package_names(dotted: Sequence[str]) -> list[str]:
    """The packages around a module, which may hand its names on from their __init__."""
    return [".".join(dotted[i:j]) for j in range(1, len(dotted)) for i in range(j)]


def _written(pair: UnitPair) -> set[str]:
    """Names whose assignments this edit alters."""
    before = pair.before.writes if pair.before else Counter[str]()
    after = pair.after.writes if pair.after else Counter[str]()
    return {key.partition("\t")[0] for key in {*before, *after} if before[key] != after[key]}


def _shape(pair: UnitPair) -> str:
    if not (pair.before and pair.after):
        return ""
    return edit_shape(_tokens(masked_text(pair.before)), _tokens(masked_text(pair.after)))


def _tokens(code: str) -> list[str]:
    quiet = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    return [
        t.string
        for t in tokenize.generate_tokens(io.StringIO(code).readline)
        if t.type not in quiet
    ]


def _rebound(
    source: FileTexts, before: Module, after: Module, moved: set[str], sources: Sequence[FileTexts]
) -> Iterator[Atom]:
    """Imports that now bind the same name to something else (`import json` to `import orjson as
    json`).
    """
    ours = {s.path.removesuffix(".py").rpartition("/")[2] for s in sources}
    for name in before.imports.keys() & after.imports.keys():
        old, new = before.imports[name], after.imports[name]
        same_thing = old.rpartition(".")[2] == new.rpartition(".")[2]
        from_ours = bool(set(old.split(".")) & ours or set(new.split(".")) & ours)
        if (
            old == new
            or new.startswith(_TYPING)
            or (same_thing and (name in moved or from_ours))
            or _renamed_module(old, new, sources)
        ):
            continue
        used = (f"import:{old.partition('.')[0]}", f"import:{new.partition('.')[0]}")
        links = Links((f"{source.path}::{name}",), used, (), f"import {old} -> {new}")
        line = next((u.first for u in after.units if u.sort == "import" and name in u.binds), None)
        yield Atom(
            Kind.CODE,
            source.path,
            name,
            Edit.CHANGED,
            f"import {old} -> {new}",
            line,
            None,
            (line, line) if line else None,
            True,
            links,
        )


def _renamed_module(old: str, new: str, sources: Sequence[FileTexts]) -> bool:
    """Whether two origins are one module, or one thing in it, before and after its file was
    renamed.
    """
    for source in (s for s in sources if s.old_path not in ("", s.path)):
        was, now = (p.removesuffix(".py").replace("/", ".") for p in (source.old_path, source.path))
        for tail in ("", "." + old.rpartition(".")[2]):
            if f".{was}{tail}".endswith(f".{old}") and f".{now}{tail}".endswith(f".{new}"):
                return True
    return False


def _gone(pair: UnitPair, edit: Edit, why: str) -> Atom:
    return Atom(Kind.IGNORED, pair.source.path, pair.unit.name, edit, why, pair.unit.first)


def _text_atom(source: FileTexts) -> Atom:
    return Atom(Kind.CODE, source.path, "module-level text", source.edit)
