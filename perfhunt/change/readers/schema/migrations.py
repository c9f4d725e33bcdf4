"""Migrations written in Python, for Django and for Alembic, as statements: one per operation."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from perfhunt.change.readers.schema.sql import (
    SqlError,
    Statement,
    StatementSort,
    beginning,
    read_statements,
)
from perfhunt.change.readers.tables import table_symbols
from perfhunt.model.document.bounded import python_tree
from perfhunt.model.verdict.change import Links

_NEW_INDEXES = ("AddIndex", "create_index", "AddIndexConcurrently")
_OLD_INDEXES = ("RemoveIndex", "drop_index", "RemoveIndexConcurrently", "RenameIndex")
_CREATES = ("CreateModel", "create_table")
_NO_OPERATIONS = ("f", "get_bind", "get_context", "batch_alter_table")
_ALEMBIC = ("op.", "batch_op.", "batch.")


def operations(text: str) -> Iterator[Statement]:
    """The operations of a Django migration, or the calls of op in an Alembic one's upgrade.

    Raises Unreadable when the text is no Python.
    """
    for node in python_tree(text, "its Python").body:
        if isinstance(node, ast.ClassDef) and node.name == "Migration":
            assigned = (s for s in node.body if isinstance(s, ast.Assign))
            lists = (s.value for s in assigned if ast.unparse(s.targets[0]) == "operations")
            for listed in lists:
                if isinstance(listed, ast.List | ast.Tuple):
                    for call in _calls(listed.elts):
                        yield from _operation(call)
        elif isinstance(node, ast.FunctionDef) and node.name == "upgrade":
            calls = list(_calls(ast.walk(node)))
            batches = (c for c in calls if ast.unparse(c.func) == "op.batch_alter_table" and c.args)
            batch = next((text for call in batches for text in _texts(call.args[0])), "")
            for call in calls:
                if ast.unparse(call.func).startswith(_ALEMBIC):
                    yield from _operation(call, batch)


def _calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (node for node in nodes if isinstance(node, ast.Call))


def _texts(node: ast.AST) -> list[str]:
    constants = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def _operation(call: ast.Call, batch: str = "") -> Iterator[Statement]:
    """What one call does; `batch` is the table of Alembic's batch_alter_table."""
    name, texts = ast.unparse(call.func).rpartition(".")[2], _texts(call)
    if name in ("RunSQL", "execute"):
        given = _texts(call.args[0]) if call.args else []
        yield from _sql(given[0] if given else ast.unparse(call))
    elif name not in _NO_OPERATIONS:
        table = _table(call, name, texts, batch)
        title = f"{name} {' '.join(texts[:2])}".strip()
        yield Statement(ast.dump(call), title, StatementSort.SCHEMA, _links(name, table, texts))


def _sql(text: str) -> list[Statement]:
    try:
        return read_statements(text)[0]
    except SqlError:
        return [Statement(" ".join(text.split()), beginning(text), StatementSort.SCHEMA)]


def _table(call: ast.Call, name: str, texts: Sequence[str], batch: str) -> str:
    """The table an operation is about, in small letters."""
    keywords = [k.value for k in call.keywords if k.arg in ("model_name", "table_name")]
    named = [text for value in keywords for text in _texts(value)]
    if not named and batch:
        named = [batch]
    if not named and name == "create_index" and len(call.args) > 1:  # the index, then its table
        named = _texts(call.args[1])
    return next(iter((*named, *texts)), "").lower()


def _links(name: str, table: str, texts: Sequence[str]) -> Links:
    columns = tuple(f"column:{table}.{t.lower()}" for t in texts if t.lower() != table)
    uses = tuple(sorted({f"newtable:{table}", *table_symbols(table)}))
    touches = (f"table:{table}",)
    if name in (*_NEW_INDEXES, *_OLD_INDEXES):
        indexes = tuple(f"index:{text.lower()}" for text in texts[:2])
        defines = indexes if name in _NEW_INDEXES else ()
        return Links(defines, (*columns, *uses), () if indexes else touches)
    if name in _CREATES:
        return Links((f"newtable:{table}",), tuple(sorted(table_symbols(table))), touches)
    return Links(columns[:1], uses, touches)
