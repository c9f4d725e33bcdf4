"""The verbs and their options, read from the command line itself, as a page of Markdown."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer.main

from perfhunt.cli.app import app
from perfhunt.cli.verbs.table import VERBS

# What stands for the value of an option that names none itself.
_VALUES: dict[object, str] = {int: "N", float: "X", str: "TEXT", Path: "PATH"}


@dataclass(frozen=True)
class Parameter:
    """An option or an argument: its names ("--file", "-f"), what stands for its value ("": a
    switch), its help, its default ("": none to speak of), and the variable it is also read from.
    """

    names: tuple[str, ...]
    value: str
    help: str
    default: str
    variable: str

    @property
    def spelled(self) -> str:
        """As it is typed: `--file, -f PATH`."""
        return " ".join(filter(None, [", ".join(self.names), self.value]))

    @property
    def told(self) -> str:
        """Its help, with its default and its variable."""
        default = f"Default: {self.default}." if self.default else ""
        variable = f"Also read from ${self.variable}." if self.variable else ""
        said = self.help if self.help.endswith(".") else f"{self.help}."
        return " ".join(filter(None, [said, default, variable]))


@dataclass(frozen=True)
class VerbWords:
    """A verb as its page tells of it."""

    name: str
    short: str
    usage: str
    paragraphs: tuple[str, ...]
    arguments: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    example: str


def verbs() -> list[VerbWords]:
    """Every verb, in the order of --help."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return [_verb(name, command) for name, command in commands.items()]


def root_options() -> list[Parameter]:
    """The options before any verb."""
    root: Any = typer.main.get_command(app)
    return [_parameter(each, str, "") for each in root.params]


def _verb(name: str, command: Any) -> VerbWords:
    function = VERBS[name].function
    hints = typing.get_type_hints(function)
    defaults = inspect.signature(function).parameters
    arguments: list[Parameter] = []
    options: list[Parameter] = []
    for each in command.params:
        if getattr(each, "hidden", False):
            continue
        default = defaults[each.name].default
        told = _parameter(each, hints[each.name], _default(default))
        (options if each.opts[0].startswith("-") else arguments).append(told)
    words = [each.value for each in arguments]
    tail = ["-- COMMAND"] if VERBS[name].example else []
    return VerbWords(
        name=name,
        short=VERBS[name].short,
        usage=" ".join(["perfhunt", name, "[OPTIONS]", *words, *tail]),
        paragraphs=tuple(" ".join(p.split()) for p in (command.help or "").split("\n\n")),
        arguments=tuple(arguments),
        options=tuple(options),
        example=f"perfhunt {VERBS[name].example}" if VERBS[name].example else "",
    )


def _parameter(each: Any, hint: object, default: str) -> Parameter:
    is_option = each.opts[0].startswith("-")
    names = tuple(sorted(each.opts, key=len, reverse=True)) if is_option else ()
    value = "" if getattr(each, "is_flag", False) else (each.metavar or next(_values(hint)))
    return Parameter(names, value, " ".join((each.help or "").split()), default, each.envvar or "")


def _values(hint: object) -> Iterator[str]:
    """What stands for a value of a type, of those that it is made of."""
    if hint in _VALUES:
        yield _VALUES[hint]
    for inner in typing.get_args(hint):
        yield from _values(inner)


def _default(value: object) -> str:
    """A default as it is told; "" for what says nothing: none, off, empty."""
    plain = value is None or value is False or value is inspect.Parameter.empty
    return "" if plain or value == "" else str(value)


def page() -> str:
    """docs/reference/verbs.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Verbs and options"
    yield from (
        "",
        "Made from the command line by `scripts/docs`; `perfhunt VERB --help` says the same.",
        "",
    )
    yield from ("| verb | what it does |", "|---|---|")
    yield from (f"| [`{verb.name}`](#{verb.name}) | {cell(verb.short)} |" for verb in verbs())
    yield from ("", "Before any verb:", "", *_table(root_options()))
    for verb in verbs():
        yield from ("", f"## {verb.name}", "", f"    {verb.usage}")
        for paragraph in verb.paragraphs:
            yield from ("", text(paragraph))
        for parameters in (verb.arguments, verb.options):
            yield from ("", *_table(parameters)) if parameters else ()
        yield from ("", "Example:", "", f"    {verb.example}") if verb.example else ()


def _table(parameters: typing.Sequence[Parameter]) -> Iterator[str]:
    yield from ("| given | what it does |", "|---|---|")
    yield from (f"| `{cell(each.spelled)}` | {cell(text(each.told))} |" for each in parameters)


def cell(words: str) -> str:
    """Words as a cell of a table holds them."""
    return words.replace("|", "\\|")


def text(words: str) -> str:
    """Plain words in which nothing is markup, but for what stands between backquotes."""
    parts = words.split("`")
    for at in range(0, len(parts), 2):
        for mark in "*_[]<>":
            parts[at] = parts[at].replace(mark, f"\\{mark}")
    return "`".join(parts)
