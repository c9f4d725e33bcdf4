"""The man page, made from the command line."""

from __future__ import annotations

from collections.abc import Iterator

from docs_verbs import Parameter, VerbWords, root_options, verbs

from perfhunt.cli.app import app
from perfhunt.errors import EXIT_MEANINGS
from perfhunt.version import __version__


def page() -> str:
    """docs/perfhunt.1, in the macros of man(7)."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield '.\\" Made from the command line by scripts/docs.'
    yield f'.TH PERFHUNT 1 "" "perfhunt {roff(__version__)}" "User Commands"'
    yield from (".SH NAME", "perfhunt \\- find the load at which a service breaks its SLO, and why")
    yield from (".SH SYNOPSIS", "\\fBperfhunt\\fR \\fIVERB\\fR [\\fIOPTIONS\\fR] ...")
    yield ".SH DESCRIPTION"
    for n, paragraph in enumerate((app.info.help or "").split("\n\n")):
        yield from ([".PP"] if n else [])
        yield roff(" ".join(paragraph.split()))
    yield ".SH OPTIONS"
    for option in root_options():
        yield from _parameter(option)
    yield ".SH VERBS"
    for verb in verbs():
        yield from _verb(verb)
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_MEANINGS.items():
        yield from (".TP", f"\\fB{int(code)}\\fR", roff(meaning))
    yield from (".SH FILES", ".TP", "\\fIperfhunt.toml\\fR", "The test file: target, traffic, SLO.")
    yield from (".TP", "\\fI.perfhunt\\fR", "What was measured, a directory for each run.")
    yield from (".SH SEE ALSO", "\\fBpy\\-spy\\fR(1), \\fBperf\\fR(1), \\fBhyperfine\\fR(1)")


def _verb(verb: VerbWords) -> Iterator[str]:
    yield f'.SS "{roff(verb.name)}"'
    yield f"\\fB{roff(verb.usage)}\\fR"
    for paragraph in verb.paragraphs:
        yield from (".PP", roff(paragraph.replace("`", "")))
    for parameter in (*verb.arguments, *verb.options):
        yield from _parameter(parameter)
    if verb.example:
        yield from (".PP", "Example:", ".PP", ".nf", ".RS", roff(verb.example), ".RE", ".fi")


def _parameter(parameter: Parameter) -> Iterator[str]:
    names = ", ".join(f"\\fB{roff(name)}\\fR" for name in parameter.names)
    value = f"\\fI{roff(parameter.value)}\\fR" if parameter.value else ""
    yield from (
        ".TP",
        " ".join(filter(None, [names, value])),
        roff(parameter.told.replace("`", "")),
    )


def roff(words: str) -> str:
    """Words as they are, whatever a formatter would take for a request or an escape."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
