"""Atoms of SQL scripts and of migrations: one per statement or operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from perfhunt.change.readers.schema.migrations import operations
from perfhunt.change.readers.schema.sql import (
    SqlError,
    Statement,
    StatementSort,
    read_statements,
    same_tokens,
)
from perfhunt.change.readers.texts import FileAtoms, FileTexts, no_change, one_atom
from perfhunt.errors import Unreadable
from perfhunt.model.verdict.change import Atom, Edit, Kind

# Every other sort is schema.
_KINDS = {StatementSort.QUERY: Kind.CODE, StatementSort.ROWS: Kind.DATA}


def schema_atoms(texts: FileTexts) -> FileAtoms:
    """The statements that were added, dropped or altered."""
    if ".down." in texts.path or texts.path.endswith("_down.sql"):
        return no_change(texts, "the way back of a migration")
    old, new = texts.before or "", texts.after or ""
    try:
        if texts.path.endswith(".py"):
            before, after = list(operations(old)), list(operations(new))
        else:
            before, after = read_statements(old, new)
    except Unreadable as error:
        if isinstance(error, SqlError) and same_tokens(old, new):
            return no_change(texts, "same statements")
        return one_atom(texts, Kind.SCHEMA, "", f"{texts.path} does not parse ({error})")
    atoms = tuple(_atoms(texts, _effective(before), _effective(after)))
    return FileAtoms(atoms) if atoms else no_change(texts, "same statements")


def _effective(statements: Sequence[Statement]) -> list[Statement]:
    """Statements that alter something; upkeep counts only where there is nothing else."""
    idle = (StatementSort.NOTHING, StatementSort.UPKEEP)
    effective = [s for s in statements if s.sort not in idle]
    return effective or [s for s in statements if s.sort == StatementSort.UPKEEP]


def _atoms(
    texts: FileTexts, before: Sequence[Statement], after: Sequence[Statement]
) -> Iterator[Atom]:
    old, new = Counter(s.text for s in before), Counter(s.text for s in after)
    gone = {s.title: s for s in before if old[s.text] > new[s.text]}
    migrating = any(s.sort == StatementSort.SCHEMA for s in (*before, *after))
    for statement in after:
        if new[statement.text] > old[statement.text]:
            was = statement.title
            if was not in gone and statement.sort == StatementSort.QUERY:
                # Queries have no name: one that is gone was rewritten into the next new one.
                was = next(
                    (title for title, s in gone.items() if s.sort == StatementSort.QUERY), ""
                )
            edit = Edit.CHANGED if gone.pop(was, None) else Edit.ADDED
            yield _atom(texts, statement, edit, migrating)
    for statement in gone.values():
        yield _atom(texts, statement, Edit.REMOVED, migrating)


def _atom(texts: FileTexts, statement: Statement, edit: Edit, migrating: bool) -> Atom:
    kind = _KINDS.get(statement.sort, Kind.SCHEMA)
    if statement.sort == StatementSort.ROWS and (migrating or texts.path.endswith(".py")):
        kind = Kind.SCHEMA  # a backfill belongs to its migration
    return Atom(kind, texts.path, statement.title, edit, links=statement.links)
