"""A verdict as text: the word, what it rests on, what was changed, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.finding import Caution
from perfhunt.model.interval import Interval
from perfhunt.model.knee import AT_LEAST
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.model.verdict.verdict import Effect, EffectDirection, Verdict

_MARKS = {EffectDirection.BETTER: "+", EffectDirection.WORSE: "-"}


def verdict_lines(
    verdict: Verdict,
    change: OneChange | None = None,
    attribution: Attribution | None = None,
    prediction: PredictionScore | None = None,
) -> list[str]:
    """The verdict on one screen, most important first."""
    label = f"  ({change.label})" if change is not None and change.label else ""
    lines = [f"VERDICT {verdict.word}{label}", f"  {verdict.reason}"]
    if verdict.effects:
        lines += ["", *_table(verdict.effects)]
        lines += ["", *(f"  {line}" for line in method_lines(verdict))]
    if change is not None:
        atoms = [f"  {atom}" for piece in change.pieces for atom in piece.atoms]
        why = f" ({change.reason})" if change.reason else ""
        lines += ["", f"change{why}:", *atoms, *(f"  note: {note}" for note in change.notes)]
    if attribution is not None and attribution.sentences:
        lines += ["", "attribution:", *(f"  {sentence}" for sentence in attribution.sentences)]
    if prediction is not None:
        lines += ["", "prediction:", f"  {prediction_sentence(prediction)}"]
    lines += ["", *map(caution_line, verdict.cautions)] if verdict.cautions else []
    if verdict.next_step:
        lines += ["", f"next: {verdict.next_step}"]
    return lines


def _table(effects: Sequence[Effect]) -> list[str]:
    """Every endpoint with its typical values and what they amount to; + and - mark what moved
    beyond doubt.
    """
    head = ("", "", "before", "after", "as a change of speed (95 % interval)", "")
    rows = [head, *map(effect_cells, effects)]
    title, before, after, speed = (max(len(row[i]) for row in rows) for i in range(1, 5))
    lines = [
        f"  {mark:<1} {name:<{title}}  {old:>{before}}  {new:>{after}}  {change:<{speed}}  {note}"
        for mark, name, old, new, change, note in rows
    ]
    return [line.rstrip() for line in lines]


def effect_cells(effect: Effect) -> tuple[str, ...]:
    """Its mark (+ and - beyond doubt), title, before, after, change of speed, and note."""
    return (
        _MARKS.get(effect.direction, " "),
        effect.title,
        _bounded(effect.at_least[0], _value(effect.before, effect.unit)),
        _bounded(effect.at_least[1], _value(effect.after, effect.unit)),
        _percent(effect.speed),
        effect.note,
    )


def _bounded(at_least: bool, value: str) -> str:
    return f"{AT_LEAST} {value}" if at_least else value


def _percent(speed: Interval) -> str:
    value, low, high = (f"{100 * share:+.1f}" for share in (speed.value, speed.low, speed.high))
    return f"{value} % ({low} to {high}), n={speed.n}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "—"
    if unit == "s":
        return format_duration(value)
    if unit == "/s":
        return format_rate(value)
    if unit == "share":
        return format_share(value)
    if unit == "B":
        return f"{value / 2**20:.1f} MiB"
    return f"{value:.4g}{'' if unit in ('', '1') else ' ' + unit}"


def method_lines(verdict: Verdict) -> list[str]:
    """How it was reached, what it could have seen, and where the noise figure came from."""
    told_apart = f"at most {100 * verdict.alpha:.2g} % of identical builds would be told apart"
    lines = [f"{_how(verdict)}; {told_apart}"]
    if verdict.smallest is not None:
        smallest = f"smallest change it would see nine times in ten: {100 * verdict.smallest:.1f} %"
        lines.append(smallest + _to_resolve(verdict))
    return [*lines, verdict.noise] if verdict.noise else lines


def _how(verdict: Verdict) -> str:
    took = f" in {format_duration(verdict.seconds)}" if verdict.seconds > 0 else ""
    looks = _looks(verdict.looks)
    return {
        "paired": (
            f"{verdict.pairs} rounds, both versions restarted side by side in each, {looks}{took}"
        ),
        "rerun": f"one new run against the stored one{took}",
        "stored": "two stored runs; nothing was measured now",
        "bench": f"{verdict.pairs} runs of each{took}",
    }.get(verdict.method, verdict.method)


def _to_resolve(verdict: Verdict) -> str:
    if not verdict.to_resolve:
        return ""
    return f"; {format_duration(verdict.to_resolve)} more would settle {100 * verdict.wanted:.0f} %"


def _looks(count: int) -> str:
    return "one look" if count == 1 else f"{count} looks"


def caution_line(caution: Caution) -> str:
    """A doubt, and what to do about it."""
    return f"caution: {caution.sentence}" + (f"  -> {caution.next}" if caution.next else "")


def prediction_sentence(score: PredictionScore) -> str:
    """What was predicted and what was observed, and how far they are apart."""
    what = f"{score.of} predicted"
    predicted = _rates(score.predicted, score.low, score.high, score.at_least)
    observed = _rates(
        score.observed, score.observed_low, score.observed_high, score.observed_at_least
    )
    said = f"{what} {predicted}, observed {observed}: {_judged(score)}."
    if score.removed is not None and not score.as_supposed:
        said += (
            f" The edit took {format_share(score.removed)} of {score.function} out; all of it was"
            " supposed gone."
        )
    return said


def _rates(rate: float, low: float, high: float, at_least: bool) -> str:
    if at_least:
        return f"at least {format_rate(rate)}"
    if low == high:
        return format_rate(rate)
    ends = f"{format_rate(low).removesuffix('/s')} to {format_rate(high).removesuffix('/s')}"
    return f"{format_rate(rate)} ({ends})"


def _judged(score: PredictionScore) -> str:
    error = score.error
    off = "" if error is None else f", {format_share(abs(error))} off"
    if score.within is None:
        return "no more was offered, so the prediction is not refuted"
    if score.within:
        return f"as predicted{off}"
    return f"{'above' if score.observed > score.predicted else 'below'} the prediction{off}"
