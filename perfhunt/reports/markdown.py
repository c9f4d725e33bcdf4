"""A run as Markdown that a CI step summary or a pull request comment takes: tables, no pictures,
under 64 kB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfhunt.model.finding import Finding
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.run import SEARCHED, Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import Markdown, cell, code
from perfhunt.model.text.escaping import markdown as _text
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.inside import beside, inside_lines
from perfhunt.reports.peers import HEAD, peer_cells, peers_at_knee
from perfhunt.reports.pictures.waterfall_words import every_part, remarks, totals_words
from perfhunt.reports.requests.failures import error_texts, failed_requests, generator_notes
from perfhunt.reports.requests.route_time import route_time_words
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import (
    accused,
    allowed,
    bottleneck_words,
    capacity_words,
    change_words,
    cpu_words,
    criterion_words,
    held_at,
    knee_kind,
    knee_words,
    leaves_words,
    measured,
    ms,
    ms_column,
    place,
    plural,
    predicted_words,
    prediction,
    route_words,
    sample_words,
)

LIMIT = 60_000  # bytes; a comment may have 65,536 characters
SUSPECTS = 10
FAILURES = 20  # kinds of them, and texts
NOTES = 20
_MARKS = {
    Judgement.MET: "✅ met",
    Judgement.MISSED: "❌ missed",
    Judgement.UNKNOWN: "❔ unknown",
}


def markdown(run: Run) -> str:
    """The report; sections that do not fit under the limit are left out from the end, and that is
    said.
    """
    parts = (
        _head,
        objectives,
        _knee,
        _failures,
        suspects,
        _reason,
        _waterfall,
        _inside,
        _trust,
        _trials,
        _foot,
    )
    return fitted(part(run) for part in parts)


def fitted(sections: Iterable[str]) -> str:
    """Sections that are not empty, one below the other, as many from the first on as fit under the
    limit; what is left out is said.
    """
    text, size = "", 0
    for section in filter(None, sections):
        size += len(section.encode()) + 1
        if size > LIMIT:
            return f"{text}\n_More is in report.html: this is as much as fits here._\n"
        text += f"{section}\n"
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table whose cells are text, or Markdown of `code`: nothing else may bring markup in."""
    titles = [list(map(_cell, head)), ["---"] * len(head)]
    lines = ["| " + " | ".join(row) + " |" for row in (*titles, *(map(_cell, r) for r in rows))]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return cell(value.markdown if isinstance(value, CodeCell) else _text(value))


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A cell that is shown as code."""

    text: str

    @property
    def markdown(self) -> Markdown:
        return code(self.text)


def _head(run: Run) -> str:
    name = run.question.target.name or run.question.target.url
    return f"## {_text(headline(run))} · {_text(name)}\n\n{_text(verdict_sentence(run))}\n"


def objectives(run: Run) -> str:
    """The section of what was asked and what was measured; "" where nothing was judged."""
    if not run.judged:
        return ""
    rows = [
        (
            CodeCell(j.objective.name),
            allowed(j),
            measured(j),
            f"{j.n:,}",
            _MARKS[j.verdict],
        )
        for j in run.judged
    ]
    at = f" at {format_rate(run.judged_at)}" if run.judged_at else ""
    judged = table(("objective", "asked", "measured", "n", ""), rows)
    shown = "".join(f"\n- {_text(words)}" for words in sample_words(run))
    return f"### SLO{at}\n\n{judged}" + (f"{shown}\n" if shown else "")


def _knee(run: Run) -> str:
    if run.kind not in SEARCHED:
        return ""
    capacity = _text(capacity_words(run.capacity))
    if isinstance(run.knee, NoKnee):
        none = f"### Knee\n\nNone: {_text(run.knee.reason)}. Capacity: {capacity}.\n"
        return none + _routes(run)
    others = (knee for knee in run.knees if knee != run.knee)
    rows = [_knee_row(knee) for knee in (run.knee, *others) if not isinstance(knee, NoKnee)]
    rates = table(("breaks", "knee", "kind", "sharpness"), rows)
    return f"### Knee\n\n{rates}\nCapacity when saturated: {capacity}.\n" + _routes(run)


def _routes(run: Run) -> str:
    if not run.route_knees:
        return ""
    rows = ((r.route, format_share(r.share), route_words(r), f"{r.n:,}") for r in run.route_knees)
    head = ("route", "of the traffic", "breaks at, of the whole traffic", "n")
    return f"\n{table(head, rows)}"


def _knee_row(knee: Knee) -> tuple[str, ...]:
    sharpness = "—" if knee.sharpness is None else f"{knee.sharpness:.1f}"
    return criterion_words(knee), knee_words(knee), knee_kind(knee), sharpness


def _failures(run: Run) -> str:
    rows = [
        (CodeCell(kind.route), kind.how, f"{kind.count:,} of {kind.n:,}", kind.rates, kind.first)
        for kind in failed_requests(run)[:FAILURES]
    ]
    head = ("route", "how", "requests", "load", "the first of them")
    kinds = table(head, rows) if rows else ""
    texts = [(f"{count:,}", CodeCell(text)) for text, count in error_texts(run)[:FAILURES]]
    said = table(("times", "what the client met"), texts) if texts else ""
    parts = "\n".join(filter(None, (kinds, said)))
    return f"### Requests that failed\n\n{parts}" if parts else ""


def suspects(run: Run) -> str:
    """The section of the findings, and what taking the first away would bring; "" without any."""
    if not run.findings:
        return ""
    head = ("#", "function", "where", "class", "ms/request", "self", "total")
    title = "Suspects at the knee" if accused(run) else "What it spends its time on"
    findings = run.findings[:SUSPECTS]
    costs = ms_column([finding.blamed for finding in findings])
    text = f"### {title}\n\n" + table(head, map(_suspect, findings, costs))
    for finding in run.findings[:SUSPECTS]:
        if finding.leaves:
            text += f"\n{_text(leaves_words(finding))}\n"
    for finding in run.findings[:SUSPECTS]:
        if inside := beside(run, finding):
            text += f"\n{_text(f'{finding.function}: ' + '; '.join(inside))}\n"
    what_if, withheld = prediction(run), run.findings[0].withheld
    if what_if is not None:
        about = "" if what_if.at_least else "about "
        cap = f"; {what_if.cap}" if what_if.cap else ""
        without = f"Without the first: {about}{predicted_words(what_if)}{cap}"
        text += f"\n{_text(without)}. {_text(what_if.caveat)}\n"
    elif withheld:
        text += f"\n{_text(f'No prediction: {withheld}.')}\n"
    return text


def _suspect(finding: Finding, cost: str) -> tuple[object, ...]:
    return (
        str(finding.rank),
        CodeCell(finding.function),
        place(finding),
        finding.category,
        cost,
        format_share(finding.self_share),
        format_share(finding.total_share),
    )


def _reason(run: Run) -> str:
    bottleneck = run.bottleneck
    if bottleneck is None:
        return ""
    second = f"; runner-up {bottleneck.runner_up}, {bottleneck.runner_up_score:.2f}"
    score = f"score {bottleneck.score:.2f}{second if bottleneck.runner_up else ''}"
    evidence = "".join(f"- {_text(sentence)}\n" for sentence in bottleneck.evidence)
    route = route_time_words(run)
    evidence += f"\n{_text(route)}\n" if route else ""
    words = f"{bottleneck_words(bottleneck.category)} ({score})"
    head = f"### Bottleneck: {_text(words)}\n\n"
    return head + evidence + _peers(run)


def _peers(run: Run) -> str:
    rows = [peer_cells(peer) for peer in peers_at_knee(run)]
    return f"\n{table(HEAD, rows)}" if rows else ""


def _waterfall(run: Run) -> str:
    waterfall = run.waterfall
    if waterfall is None or not waterfall.parts:
        return ""
    parts = every_part(waterfall)
    growth = ms_column([part.added for part in parts], signed=True)
    both = [Interval(v, v, v, 0) for part in parts for v in (part.base, part.knee)]
    spent = ms_column(both)
    rows = zip([part.name for part in parts], spent[::2], spent[1::2], growth, strict=True)
    listed = table(("part", "ms at the baseline", f"ms {held_at(run)}", "added, ms"), rows)
    notes = _text(" ".join(remarks(waterfall)))
    title = f"Where the added latency went: {_text(totals_words(waterfall, run))}"
    return f"### {title}\n\n{listed}\n{notes}\n"


def _inside(run: Run) -> str:
    lines = "".join(f"- {_text(line)}\n" for line in inside_lines(run))
    return f"### Seen from inside\n\n{lines}" if lines else ""


def _trust(run: Run) -> str:
    lines = []
    effect = run.probe_effect
    if effect is not None:
        throughput, p99 = (change_words(effect, n) for n in ("throughput", "p99"))
        flag = " — **flagged**." if effect.flagged else "."
        words = (
            f"throughput by {throughput}, p99 by {p99} and CPU per request by {cpu_words(effect)}"
        )
        lines.append(f"{_text(f'Profiling changed {words}')}{flag}")
    lines += [
        _text(c.sentence) + (f" Next: {code(c.next)}" if c.next else "") for c in run.cautions
    ]
    return "### Trust\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def _trials(run: Run) -> str:
    if not run.trials:
        return ""
    head = (
        "phase",
        "rate",
        "achieved",
        "n",
        "over limit",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "errors",
        "lag p99 ms",
        "",
    )
    tried = table(head, [_trial(run, t) for t in run.trials])
    notes = "".join(f"- {_text(note)}\n" for note in generator_notes(run)[:NOTES])
    noted = f"What the generator noted:\n\n{notes}\n" if notes else ""
    summary = plural(len(run.trials), "trial")
    return f"<details><summary>{summary}</summary>\n\n{tried}\n{noted}</details>\n"


def _trial(run: Run, trial: Trial) -> tuple[str, ...]:
    name = getattr(run.knee, "criterion", "")
    count = trial.counts.get(name) or next(iter(trial.counts.values()), None)
    note = "invalid" if trial.invalid else "overloaded" if trial.overload else ""
    note = "set aside" if trial.set_aside else note
    over = "—" if count is None else format_share(count.share)
    response = trial.response
    return (
        trial.step.phase.value,
        format_rate(trial.step.rate),
        format_rate(trial.achieved),
        f"{trial.n:,}",
        over,
        ms(response.p50),
        ms(response.p95),
        ms(response.p99),
        f"{trial.failed:,}",
        ms(trial.generator.lag_p99),
        note,
    )


def _foot(run: Run) -> str:
    following = f"**Next:** {_text(run.next_step)}\n\n" if run.next_step else ""
    revision = run.environment.git_revision[:12]
    at = f", revision {revision}" if revision else ""
    measured = f"perfhunt {run.perfhunt}, run {run.id}, {format_duration(run.seconds)}{at}"
    return f"{following}<sub>{_text(measured)}</sub>\n"
