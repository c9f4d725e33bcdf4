"""A verdict as text: the word, what it rests on, what was changed, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.attribution import Attribution
from perfhunt.model.change import OneChange
from perfhunt.model.interval import Interval
from perfhunt.model.units import format_duration
from perfhunt.model.verdict import Effect, Verdict


def verdict_lines(verdict: Verdict, change: OneChange | None = None, attribution: Attribution | None = None) -> list[str]:
    """The verdict on one screen, most important first."""
    label = f"  ({change.label})" if change is not None and change.label else ""
    lines = [f"VERDICT {verdict.word}{label}", f"  {verdict.reason}", ""]
    if verdict.effects:
        lines += [
            "  endpoint                    before        after    as a change of speed (interval), n",
            *map(_effect, verdict.effects),
        ]
    lines += [*_method(verdict)]
    if change is not None:
        lines += [
            "",
            f"change: {change.reason or change.code}",
            *(f"  {atom}" for piece in change.pieces for atom in piece.atoms),
        ]
    if attribution is not None and attribution.sentences:
        lines += ["", "attribution:", *(f"  {sentence}" for sentence in attribution.sentences)]
    lines += [f"caution: {c.sentence}" + (f"  -> {c.next}" if c.next else "") for c in verdict.cautions]
    if verdict.next_step:
        lines += ["", f"next: {verdict.next_step}"]
    return lines


def _effect(effect: Effect) -> str:
    mark = {"better": "+", "worse": "-"}.get(str(effect.direction), " ")
    note = f"  {effect.note}" if effect.note else ""
    title = f"{mark} {effect.title}"
    return (
        f"  {title:<26} {_value(effect.before, effect.unit):>8} -> {_value(effect.after, effect.unit):>9}"
        f"    {_percent(effect.speed)}{note}"
    )


def _percent(speed: Interval) -> str:
    return f"{100 * speed.value:+.1f} % ({100 * speed.low:+.1f} to {100 * speed.high:+.1f}), n={speed.n}"


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "—"
    if unit == "s":
        return format_duration(value)
    return f"{value:.4g}{'' if unit in ('', '1') else ' ' + unit}"


def _method(verdict: Verdict) -> Sequence[str]:
    lines = [
        "",
        f"  {verdict.method}: {verdict.pairs} pairs, {verdict.looks} looks, {format_duration(max(verdict.seconds, 0.0))}; "
        f"family-wise error {100 * verdict.alpha:.2g} %",
    ]
    if verdict.smallest is not None:
        resolve = (
            f"; {format_duration(verdict.to_resolve)} more would settle {100 * verdict.wanted:.0f} %"
            if verdict.to_resolve
            else ""
        )
        lines.append(f"  smallest change it could have seen (90 % power): {100 * verdict.smallest:.1f} %{resolve}")
    if verdict.noise:
        lines.append(f"  noise: {verdict.noise}")
    return lines
