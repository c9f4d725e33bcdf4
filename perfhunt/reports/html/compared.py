"""What a page says of a change: the verdict on it, every endpoint before and after, the edit with
its atoms, and where the time of a request went.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from jinja2 import Template
from markupsafe import Markup

from perfhunt.model.document.redaction import redacted
from perfhunt.model.profile import SpanName
from perfhunt.model.run import Run
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.reports.html.page import filled
from perfhunt.reports.html.plain_words import plain
from perfhunt.reports.phases import phase_words
from perfhunt.reports.pictures import flamegraph as flames
from perfhunt.reports.requests.cost import cost_per_weight
from perfhunt.reports.verdict_text import effect_cells, method_lines, prediction_sentence

# Samples of either profile, from which their difference is more than chance: with fewer, one sample
# is more than a twentieth.
TELLING = 20
# Which colours a word has on the page.
_TONES: Mapping[Word, str] = {
    Word.KEEP: "met",
    Word.REVERT: "missed",
    Word.INVALID: "missed",
}
_MOVED = {"+": "better", "-": "worse", " ": "not told apart"}


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """The verdict on a run against the one `before` it (None: it is not there any more), with the
    edit between them where it is known.
    """

    before: Run | None
    verdict: Verdict
    change: OneChange | None = None
    attribution: Attribution | None = None
    prediction: PredictionScore | None = None

    def redacted(self) -> BeforeAfter:
        """The same without what the earlier run may hold of secrets."""
        return self if self.before is None else replace(self, before=redacted(self.before))


def compared_part(story: BeforeAfter) -> Markup:
    """The part of a page that has the verdict."""
    return Markup(_template().render(compared=_compared(story)))


@cache
def _template() -> Template:
    return filled("compared.html.j2", plain=plain)


def _compared(story: BeforeAfter) -> dict[str, object]:
    """What the template shows."""
    verdict, change = story.verdict, story.change
    said = [prediction_sentence(story.prediction)] if story.prediction is not None else []
    explained = list(story.attribution.sentences) if story.attribution is not None else []
    return {
        "word": verdict.word.value,
        "tone": _TONES.get(verdict.word, "unknown"),
        "label": change.label if change is not None else "",
        "reason": f"{verdict.reason[:1].upper()}{verdict.reason[1:]}",
        "next": verdict.next_step,
        "effects": [_effect(effect_cells(effect)) for effect in verdict.effects],
        "method": method_lines(verdict) if verdict.effects else [],
        "cautions": verdict.cautions,
        "atoms": [str(atom) for piece in change.pieces for atom in piece.atoms] if change else [],
        "notes": change.notes if change is not None else (),
        "said": [*explained, *said],
    }


def _effect(cells: tuple[str, ...]) -> dict[str, str]:
    mark, title, before, after, speed, note = cells
    tone = {"+": "met", "-": "missed"}.get(mark, "")
    return {
        "title": title,
        "before": before,
        "after": after,
        "speed": speed,
        "note": note,
        "moved": _MOVED[mark],
        "tone": tone,
    }


def difference(
    runs: tuple[Run, Run], phases: tuple[SpanName, SpanName], title: str
) -> Iterator[dict[str, object]]:
    """The picture of how a profile of the one run differs from one of the other, in time per
    request; none where they do not compare, or hold too little.
    """
    before, after = (run.profiles.get(phase) for run, phase in zip(runs, phases, strict=True))
    first, second = (cost_per_weight(run, phase) for run, phase in zip(runs, phases, strict=True))
    if before is None or after is None or not first or not second or before.mode != after.mode:
        return
    if min(before.total, after.total) >= TELLING:
        name = f"{title}, {phase_words(runs[1], phases[1])}"
        picture: Markup = flames.differential(before, after, name, (first, second), alone=False)
        yield {"name": name, "svg": picture}
