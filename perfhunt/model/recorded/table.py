"""A `[[traffic]]` table as the text of a test file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from perfhunt.model.text.escaping import toml_text, visible

# What stands where no traffic may be sent before a person has chosen some: no request, so the
# file is refused.
NONE_CHOSEN = """\
# Nothing below is sent before you say so: uncomment what may be, and delete this table.
[[traffic]]
request = "___"
"""


@dataclass(frozen=True, slots=True)
class TrafficTable:
    """One `[[traffic]]` table. `remarks` stand above it as comments; one that is `asleep` is a
    comment as a whole, for a person to wake.
    """

    name: str
    request: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    weight: int = 1
    feed: str = ""
    statuses: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    asleep: bool = False

    def toml(self, name: str) -> str:
        """Its text, with a name that no other has."""
        lines = [f"# {visible(remark)}" for remark in self.remarks]
        lines += [
            "[[traffic]]",
            f"name = {toml_text(name)}",
            f"request = {toml_text(self.request)}",
        ]
        if self.feed:
            lines.append(f"feed = {toml_text(self.feed)}")
        if self.headers:
            pairs = ", ".join(f"{toml_text(k)} = {toml_text(v)}" for k, v in self.headers)
            lines.append(f"headers = {{ {pairs} }}")
        if self.body:
            lines.append(f"body = {toml_text(self.body)}")
        if self.statuses:
            lines.append(f"expect = {{ status = [{', '.join(map(str, self.statuses))}] }}")
        lines.append(f"weight = {self.weight}")
        if self.asleep:
            lines = [line if line.startswith("# ") else f"# {line}" for line in lines]
        return "\n".join([*lines, ""])


def tables_toml(tables: Iterable[TrafficTable]) -> str:
    """The tables one below the other; those of one name are numbered."""
    return "\n".join(_named(tables))


def _named(tables: Iterable[TrafficTable]) -> Iterator[str]:
    names: Counter[str] = Counter()
    for table in tables:
        names[table.name] += 1
        n = names[table.name]
        yield table.toml(table.name if n == 1 else f"{table.name} #{n}")
