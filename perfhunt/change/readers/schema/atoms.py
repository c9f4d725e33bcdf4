"""Atoms of SQL scripts and of migrations written in Python (Django, Alembic): one per statement or
operation.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from perfhunt.change.readers.schema.sql import Statement, statements, table_symbols
from perfhunt.change.readers.texts import FileAtoms, FileTexts
from perfhunt.model.verdict.change import Atom, Edit, Kind, Links

_INDEXES = (
    "AddIndex",
    "create_index",
    "AddIndexConcurrently",
    "RemoveIndex",
    "drop_index",
    "RemoveIndexConcurrently",
    "RenameIndex",
)
_CREATES = ("CreateModel", "create_table")
_NOTHING = ("f", "get_bind", "get_context", "batch_alter_table")
_KINDS = {"schema": Kind.SCHEMA, "query": Kind.CODE, "rows": Kind.DATA}


def schema_atoms(source: FileTexts) -> FileAtoms:
    """The statements that were added, dropped or altered."""
    if ".down." in source.path or source.path.endswith("_down.sql"):
        return FileAtoms(
            ignored=(
                Atom(Kind.IGNORED, source.path, "", source.edit, "the way back of a migration"),
            )
        )
    try:
        before, after = _statements(source, source.before), _statements(source, source.after)
    except SyntaxError as error:
        whole = Atom(Kind.SCHEMA, source.path, "", source.edit)
        return FileAtoms(
            (whole,),
            notes=(f"{source.path} does not parse ({error}); the whole file counts as one edit",),
        )
    atoms = tuple(_atoms(source, before, after))
    return (
        FileAtoms(atoms)
        if atoms
        else FileAtoms(
            ignored=(Atom(Kind.IGNORED, source.path, "", source.edit, "same statements"),)
        )
    )


def _statements(source: FileTexts, text: str | None) -> list[Statement]:
    if text is None:
        return []
    found = list(_operations(text)) if source.path.endswith(".py") else list(statements(text))
    effective = [s for s in found if s.sort not in ("none", "upkeep")]
    return effective or [s for s in found if s.sort == "upkeep"]


def _atoms(
    source: FileTexts, before: Sequence[Statement], after: Sequence[Statement]
) -> Iterator[Atom]:
    old, new = Counter(s.text for s in before), Counter(s.text for s in after)
    gone = {s.title: s for s in before if old[s.text] > new[s.text]}
    migrating = any(s.sort == "schema" for s in (*before, *after))
    for statement in after:
        if new[statement.text] > old[statement.text]:
            # Queries have no name of their own: one that is gone was rewritten into the next new
            # one.
            was = (
                statement.title
                if statement.title in gone
                else _first_query(gone)
                if statement.sort == "query"
                else ""
            )
            edit = Edit.CHANGED if gone.pop(was, None) else Edit.ADDED
            yield _atom(source, statement, edit, migrating)
    for statement in gone.values():
        yield _atom(source, statement, Edit.REMOVED, migrating)


def _first_query(gone: Mapping[str, Statement]) -> str:
    return next((title for title, s in gone.items() if s.sort == "query"), "")


def _atom(source: FileTexts, statement: Statement, edit: Edit, migrating: bool) -> Atom:
    kind = _KINDS.get(statement.sort, Kind.SCHEMA)
    if statement.sort == "rows" and (migrating or source.path.endswith(".py")):
        kind = Kind.SCHEMA  # a backfill belongs to its migration
    return Atom(kind, source.path, statement.title, edit, links=statement.links)


def _operations(text: str) -> Iterator[Statement]:
    """Operations of a Django migration (its `operations` list) or an Alembic one (calls of op in
    upgrade).
    """
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            listed = [
                s.value
                for s in node.body
                if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "operations"
            ]
            for call in (
                c for value in listed if isinstance(value, ast.List | ast.Tuple) for c in value.elts
            ):
                if isinstance(call, ast.Call):
                    yield from _operation(call)
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            calls = [
                c
                for c in ast.walk(node)
                if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute)
            ]
            for call in calls:
                if ast.unparse(call.func).startswith(("op.", "batch_op.", "batch.")):
                    yield from _operation(call, _batch_table(node))


def _batch_table(upgrade: ast.FunctionDef) -> str:
    for call in (c for c in ast.walk(upgrade) if isinstance(c, ast.Call)):
        if ast.unparse(call.func) == "op.batch_alter_table" and call.args:
            return _texts(call.args[0])[0]
    return ""


def _operation(call: ast.Call, batch: str = "") -> Iterator[Statement]:
    name = ast.unparse(call.func).rpartition(".")[2]
    texts = _texts(call)
    if name in ("RunSQL", "execute"):
        yield from statements(
            _texts(call.args[0])[0] if call.args and _texts(call.args[0]) else ast.unparse(call)
        )
        return
    if name in _NOTHING:
        return
    table = next(
        (
            _texts(k.value)[0]
            for k in call.keywords
            if k.arg in ("model_name", "table_name") and _texts(k.value)
        ),
        "",
    )
    if not table:
        second = _texts(call.args[1]) if name == "create_index" and len(call.args) > 1 else []
        table = batch or next(iter(second or texts), "")
    table = table.lower()
    yield Statement(
        ast.dump(call),
        f"{name} {' '.join(t for t in texts[:2])}".strip(),
        "schema",
        _links(name, table, texts),
    )


def _links(name: str, table: str, texts: Sequence[str]) -> Links:
    columns = tuple(f"column:{table}.{t.lower()}" for t in texts if t.lower() != table)
    if name in _INDEXES:
        named = tuple(f"index:{t.lower()}" for t in texts[:2])
        uses = (*columns, f"newtable:{table}", *table_symbols(table))
        return Links(
            named if name.lower().startswith(("add", "create")) else (),
            tuple(sorted(uses)),
            () if named else (f"table:{table}",),
        )
    if name in _CREATES:
        return Links(
            (f"newtable:{table}",), tuple(sorted(table_symbols(table))), (f"table:{table}",)
        )
    return Links(
        columns[:1], (f"newtable:{table}", *sorted(table_symbols(table))), (f"table:{table}",)
    )


def _texts(node: ast.AST) -> list[str]:
    return [
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ]
