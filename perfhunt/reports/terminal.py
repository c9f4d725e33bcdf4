"""The end of a run on one screen of plain text, at most 40 lines: verdict, SLO, knee, suspects,
reason, next step.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.run import Run, RunKind
from perfhunt.model.units import format_duration, format_rate
from perfhunt.reports.pictures.svg import visible
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import (
    allowed,
    bottleneck_words,
    capacity_words,
    criterion_words,
    knee_kind,
    knee_words,
    measured,
    ms_interval,
    place,
    rate_range,
    ratio_words,
)

WIDTH, LINES = 100, 40
OBJECTIVES, SUSPECTS, EVIDENCE, CAUTIONS = 8, 5, 3, 3
_MARKS = {"MET": "ok", "MISSED": "MISSED", "UNKNOWN": "unknown"}


def terminal(run: Run) -> str:
    """Plain lines, each ended; no colour codes, no control characters from the target's names."""
    parts = (_verdict(run), _objectives(run), _knee(run), _suspects(run), _reason(run), _trust(run))
    body, last = [line for part in parts if part for line in (*part, "")], _next(run)
    room = LINES - len(last)
    if len(body) > room:
        body = [*body[: room - 2], "… and more in the report", ""]
    return "".join(visible(line).rstrip() + "\n" for line in [*body, *last])


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    indent = " " * len(first) if rest is None else rest
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    ) or [first]


def _verdict(run: Run) -> list[str]:
    return [headline(run), *_wrapped(verdict_sentence(run), "  ")]


def _objectives(run: Run) -> list[str]:
    if not run.judged:
        return []
    ordered = sorted(run.judged, key=lambda j: ("MISSED", "UNKNOWN", "MET").index(j.verdict.value))
    rows = [
        (j.objective.name, allowed(j), measured(j), f"n={j.n:,}", _MARKS[j.verdict.value])
        for j in ordered[:OBJECTIVES]
    ]
    at = f"at {format_rate(run.judged_at)}" if run.judged_at else ""
    more = len(run.judged) - len(rows)
    return [
        *_table(("SLO " + at, "asked", "measured", "", ""), rows),
        *([f"  and {more} more that hold or are like these"] * (more > 0)),
    ]


def _knee(run: Run) -> list[str]:
    if run.kind == RunKind.PROFILE:
        return []
    if isinstance(run.knee, NoKnee):
        lines = _wrapped(f"none: {run.knee.reason}", "knee      ")
    else:
        sharp = "" if run.knee.sharpness is None else f", sharpness {run.knee.sharpness:.1f}"
        lines = [
            f"knee      {knee_words(run.knee)}  {criterion_words(run.knee)} "
            f" [{knee_kind(run.knee)}{sharp}]"
        ]
        if run.knee.note:
            lines += _wrapped(run.knee.note, "          ")
    return (
        [*lines, f"capacity  {capacity_words(run.capacity)}"]
        if run.capacity or isinstance(run.knee, Knee)
        else lines
    )


def _suspects(run: Run) -> list[str]:
    rows = [
        (
            f"{f.rank}. {f.function}",
            place(f),
            f.category,
            ms_interval(f.blamed),
            f"{f.total_share:.1%}",
        )
        for f in run.findings[:SUSPECTS]
    ]
    if not rows:
        return []
    lines = _table(("suspects", "", "class", "ms/request", "on stack"), rows)
    what_if = run.findings[0].what_if
    if what_if is not None:
        cap = f"; {what_if.cap}" if what_if.cap else ""
        lines.append(
            f"  without the first: about {format_rate(what_if.rate)}"
            f" ({rate_range(what_if.low, what_if.high)}){cap}"
        )
    return lines


def _reason(run: Run) -> list[str]:
    if run.bottleneck is None:
        return []
    lines = [
        f"bottleneck  {bottleneck_words(run.bottleneck.category)} (score {run.bottleneck.score:.2f})"
    ]
    if run.bottleneck.runner_up:
        lines[0] += f"; runner-up {run.bottleneck.runner_up} ({run.bottleneck.runner_up_score:.2f})"
    lines += [
        textwrap.shorten(f"  {sentence}", WIDTH + 20, placeholder="…")
        for sentence in run.bottleneck.evidence[:EVIDENCE]
    ]
    return ["  " + line if n else line for n, line in enumerate(lines)]


def _trust(run: Run) -> list[str]:
    lines = []
    effect = run.probe_effect
    if effect is not None:
        flag = "  FLAGGED: the profile disturbed the service" if effect.flagged else ""
        lines.append(
            f"profiling changed throughput by {ratio_words(effect.throughput)}, p99 by"
            f" {ratio_words(effect.p99)}{flag}"
        )
    for caution in run.cautions[:CAUTIONS]:
        lines.append(textwrap.shorten(f"! {caution.sentence}", WIDTH + 20, placeholder="…"))
        if caution.next:
            lines.append(
                textwrap.shorten(f"    {caution.next}", WIDTH + 20, placeholder="…").join(
                    ("    ", "")
                )
            )
    more = len(run.cautions) - CAUTIONS
    return [*lines, *([f"! {more} more in the report"] * (more > 0))]


def _next(run: Run) -> list[str]:
    took = (
        [f"took {format_duration(run.seconds)}, {len(run.trials)} trials, seed {run.question.seed}"]
        if run.seconds
        else []
    )
    return [*(_wrapped(run.next_step, "next      ") if run.next_step else []), *took]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Left-aligned columns, two spaces apart; cells that are too long lose their middle."""
    cells = [tuple(_cut(visible(cell), 40) for cell in row) for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        ("  " if n else "")
        + "  ".join(
            cell.ljust(w + (0 if n or i else 2))
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for n, row in enumerate(cells)
    ]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room // 2 - 1]}…{text[-room // 2 :]}"
