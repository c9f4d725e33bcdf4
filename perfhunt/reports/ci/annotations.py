"""What is said beside the lines of a change: orders to the log of GitHub Actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perfhunt.model.run import Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import workflow_command
from perfhunt.model.units import format_share
from perfhunt.model.verdict.attribution import Attribution, HotLine
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.reports.verdict_sentence import headline
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
    costs = {hot.function: _cost(hot.function, attribution) for hot in attribution.hot}
    return _lines(_LEVELS.get(word, "notice"), word, attribution.hot, costs)


def run_annotation_text(run: Run, hot: Iterable[HotLine]) -> str:
    """The same for the hot lines of a change that a run was not about, in the profile that it took:
    an error where the SLO was missed, else a notice.
    """
    level = "error" if run.verdict is Judgement.MISSED else "notice"
    costs = {
        f.function: f"; {f.function} costs {ms_interval(f.blamed)} ms a request"
        for f in run.findings
    }
    return _lines(level, headline(run), hot, costs)


def _lines(level: str, word: str, hot: Iterable[HotLine], costs: Mapping[str, str]) -> str:
    return "".join(
        workflow_command(
            level,
            f"{format_share(each.share)} of the samples are here{costs.get(each.function, '')}",
            file=each.file,
            line=each.line,
            title=f"perfhunt: {word}, {each.function}",
        )
        + "\n"
        for each in [*hot][:MOST]
    )


def _cost(function: str, attribution: Attribution) -> str:
    """What the function takes of a request, before and after."""
    demand = next((d for d in attribution.demands if d.function == function), None)
    if demand is None:
        return ""
    before, after = ms_interval(demand.before), ms_interval(demand.after)
    return f"; {function} takes {after} ms of a request, and took {before}"
