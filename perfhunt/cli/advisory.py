"""`--exit-zero-on`: verdicts that are told as they are, and fail nothing."""

from __future__ import annotations

from typing import NoReturn

import typer

from perfhunt.cli import console
from perfhunt.errors import ExitCode, UsageError

# Answers. All other codes say that there was none, which nobody can wave through.
VERDICTS = (ExitCode.SLO_MISSED, ExitCode.REGRESSION, ExitCode.INCONCLUSIVE)


def advisory_codes(text: str) -> frozenset[int]:
    """The exit codes of an option's value such as "90,91". Raises UsageError for what is no
    verdict's code.
    """
    words = [word.strip() for word in text.split(",")] if text else []
    known = {str(int(code)): int(code) for code in VERDICTS}
    for word in words:
        if word not in known:
            raise UsageError(
                f"--exit-zero-on {word or text} is no verdict's exit code",
                f"Those are {', '.join(sorted(known))}; others say that nothing was judged.",
            )
    return frozenset(known[word] for word in words)


def leave(*codes: int, advisory: str) -> NoReturn:
    """End with the first of `codes`, the gravest first, that is not among the advisory ones
    ("90,91"), or with 0; what was passed over is said.
    """
    zeroed = advisory_codes(advisory)
    end = next((int(code) for code in codes if code not in zeroed), int(ExitCode.OK))
    if waved := sorted(zeroed.intersection(codes)):
        instead = " and ".join(map(str, waved))
        console.note(f"perfhunt: exit code {end} and not {instead}, for --exit-zero-on says so")
    raise typer.Exit(end)
