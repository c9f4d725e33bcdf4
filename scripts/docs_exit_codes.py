"""The exit codes, with the errors that carry them, as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from docs_verbs import text

from perfhunt.errors import EXIT_MEANINGS, ExitCode, OwnWords, PerfhuntError


def page() -> str:
    """docs/reference/exit-codes.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Exit codes"
    yield ""
    yield "Made from `perfhunt/errors.py` by `scripts/docs`. The codes are stable: scripts rest on"
    yield "them. Where k6 has a meaning for a code, it is the same here."
    yield from ("", "| code | name | meaning | raised in Python as |", "|---|---|---|---|")
    for code, meaning in EXIT_MEANINGS.items():
        raised = "; ".join(f"`{e.__name__}`: {text(_said(e))}" for e in errors(code))
        yield f"| {int(code)} | `{code.name}` | {meaning} | {raised or 'a verdict, no error'} |"
    yield ""
    yield "Some verbs have fewer of them, with a narrower meaning: [verbs](verbs.md) says which."


def errors(code: ExitCode) -> Iterator[type[PerfhuntError]]:
    """The errors of a code, the general ones first."""
    kinds: list[type[PerfhuntError]] = [PerfhuntError]
    for kind in kinds:
        kinds += [sub for sub in kind.__subclasses__() if sub.__module__ == OwnWords.__module__]
    yield from (kind for kind in kinds if kind.exit_code is code)


def _said(kind: type[PerfhuntError]) -> str:
    return " ".join((kind.__doc__ or "").split()).partition(". ")[0].removesuffix(".")
