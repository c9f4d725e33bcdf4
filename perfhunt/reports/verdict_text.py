"""A verdict as text: the word, what it rests on, what was changed, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.finding import Caution
from perfhunt.model.interval import Interval
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.verdict import Effect, Verdict


def verdict_lines(
    verdict: Verdict, change: OneChange | None = None, attribution: Attribution | None = None
) -> list[str]:
    """The verdict on one screen, most important first."""
    label = f"  ({change.label})" if change is not None and change.label else ""
    lines = [f"VERDICT {verdict.word}{label}", f"  {verdict.reason}"]
    if verdict.effects:
        lines += ["", *_table(verdict.effects)]
        lines += ["", *(f"  {line}" for line in _method(verdict))]
    if change is not None:
        atoms = [f"  {atom}" for piece in change.pieces for atom in piece.atoms]
        why = f" ({change.reason})" if change.reason else ""
        lines += ["", f"change{why}:", *atoms, *(f"  note: {note}" for note in change.notes)]
    if attribution is not None and attribution.sentences:
        lines += ["", "attribution:", *(f"  {sentence}" for sentence in attribution.sentences)]
    lines += ["", *map(_caution, verdict.cautions)] if verdict.cautions else []
    if verdict.next_step:
        lines += ["", f"next: {verdict.next_step}"]
    return lines


def _table(effects: Sequence[Effect]) -> list[str]:
    """Every endpoint with its typical values and what they amount to; + and - mark what moved
    beyond doubt.
    """
    rows = [
        (
            _mark(e),
            e.title,
            _value(e.before, e.unit),
            _value(e.after, e.unit),
            _percent(e.speed),
            e.note,
        )
        for e in effects
    ]
    head = ("", "", "before", "after", "as a change of speed (95 % interval)", "")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(5)]
    return [
        f"  {m:<1} {t:<{widths[1]}}  {b:>{widths[2]}}  {a:>{widths[3]}}  {s:<{widths[4]}}  {n}".rstrip()
        for m, t, b, a, s, n in (head, *rows)
    ]


def _mark(effect: Effect) -> str:
    return {"better": "+", "worse": "-"}.get(str(effect.direction), " ")


def _percent(speed: Interval) -> str:
    return (
        f"{100 * speed.value:+.1f} % ({100 * speed.low:+.1f} to {100 * speed.high:+.1f}),"
        f" n={speed.n}"
    )


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


def _method(verdict: Verdict) -> list[str]:
    """How it was reached, what it could have seen, and where the noise figure came from."""
    took = f" in {format_duration(verdict.seconds)}" if verdict.seconds > 0 else ""
    how = {
        "paired": (
            f"{verdict.pairs} rounds, both versions restarted side by side in each,"
            f" {_looks(verdict.looks)}{took}"
        ),
        "rerun": f"one new run against the stored one{took}",
        "stored": "two stored runs; nothing was measured now",
        "bench": f"{verdict.pairs} runs of each{took}",
    }.get(verdict.method, verdict.method)
    lines = [f"{how}; at most {100 * verdict.alpha:.2g} % of identical builds would be told apart"]
    if verdict.smallest is not None:
        more = verdict.to_resolve
        resolve = (
            f"; {format_duration(more)} more would settle {100 * verdict.wanted:.0f} %"
            if more
            else ""
        )
        lines.append(
            f"smallest change it would see nine times in ten: {100 * verdict.smallest:.1f}"
            f" %{resolve}"
        )
    return [*lines, verdict.noise] if verdict.noise else lines


def _looks(count: int) -> str:
    return "one look" if count == 1 else f"{count} looks"


def _caution(caution: Caution) -> str:
    return f"caution: {caution.sentence}" + (f"  -> {caution.next}" if caution.next else "")
