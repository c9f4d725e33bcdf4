"""SQL as statements, parsed by sqlglot: what each one does, and to which table, column or index."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from enum import StrEnum

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from perfhunt.change.readers.tables import table_symbols
from perfhunt.change.readers.texts import UNLINKED
from perfhunt.errors import Unreadable
from perfhunt.model.verdict.change import Links

# Files do not name their dialect: the one that understands most statements of a file is taken.
DIALECTS = ("postgres", "mysql", "sqlite", "tsql")

# sqlglot warns of every statement that it keeps as text; here that is no news.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

_DOWN = re.compile(
    r"^--\s*(\+goose\s+Down|migrate:down|\+migrate\s+Down|!Downs|rollback|down)\b.*",
    re.M | re.S | re.I,
)
_NO_EFFECT = re.compile(r"(begin|commit|rollback|end|set|start|lock|comment|pragma foreign_keys)\b")
_UPKEEP = re.compile(r"(analyze|vacuum|reindex)\b")
_ROWS: dict[type[exp.Expr], str] = {
    exp.Insert: "insert into",
    exp.Update: "update",
    exp.Delete: "delete from",
    exp.Merge: "merge into",
    exp.Copy: "copy",
    exp.TruncateTable: "truncate",
}


class StatementSort(StrEnum):
    """What a statement alters. UPKEEP is ANALYZE and the like; NOTHING is BEGIN and the like."""

    SCHEMA = "schema"
    QUERY = "query"
    ROWS = "rows"
    UPKEEP = "upkeep"
    NOTHING = "nothing"


class SqlError(Unreadable):
    """A text is SQL in no dialect that we know."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its normal text, a title a person knows it by, and what ties it to others."""

    text: str
    title: str
    sort: StatementSort
    links: Links = UNLINKED


def read_statements(*scripts: str) -> list[list[Statement]]:
    """The statements of each script, all in one dialect, down-migrations left out.

    Raises SqlError when no dialect fits.
    """
    readings: list[tuple[int, str, list[list[exp.Expr]]]] = []
    for dialect in DIALECTS:
        reading = _parsed(dialect, scripts)
        readings += [reading] if reading is not None else []
        if readings and readings[-1][0] == 0:  # All is understood: no other does better.
            break
    if not readings:
        raise SqlError(f"it is SQL in no dialect of {', '.join(DIALECTS)}")
    _, dialect, parsed = min(readings, key=lambda r: r[0])
    return [[_statement(tree, dialect) for tree in trees] for trees in parsed]


def _parsed(dialect: str, scripts: tuple[str, ...]) -> tuple[int, str, list[list[exp.Expr]]] | None:
    """The trees of each script, and how many of them were not understood; None without a parse."""
    try:
        read = [sqlglot.parse(_DOWN.sub("", script), dialect=dialect) for script in scripts]
    except (SqlglotError, RecursionError):
        return None
    parsed = [[t for t in trees if t and not isinstance(t, exp.Semicolon)] for trees in read]
    unread = sum(isinstance(tree, exp.Command) for trees in parsed for tree in trees)
    return unread, dialect, parsed


def same_tokens(before: str, after: str) -> bool:
    """Whether two texts that do not parse differ in layout and comments only."""
    try:
        old, new = ([t.text for t in sqlglot.tokenize(text)] for text in (before, after))
    except SqlglotError:
        return False
    return old == new


def _statement(tree: exp.Expr, dialect: str) -> Statement:
    text = tree.sql(dialect=dialect, comments=False)
    lower = text.lower()
    if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Index):
        return _index(text, tree.this)
    if isinstance(tree, exp.Create | exp.Alter | exp.Drop):
        return _object(text, tree)
    if type(tree) in _ROWS:
        table = _name(tree.find(exp.Table))
        links = Links((), (f"newtable:{table}",), (f"table:{table}",))
        return Statement(text, f"{_ROWS[type(tree)]} {table}", StatementSort.ROWS, links)
    sort = StatementSort.SCHEMA
    if isinstance(tree, exp.Query):
        sort = StatementSort.QUERY
    elif _NO_EFFECT.match(lower):
        sort = StatementSort.NOTHING
    elif _UPKEEP.match(lower):
        sort = StatementSort.UPKEEP
    return Statement(text, beginning(text), sort)


def beginning(text: str) -> str:
    """What a statement without a name is called: its first words."""
    return " ".join(text.split()[:4])


def _name(named: exp.Expr | None) -> str:
    """The name of a table with its schema, or of another object, in small letters."""
    if isinstance(named, exp.Table):
        return ".".join(part.name for part in named.parts).lower()
    return named.name.lower() if named else ""


def _index(text: str, index: exp.Index) -> Statement:
    name, table = index.name.lower(), _name(index.find(exp.Table))
    columns = [column.name.lower() for column in index.find_all(exp.Column)]
    uses = {f"newtable:{table}", *(f"column:{table}.{c}" for c in columns)} | table_symbols(table)
    links = Links((f"index:{name}",), tuple(sorted(uses)))
    return Statement(
        text, f"index {name or ', '.join(columns)} on {table}", StatementSort.SCHEMA, links
    )


def _object(text: str, tree: exp.Expr) -> Statement:
    """CREATE, ALTER or DROP of anything; a table's columns are named one by one when altered."""
    verb, kind = type(tree).__name__.lower(), str(tree.args.get("kind") or "").lower()
    name = _name(tree.find(exp.Table, exp.Identifier))
    defines: set[str] = set()
    touches: tuple[str, ...] = ()
    if kind == "index":
        uses = {f"index:{name}"}
    elif kind == "table":
        others = {_name(table) for table in tree.find_all(exp.Table)} - {name}
        uses = {f"newtable:{other}" for other in others} | table_symbols(name)
        if isinstance(tree, exp.Alter):
            columns = tree.find_all(exp.ColumnDef, exp.Column)
            defines = {f"column:{name}.{column.name.lower()}" for column in columns}
        elif isinstance(tree, exp.Create):
            defines = {f"newtable:{name}"}
        touches = (f"table:{name}",)
    else:  # a view, a function, a trigger: every word in its body may be a table
        defines = {f"newtable:{name}"}
        uses = {f"newtable:{word}" for word in re.findall(r"[a-z_]\w*", text.lower())}
        touches = (f"object:{name}",)
    links = Links(tuple(sorted(defines)), tuple(sorted(uses - defines)), touches)
    return Statement(text, f"{verb} {kind} {name}", StatementSort.SCHEMA, links)
