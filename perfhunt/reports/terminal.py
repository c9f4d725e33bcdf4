"""The end of a run on one screen of plain text: verdict, SLO, knee, suspects, reason, next step. A
small screen has the verdict, the knee, three suspects and the next step, and what else there is
room for.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfhunt.model.finding import BottleneckClass, Caution, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import NoKnee
from perfhunt.model.question import EngineName
from perfhunt.model.run import SEARCHED, Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import terminal as escaped
from perfhunt.model.text.escaping import visible
from perfhunt.model.units import format_duration, format_rate
from perfhunt.reports.inside import beside, brief_lines, inside_lines
from perfhunt.reports.peers import peer_line, peers_that_matter
from perfhunt.reports.pictures.waterfall_words import largest, totals_words
from perfhunt.reports.requests.failures import error_texts, failed_where_it_holds
from perfhunt.reports.requests.route_time import route_time_words
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import (
    RANKED_BY,
    accused,
    allowed,
    bottleneck_words,
    capacity_words,
    change_words,
    cpu_words,
    criterion_words,
    knee_kind,
    knee_words,
    leaves_words,
    made_by,
    measured,
    ms_column,
    place,
    plural,
    predicted_words,
    prediction,
    route_words,
    sample_words,
)

# One screen where nobody says how large it is: characters of a line, and lines.
WIDTH, LINES = 100, 48
LONGEST = 120  # characters of a sentence's line: longer ones are hard to read
LEAST_WIDTH = 40  # characters of a line; a narrower screen wraps them itself
SMALL = 40  # lines; a screen of fewer has the fewest suspects
# Shown at most; the report has the rest.
OBJECTIVES = 8
SUSPECTS, FEWEST_SUSPECTS = 5, 3
PARTS = 4  # of the latency that load added
ROUTES = 6
EVIDENCE = 3
PEERS = 3
FAILURES = 3  # kinds of them
CAUTIONS = 3
CAUTION_LINES = 3  # of each: what to do about it is in its last words
# What is not broken at its spaces: a command of ours with its options, a number with its unit.
_WHOLE = re.compile(r"\bperfhunt [a-z]+(?: --?[\w-]+(?: [\w./:=]+)?)*|(?<=\d) (?:%|us|ms|s)(?!\w)")
_UNBROKEN = "\xa0"
_SHORTEST = 8  # characters of a table's cell that is cut
_MARKS = {Judgement.MISSED: "MISSED", Judgement.UNKNOWN: "unknown", Judgement.MET: "ok"}


@dataclass(frozen=True, slots=True)
class Screen:
    """How much a screen holds: characters of a line, and lines (None: all there is to say).
    `whole` is the command that shows what had no room.
    """

    width: int = WIDTH
    lines: int | None = LINES
    whole: str = "perfhunt report --wide"

    @property
    def text(self) -> int:
        """Characters of a line of sentences."""
        return min(LONGEST, max(LEAST_WIDTH, self.width))

    def most(self, count: int) -> int | None:
        """How many of a list are shown, where `count` of them are usual."""
        return None if self.lines is None else count

    @property
    def small(self) -> bool:
        """Whether there is room for little."""
        return self.lines is not None and self.lines < SMALL


def terminal(run: Run, screen: Screen = Screen()) -> str:
    """Plain lines, each ended; no colour codes, no control characters from the target's names."""
    sections = (
        _verdict(run, screen),
        _objectives(run, screen),
        _knee(run, screen),
        _failures(run, screen),
        _suspects(run, screen),
        _reason(run, screen),
        _waterfall(run, screen),
        _trust(run, screen),
        _inside(run, screen),
    )
    last = _next(run, screen)
    shown = _fitting(run, sections, screen, len(last))
    if len(shown) < sum(map(bool, sections)):
        last += _wrapped(screen.whole, "more      ", screen)
    body = [line for section in shown for line in (*section, "")]
    return "".join(escaped(line).rstrip() + "\n" for line in [*body, *last])


# Sections by worth, as indices of the order in which they are shown, and how many of them are
# always shown: verdict, knee, suspects (without a knee, first why requests failed), reason, SLO,
# trust, what was seen from inside, waterfall.
_WORTH, _WITHOUT_KNEE, _ALWAYS = (0, 2, 4, 3, 5, 1, 7, 8, 6), (0, 2, 3, 4, 5, 1, 7, 8, 6), 3


def _fitting(
    run: Run, sections: Sequence[list[str]], screen: Screen, below: int
) -> Sequence[Sequence[str]]:
    """The sections that there is room for above so many lines, in the order they are shown."""
    room = math.inf if screen.lines is None else screen.lines - below
    if sum(len(section) + 1 for section in sections if section) > room:
        room -= 1  # for where the rest is
    kept = []
    worth = _WITHOUT_KNEE if isinstance(run.knee, NoKnee) else _WORTH
    for number, index in enumerate(worth):
        height = len(sections[index]) + 1
        if sections[index] and (height <= room or number < _ALWAYS):
            kept.append(index)
            room -= height
    return [sections[index] for index in sorted(kept)]


def _wrapped(text: str, first: str, screen: Screen) -> list[str]:
    """The text in lines, commands of ours whole, so that they can be copied."""
    indent, whole = " " * len(first), _WHOLE.sub(lambda m: m[0].replace(" ", _UNBROKEN), text)
    lines = textwrap.wrap(
        whole, screen.text, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
    )
    return [line.replace(_UNBROKEN, " ") for line in lines] or [first]


def _verdict(run: Run, screen: Screen) -> list[str]:
    return [headline(run), *_wrapped(verdict_sentence(run), "  ", screen)]


def _objectives(run: Run, screen: Screen) -> list[str]:
    if not run.judged:
        return []
    ordered = sorted(run.judged, key=lambda j: [*_MARKS].index(j.verdict))
    rows = [
        (j.objective.name, allowed(j), measured(j), f"n={j.n:,}", _MARKS[j.verdict])
        for j in ordered[: screen.most(OBJECTIVES)]
    ]
    at = f"at {format_rate(run.judged_at)}" if run.judged_at else ""
    more = len(run.judged) - len(rows)
    said = sample_words(run)[: screen.most(OBJECTIVES)]
    return [
        *_table(("SLO " + at, "asked", "measured", "", ""), rows, screen),
        *([f"  and {more} more that hold or are like these"] * (more > 0)),
        *(line for words in said for line in _wrapped(words, "  ", screen)),
    ]


def _knee(run: Run, screen: Screen) -> list[str]:
    if run.kind not in SEARCHED:
        return []
    knee, capacity = run.knee, f"capacity  {capacity_words(run.capacity)}"
    if isinstance(knee, NoKnee):
        said = knee.reason in verdict_sentence(run)
        why = "none, for the reason above" if said else f"none: {knee.reason}"
        lines = _wrapped(why, "knee      ", screen)
        return [*lines, capacity] if run.capacity else lines
    at = f"{knee_words(knee)}  {criterion_words(knee)}  [{knee_kind(knee)}]"
    lines = _wrapped(at, "knee      ", screen)
    if knee.note:
        lines += _wrapped(knee.note, "          ", screen)
    # Those of which nothing can be said are in the report: a screen is for what to act on.
    known = [route for route in run.route_knees if route.rate is not None]
    for route in known[: screen.most(ROUTES)]:
        lines += _wrapped(f"route {route.route}: {route_words(route)}", "          ", screen)
    return [*lines, capacity]


def _failures(run: Run, screen: Screen) -> list[str]:
    """Why requests failed where the service ought to have held."""
    kinds, texts = failed_where_it_holds(run), error_texts(run)
    if not kinds:
        return []
    lines = []
    for kind in kinds[: screen.most(FAILURES)]:
        lines += _wrapped(kind.sentence, "          ", screen)
        if kind.first:
            lines += _wrapped(f"first: {kind.first}", "            ", screen)
    for text, count in texts[: screen.most(FAILURES)]:
        lines += _wrapped(f"{count:,} x {text}", "          ", screen)
    more = len(kinds) - FAILURES if screen.lines is not None else 0
    lines += [f"          and {plural(more, 'kind')} more in the report"] * (more > 0)
    return [f"failed    {lines[0].lstrip()}", *lines[1:]]


def _suspects(run: Run, screen: Screen) -> list[str]:
    findings = run.findings[: FEWEST_SUSPECTS if screen.small else screen.most(SUSPECTS)]
    costs = ms_column([f.blamed for f in findings])
    rows = [
        (
            f"{f.rank}. {f.function}",
            place(f, screen.width < WIDTH),
            f.category,
            cost,
            f"{f.total_share:.0%}",
        )
        for f, cost in zip(findings, costs, strict=True)
    ]
    if not rows:
        return []
    head = "suspects" if accused(run) else "time goes to"
    cost = [f.blamed.value for f in findings]
    by = "" if cost == sorted(cost, reverse=True) else RANKED_BY
    lines = _table((head, by, "class", "ms/request", "on stack"), rows, screen)
    for finding in findings:
        if finding.leaves and not screen.small:
            lines += _wrapped(leaves_words(finding), "  ", screen)
    for finding in findings:
        if inside := beside(run, finding):
            lines += _wrapped(f"{finding.function}: {'; '.join(inside)}", "  ", screen)
    what_if, withheld = prediction(run), run.findings[0].withheld
    if what_if is not None:
        cap = f"; {what_if.cap}" if what_if.cap else ""
        about = "" if what_if.at_least else "about "
        without = f"without the first: {about}{predicted_words(what_if)}{cap}"
        lines += _wrapped(without, "  ", screen)
    elif withheld:
        lines += _wrapped(f"no prediction: {withheld}", "  ", screen)
    return lines


def _reason(run: Run, screen: Screen) -> list[str]:
    bottleneck = run.bottleneck
    if bottleneck is None:
        return []
    other = bottleneck.runner_up
    second = f"; next to it {bottleneck_words(other)}" if other else ""
    route = route_time_words(run)
    evidence = [sentence for sentence in bottleneck.evidence if not _told(run, sentence)]
    if bottleneck.category == BottleneckClass.UNDETERMINED and not evidence and not route:
        return []
    lines = [f"bottleneck  {bottleneck_words(bottleneck.category)}{second}"]
    for sentence in evidence[: screen.most(EVIDENCE)]:
        lines += _wrapped(sentence, "  ", screen)
    if route:
        lines += _wrapped(route, "route       ", screen)
    for peer in peers_that_matter(run)[: screen.most(PEERS)]:
        lines += _wrapped(peer_line(peer), "peer ", screen)
    return lines


def _told(run: Run, sentence: str) -> bool:
    """Whether a sentence only says again why there is no knee, which the verdict has said."""
    if not isinstance(run.knee, NoKnee):
        return False
    return run.knee.reason.rstrip(".").lower() in sentence.lower()


def _waterfall(run: Run, screen: Screen) -> list[str]:
    """Where the added latency went: the largest parts, all else, and what is not accounted for."""
    waterfall = run.waterfall
    if waterfall is None:
        return []
    if waterfall.missing:
        return _wrapped(f"not split into its parts. {waterfall.missing}", "latency   ", screen)
    shown = largest(waterfall.parts, screen.most(PARTS) or len(waterfall.parts))
    parts = [(part.added, part.name) for part in shown]
    rest = sum(part.added.value for part in waterfall.parts if part not in shown)
    if len(shown) < len(waterfall.parts):
        parts.append((Interval(rest, rest, rest, 0), "all else"))
    if waterfall.unexplained is not None:
        parts.append((waterfall.unexplained.added, waterfall.unexplained.name))
    numbers = ms_column([added for added, _ in parts], signed=True)
    room = max(map(len, numbers))
    p99 = waterfall.knee_p99
    percentile = f"; p99 {format_duration(p99)}, which is not split" if p99 is not None else ""
    lines = _wrapped(f"{totals_words(waterfall, run)}{percentile}", "latency   ", screen)
    for number, (_, name) in zip(numbers, parts, strict=True):
        lines += _wrapped(name, f"  {number.ljust(room)}  ", screen)
    return [*lines, *(_wrapped(waterfall.differs, "  ", screen) if waterfall.differs else [])]


def _inside(run: Run, screen: Screen) -> list[str]:
    lines = inside_lines(run) if screen.lines is None else brief_lines(run)
    wrapped = [row for line in lines for row in _wrapped(line, "          ", screen)]
    return [f"inside    {wrapped[0].lstrip()}", *wrapped[1:]] if wrapped else []


def _trust(run: Run, screen: Screen) -> list[str]:
    lines = []
    effect = run.probe_effect
    if effect is not None:
        flag = "  FLAGGED: the profile disturbed the service" if effect.flagged else ""
        throughput, p99 = (change_words(effect, n) for n in ("throughput", "p99"))
        said = (
            f"profiling changed throughput by {throughput}, p99 by {p99}, CPU per request by"
            f" {cpu_words(effect)}{flag}"
        )
        lines += _wrapped(said, "", screen)
    doubts = [
        c for c in run.cautions if c.code != CautionCode.NO_KNEE or not _told(run, c.sentence)
    ]
    for caution in doubts[: screen.most(CAUTIONS)]:
        lines += _doubt(caution, screen)
    more = len(doubts) - CAUTIONS if screen.lines is not None else 0
    return [*lines, *([f"! {more} more in the report"] * (more > 0))]


def _doubt(caution: Caution, screen: Screen) -> list[str]:
    lines = textwrap.wrap(
        f"! {caution.sentence}",
        screen.text,
        subsequent_indent="  ",
        max_lines=screen.most(CAUTION_LINES),
        placeholder="…",
    )
    return [*lines, *(_wrapped(caution.next, "    ", screen) if caution.next else [])]


def _next(run: Run, screen: Screen) -> list[str]:
    step = run.next_step
    if isinstance(run.knee, NoKnee):  # why there is none was said
        step = step.replace(f" ({run.knee.reason.rstrip('.')})", "")
    lines = _wrapped(step, "next      ", screen) if step else []
    if not run.seconds:
        return lines
    took = format_duration(run.seconds)
    ours = run.question.engine is EngineName.LOCUST
    by = "" if ours else f", load by {made_by(run)}"
    said = f"took {took}, {plural(len(run.trials), 'trial')}, seed {run.question.seed}{by}"
    return [*lines, *_wrapped(said, "", screen)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], screen: Screen) -> list[str]:
    """Left-aligned columns, two spaces apart, as wide as the screen at most: the wider of the first
    two lose their middle. A title may stand above the column beside its own, if that has none.
    """
    cells = [("  " + row[0], *row[1:]) for row in (tuple(map(visible, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    title = head[0]
    for at, name in enumerate(head[1:], 1):
        widths[at] = max(widths[at], len(name))
    if head[1]:
        widths[0] = max(widths[0], len(title))
    room = screen.text if screen.lines is not None else math.inf
    while sum(widths) + 2 * len(widths) - 2 > room and max(widths[:2]) > _SHORTEST:
        widths[widths.index(max(widths[:2]))] -= 1
    beside = widths[0] + 2 + widths[1]
    first = (
        title.ljust(widths[0] + 2) + head[1].ljust(widths[1]) if head[1] else title.ljust(beside)
    )
    rest = [name.ljust(width) for name, width in zip(head[2:], widths[2:], strict=True)]
    return [
        "  ".join([_cut(first, beside), *rest]),
        *(
            "  ".join(_cut(cell, w).ljust(w) for cell, w in zip(row, widths, strict=True))
            for row in cells
        ),
    ]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1 - room // 2]}…{text[-(room // 2) :]}"
