"""How tables are named, in code and in schemas."""

from __future__ import annotations

TABLE_DECLARATION = "table declaration"  # the detail of a class that declares a table


def table_symbols(table: str) -> set[str]:
    """The ways a table is named: with and without schema or application, one or many.

    `shop_items` is also `items` and `item`.
    """
    name = table.lower().rpartition(".")[2].strip('`"[]')
    names = {name, name.rpartition("_")[2]}
    return {f"model:{n}" for n in names} | {f"model:{n.removesuffix('s')}" for n in names}
