"""The end of a run on one screen of plain text, at most 48 lines: verdict, SLO, knee, suspects,
reason, next step.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from perfhunt.model.knee import NoKnee
from perfhunt.model.question import EngineName
from perfhunt.model.run import Run, RunKind
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import terminal as escaped
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import format_duration, format_rate
from perfhunt.reports.peers import peer_line, peers_that_matter
from perfhunt.reports.pictures.waterfall_words import (
    added_words,
    change_words,
    largest,
    totals_words,
)
from perfhunt.reports.requests.failures import error_texts, failed_where_it_holds
from perfhunt.reports.requests.route_time import route_time_words
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import (
    RANKED_BY,
    accused,
    allowed,
    bottleneck_words,
    capacity_words,
    criterion_words,
    knee_kind,
    knee_words,
    leaves_words,
    made_by,
    measured,
    ms_interval,
    place,
    plural,
    predicted_words,
    prediction,
    ratio_words,
    route_words,
)

# One screen: characters of a line, and lines.
WIDTH, LINES = 100, 48
LONGEST = 120  # characters of a line that is not wrapped
CELL = 40  # characters of a table's cell
# Shown at most; the report has the rest.
OBJECTIVES = 8
SUSPECTS = 5
PARTS = 4  # of the latency that load added
ROUTES = 6
EVIDENCE = 3
PEERS = 3
FAILURES = 3  # kinds of them
CAUTIONS = 3
CAUTION_LINES = 3  # of each: what to do about it is in its last words
_MARKS = {Judgement.MISSED: "MISSED", Judgement.UNKNOWN: "unknown", Judgement.MET: "ok"}


def terminal(run: Run) -> str:
    """Plain lines, each ended; no colour codes, no control characters from the target's names."""
    parts = (
        _verdict(run),
        _objectives(run),
        _knee(run),
        _failures(run),
        _suspects(run),
        _reason(run),
        _waterfall(run),
        _trust(run),
    )
    body, last = [line for part in parts if part for line in (*part, "")], _next(run)
    room = LINES - len(last)
    if len(body) > room:
        body = [*body[: room - 2], "… and more in the report", ""]
    return "".join(escaped(line).rstrip() + "\n" for line in [*body, *last])


def _wrapped(text: str, first: str) -> list[str]:
    indent = " " * len(first)
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    ) or [first]


def _verdict(run: Run) -> list[str]:
    return [headline(run), *_wrapped(verdict_sentence(run), "  ")]


def _objectives(run: Run) -> list[str]:
    if not run.judged:
        return []
    ordered = sorted(run.judged, key=lambda j: [*_MARKS].index(j.verdict))
    rows = [
        (j.objective.name, allowed(j), measured(j), f"n={j.n:,}", _MARKS[j.verdict])
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
    knee, capacity = run.knee, f"capacity  {capacity_words(run.capacity)}"
    if isinstance(knee, NoKnee):
        lines = _wrapped(f"none: {knee.reason}", "knee      ")
        return [*lines, capacity] if run.capacity else lines
    sharp = "" if knee.sharpness is None else f", sharpness {knee.sharpness:.1f}"
    kind = f"[{knee_kind(knee)}{sharp}]"
    lines = [f"knee      {knee_words(knee)}  {criterion_words(knee)}  {kind}"]
    if knee.note:
        lines += _wrapped(knee.note, "          ")
    # Those of which nothing can be said are in the report: a screen is for what to act on.
    known = [route for route in run.route_knees if route.rate is not None]
    for route in known[:ROUTES]:
        lines += _wrapped(f"route {route.route}: {route_words(route)}", "          ")
    return [*lines, capacity]


def _failures(run: Run) -> list[str]:
    """Why requests failed where the service ought to have held."""
    kinds = failed_where_it_holds(run)
    if not kinds:
        return []
    lines = []
    for kind in kinds[:FAILURES]:
        lines += _wrapped(kind.sentence, "          ")
        if kind.first:
            lines += _wrapped(f"first: {kind.first}", "            ")
    for text, count in error_texts(run)[:FAILURES]:
        lines += _wrapped(f"{count:,} x {text}", "          ")
    more = len(kinds) - FAILURES
    lines += [f"          and {plural(more, 'kind')} more in the report"] * (more > 0)
    return [f"failed    {lines[0].lstrip()}", *lines[1:]]


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
    head = "suspects" if accused(run) else "time goes to"
    cost = [f.blamed.value for f in run.findings[:SUSPECTS]]
    by = "" if cost == sorted(cost, reverse=True) else f", {RANKED_BY}"
    lines = _table((f"{head}{by}", "", "class", "ms/request", "on stack"), rows)
    for finding in run.findings[:SUSPECTS]:
        if finding.leaves:
            lines += _wrapped(leaves_words(finding), "  ")
    what_if, withheld = prediction(run), run.findings[0].withheld
    if what_if is not None:
        cap = f"; {what_if.cap}" if what_if.cap else ""
        about = "" if what_if.at_least else "about "
        lines.append(f"  without the first: {about}{predicted_words(what_if)}{cap}")
    elif withheld:
        lines += _wrapped(f"no prediction: {withheld}", "  ")
    return lines


def _reason(run: Run) -> list[str]:
    bottleneck = run.bottleneck
    if bottleneck is None:
        return []
    second = f"; runner-up {bottleneck.runner_up} ({bottleneck.runner_up_score:.2f})"
    score = f"(score {bottleneck.score:.2f}){second if bottleneck.runner_up else ''}"
    route = route_time_words(run)
    return [
        f"bottleneck  {bottleneck_words(bottleneck.category)} {score}",
        *("  " + _shortened(f"  {sentence}") for sentence in bottleneck.evidence[:EVIDENCE]),
        *(_wrapped(route, "route       ") if route else []),
        *(_shortened(f"peer {peer_line(peer)}") for peer in peers_that_matter(run)[:PEERS]),
    ]


def _waterfall(run: Run) -> list[str]:
    """Where the added latency went: the largest parts, all else, and what is not accounted for."""
    waterfall = run.waterfall
    if waterfall is None:
        return []
    if waterfall.missing:
        return _wrapped(f"not split into its parts: {waterfall.missing}", "latency   ")
    shown = largest(waterfall.parts, PARTS)
    rows = [(added_words(part.added), part.name) for part in shown]
    rest = sum(part.added.value for part in waterfall.parts if part not in shown)
    if len(shown) < len(waterfall.parts):
        rows.append((change_words(rest), "all else"))
    if waterfall.unexplained is not None:
        rows.append((added_words(waterfall.unexplained.added), waterfall.unexplained.name))
    room = max(len(number) for number, _ in rows)
    p99 = waterfall.knee_p99
    percentile = f"; p99 {format_duration(p99)}, which is not split" if p99 is not None else ""
    return [
        f"latency   {totals_words(waterfall, run)}{percentile}",
        *(_cut(f"  {number.ljust(room)}  {name}", WIDTH) for number, name in rows),
        *(_wrapped(waterfall.differs, "  ") if waterfall.differs else []),
    ]


def _trust(run: Run) -> list[str]:
    lines = []
    effect = run.probe_effect
    if effect is not None:
        flag = "  FLAGGED: the profile disturbed the service" if effect.flagged else ""
        throughput, p99 = ratio_words(effect.throughput), ratio_words(effect.p99)
        lines.append(f"profiling changed throughput by {throughput}, p99 by {p99}{flag}")
    for caution in run.cautions[:CAUTIONS]:
        lines += textwrap.wrap(
            f"! {caution.sentence}",
            WIDTH,
            subsequent_indent="  ",
            max_lines=CAUTION_LINES,
            placeholder="…",
        )
        if caution.next:
            lines.append("    " + _shortened(f"    {caution.next}"))
    more = len(run.cautions) - CAUTIONS
    return [*lines, *([f"! {more} more in the report"] * (more > 0))]


def _shortened(line: str) -> str:
    """The line cut at a word; space at its start is lost."""
    return textwrap.shorten(line, LONGEST, placeholder="…")


def _next(run: Run) -> list[str]:
    lines = _wrapped(run.next_step, "next      ") if run.next_step else []
    if not run.seconds:
        return lines
    took = format_duration(run.seconds)
    ours = run.question.engine is EngineName.LOCUST
    by = "" if ours else f", load by {made_by(run)}"
    return [*lines, f"took {took}, {len(run.trials)} trials, seed {run.question.seed}{by}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Left-aligned columns, two spaces apart; cells that are too long lose their middle."""
    cells = [tuple(_cut(visible(cell), CELL) for cell in row) for row in (head, *rows)]
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
