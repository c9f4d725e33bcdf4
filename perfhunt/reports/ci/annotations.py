"""What is said beside the lines of a change: orders to the log of GitHub Actions."""

from __future__ import annotations

from collections.abc import Mapping

from perfhunt.model.text.escaping import workflow_command
from perfhunt.model.units import format_share
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.reports.words import ms_interval

MOST = 10  # of one kind, GitHub shows no more of a step
_LEVELS: Mapping[Word, str] = {Word.REVERT: "error", Word.MIXED: "warning"}


def annotation_text(judged: JudgedChange) -> str:
    """A line for each hot line of the change, at most MOST; an error where the word is REVERT, a
    warning where it is MIXED, else a notice. Empty where no profile met the edited code.
    """
    attribution, word = judged.attribution, judged.verdict.word
    if attribution is None:
        return ""
    return "".join(
        workflow_command(
            _LEVELS.get(word, "notice"),
            f"{format_share(hot.share)} of the samples are here{_cost(hot.function, attribution)}",
            file=hot.file,
            line=hot.line,
            title=f"perfhunt: {word}, {hot.function}",
        )
        + "\n"
        for hot in attribution.hot[:MOST]
    )


def _cost(function: str, attribution: Attribution) -> str:
    """What the function takes of a request, before and after."""
    demand = next((d for d in attribution.demands if d.function == function), None)
    if demand is None:
        return ""
    before, after = ms_interval(demand.before), ms_interval(demand.after)
    return f"; {function} takes {after} ms of a request, and took {before}"
