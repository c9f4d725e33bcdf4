"""The one comment on a pull request, as Markdown: the verdict in its title, before and after in a
table. Its first line is a mark that nobody sees, by which it is found again and written anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from perfhunt.model.finding import Caution
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import code
from perfhunt.model.text.escaping import markdown as _text
from perfhunt.model.units import format_duration
from perfhunt.model.verdict.attribution import Attribution, Demand
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.reports.markdown import CodeCell, fitted, objectives, suspects, table
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.verdict_text import effect_cells, prediction_sentence
from perfhunt.reports.words import ms_interval

FUNCTIONS = 10  # rows of the table of functions
LONGEST = 100  # characters of a target's name
NOTES = 10  # sentences of what was attributed, cautions
_MARKS: Mapping[str, str] = {
    **dict.fromkeys((Judgement.MET, Word.KEEP), "✅"),
    **dict.fromkeys((Judgement.MISSED, Word.REVERT), "❌"),
    **dict.fromkeys((Word.NO_CHANGE, Word.NOT_WORTH_IT), "⚪"),
}
_DOUBT = "❔"
_OF_VERDICTS = (" ", "endpoint", "before", "after", "as a change of speed (95 % interval)", " ")


def mark(name: str) -> str:
    """The first line of a comment: one for each target of a repository."""
    plain = re.sub("[^A-Za-z0-9]+", "-", name).strip("-")[:LONGEST]
    return f"<!-- perfhunt {plain} -->"


def run_comment(run: Run) -> str:
    """The comment on a run: its verdict, its objectives, and what stops the service."""
    name = run.question.target.name or run.question.target.url
    whole = run.ending is RunEnd.COMPLETE and run.kind != RunKind.PROFILE
    sign = _MARKS.get(run.verdict, _DOUBT) if whole else _DOUBT
    parts = [
        f"{mark(name)}\n## {sign} perfhunt: {_text(headline(run))} · {_text(name[:LONGEST])}\n",
        f"{_text(verdict_sentence(run))}\n",
        objectives(run),
        suspects(run),
        _doubts(run.cautions),
        f"**Next:** {_text(run.next_step)}\n" if run.next_step else "",
        _foot(run.id, run.environment.git_revision, run.seconds),
    ]
    return fitted(parts)


def verdict_comment(judged: JudgedChange) -> str:
    """The comment on a change: the word, every endpoint before and after, and the functions whose
    cost it moved.
    """
    verdict, name = judged.verdict, judged.target
    label = judged.change.label if judged.change else ""
    title = f"{verdict.word}{f' ({label})' if label else ''}"
    sign = _MARKS.get(verdict.word, _DOUBT)
    parts = [
        f"{mark(name)}\n## {sign} perfhunt: {_text(title)} · {_text(name[:LONGEST])}\n",
        f"{_text(verdict.reason)}\n",
        table(_OF_VERDICTS, map(effect_cells, verdict.effects)) if verdict.effects else "",
        _functions(judged.attribution) if judged.attribution else "",
        f"{_text(prediction_sentence(judged.prediction))}\n" if judged.prediction else "",
        _edit(judged),
        _doubts(verdict.cautions),
        f"**Next:** {_text(verdict.next_step)}\n" if verdict.next_step else "",
        _foot(judged.id, "", verdict.seconds),
    ]
    return fitted(parts)


def _doubts(cautions: Sequence[Caution]) -> str:
    return "".join(f"- {_text(caution.sentence)}\n" for caution in cautions[:NOTES])


def _functions(attribution: Attribution) -> str:
    rows = [_demand(demand) for demand in (*attribution.demands, *attribution.moved)[:FUNCTIONS]]
    head = ("function", "where", "ms/request before", "ms/request after", " ")
    shown = table(head, rows) if rows else ""
    said = "".join(f"- {_text(sentence)}\n" for sentence in attribution.sentences[:NOTES])
    return "\n".join(filter(None, (shown, said)))


def _demand(demand: Demand) -> tuple[object, ...]:
    before, after = ms_interval(demand.before), ms_interval(demand.after)
    return CodeCell(demand.function), demand.file, before, after, demand.word


def _edit(judged: JudgedChange) -> str:
    if judged.change is None:
        return ""
    atoms = [atom for piece in judged.change.pieces for atom in piece.atoms]
    lines = "".join(f"- {code(str(atom))}\n" for atom in atoms[:FUNCTIONS])
    more = len(atoms) - FUNCTIONS
    lines += f"- and {more} more\n" if more > 0 else ""
    return f"<details><summary>The change</summary>\n\n{lines}\n</details>\n" if lines else ""


def _foot(id: str, revision: str, seconds: float) -> str:
    at = f", revision {revision[:12]}" if revision else ""
    took = f", {format_duration(seconds)}" if seconds else ""
    return f"<sub>{_text(f'perfhunt, run {id}{at}{took}')}</sub>\n" if id else ""
