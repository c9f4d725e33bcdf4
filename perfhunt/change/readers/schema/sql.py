"""SQL as statements: what each one does, and to which table, column or index."""

from __future__ import annotations

import re
from dataclasses import dataclass

from perfhunt.model.verdict.change import Links

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/|('(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\2\$)", re.S)
_SPLIT = re.compile(r"((?:'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\2\$|[^;'\"$]|\$)+)", re.S)
_UNDO = re.compile(
    r"^--\s*(\+goose\s+Down|migrate:down|\+migrate\s+Down|!Downs|rollback|down)\b.*",
    re.M | re.S | re.I,
)
_NAME = r"[`\"\[]?([\w.]+)[`\"\]]?"
_INDEX = re.compile(
    rf"create\s+(?:unique\s+)?index\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?(?:{_NAME}\s+)?on\s+(?:only\s+)?{_NAME}[^(]*\((.*)\)",
    re.S,
)
_QUERY = ("select", "with")
_NO_EFFECT = re.compile(
    r"(begin|commit|rollback|end|set\s|start\s+transaction|pragma\s+foreign_keys|lock\s|comment\s+on)",
    re.S,
)
_UPKEEP = re.compile(r"(analyze|vacuum|reindex)\b")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: its normal text, a title a person knows it by, and what ties it to others.

    `sort` is schema, query, rows (INSERT and the like), upkeep (ANALYZE) or none.
    """

    text: str
    title: str
    sort: str
    links: Links


def statements(text: str) -> tuple[Statement, ...]:
    """Every statement of a script, down-migrations left out."""
    forward = _UNDO.sub("", text)
    bare = _COMMENT.sub(lambda m: m[1] or " ", forward)
    found = (" ".join(m[0].split()) for m in _SPLIT.finditer(bare))
    return tuple(_statement(s) for s in found if s)


def table_symbols(table: str) -> set[str]:
    """The ways a table is named: with and without schema or application, one or many (`shop_items`,
    `items`, `item`).
    """
    name = table.lower().rpartition(".")[2].strip('`"[]')
    names = {name, name.rpartition("_")[2]}
    return {f"model:{n}" for n in names} | {f"model:{n.removesuffix('s')}" for n in names}


def _statement(text: str) -> Statement:
    lower = text.lower()
    index = _INDEX.match(lower)
    if index:
        return _index(text, index[1] or "", index[2], index[3])
    words = re.match(
        rf"(create|alter|drop)\s+(?:or\s+replace\s+)?(?:unlogged\s+|temporary\s+|temp\s+)?([a-z]+(?:\s+view)?)\s+(?:concurrently\s+)?"
        rf"(?:if\s+(?:not\s+)?exists\s+)?(?:only\s+)?{_NAME}",
        lower,
    )
    if words:
        return _object(text, words[1], words[2], words[3])
    rows = re.match(
        rf"(insert\s+(?:ignore\s+)?into|update|delete\s+from|copy|truncate(?:\s+table)?|replace\s+into)\s+(?:only\s+)?{_NAME}",
        lower,
    )
    if rows:
        title = f"{rows[1]} {rows[2]}"
        return Statement(
            text, title, "rows", Links((), (f"newtable:{rows[2]}",), (f"table:{rows[2]}",))
        )
    if lower.startswith(_QUERY):
        return Statement(text, " ".join(text.split()[:4]), "query", Links())
    sort = "none" if _NO_EFFECT.match(lower) else "upkeep" if _UPKEEP.match(lower) else "schema"
    return Statement(text, " ".join(text.split()[:4]), sort, Links())


def _index(text: str, name: str, table: str, columns: str) -> Statement:
    named = re.findall(r"[a-z_]\w*", columns)
    uses = {f"newtable:{table}", *(f"column:{table}.{c}" for c in named)} | table_symbols(table)
    return Statement(
        text,
        f"index {name or columns} on {table}",
        "schema",
        Links((f"index:{name}",), tuple(sorted(uses))),
    )


def _object(text: str, verb: str, sort: str, name: str) -> Statement:
    lower = text.lower()
    title = f"{verb} {sort} {name}"
    if sort == "index":
        return Statement(text, title, "schema", Links((), (f"index:{name}",)))
    if sort != "table":
        body = {f"newtable:{w}" for w in re.findall(r"[a-z_]\w*", lower)}
        return Statement(
            text,
            title,
            "schema",
            Links(
                (f"newtable:{name}",),
                tuple(sorted(body - {f"newtable:{name}"})),
                (f"object:{name}",),
            ),
        )
    columns = re.findall(
        rf"(?:add|alter|drop|modify|change|rename)\s+(?:column\s+)?(?:if\s+(?:not\s+)?exists\s+)?{_NAME}",
        lower,
    )
    defines = {f"column:{name}.{c}" for c in columns if c not in ("constraint", "index", "table")}
    references = {f"newtable:{t}" for t in re.findall(rf"references\s+{_NAME}", lower)}
    if verb == "create":
        defines.add(f"newtable:{name}")
    uses = (references | table_symbols(name)) - defines
    return Statement(
        text,
        title,
        "schema",
        Links(tuple(sorted(defines)), tuple(sorted(uses)), (f"table:{name}",)),
    )
