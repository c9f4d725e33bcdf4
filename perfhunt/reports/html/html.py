"""The report as one HTML file that needs nothing else: no network, no fonts, no framework; it reads
well without scripts too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from perfhunt.model.document.writing import worst_generator
from perfhunt.model.finding import BottleneckClass, ProbeEffect
from perfhunt.model.knee import Knee
from perfhunt.model.profile import SpanName
from perfhunt.model.question import LoopKind
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.trial import Trial
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.html import first_screen
from perfhunt.reports.html import rows as html_rows
from perfhunt.reports.html.compared import BeforeAfter, compared_part, difference
from perfhunt.reports.html.over_time import over_time, phases_words
from perfhunt.reports.html.page import HERE, filled, policy
from perfhunt.reports.html.plain_words import plain
from perfhunt.reports.html.waterfall_list import waterfall_list
from perfhunt.reports.inside import inside_lines
from perfhunt.reports.peers import HEAD, peer_cells, peers_at_knee
from perfhunt.reports.phases import phase_words, phases
from perfhunt.reports.pictures import flamegraph as flames
from perfhunt.reports.pictures.charts import latency_chart, states_chart
from perfhunt.reports.pictures.drift_chart import drift_chart
from perfhunt.reports.pictures.knee_chart import knee_chart, knee_criterion
from perfhunt.reports.pictures.svg import template
from perfhunt.reports.pictures.waterfall_words import remarks, totals_words
from perfhunt.reports.requests.cost import cost_per_weight
from perfhunt.reports.requests.failures import generator_notes
from perfhunt.reports.requests.route_time import route_time_words
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import (
    accused,
    bottleneck_words,
    capacity_words,
    change_words,
    cpu_words,
    criterion_words,
    held_at,
    ms,
)

_END = re.compile(r"(?<=\.) (?=[A-Z])")  # of a sentence
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # no scheme, and in this folder
# What a run's directory holds beside its reports.
_RAW = ("run.json", "trials.jsonl", "events.jsonl")
_KINDS = {
    RunKind.INVESTIGATE: "investigation",
    RunKind.PROFILE: "profile",
    RunKind.VERIFY: "check of a change",
    RunKind.SMOKE: "smoke test",
}
# Profiles whose difference is what load added.
_GROWN = (
    (SpanName.BASELINE, SpanName.KNEE),
    (SpanName.BASELINE_WAITS, SpanName.KNEE_WAITS),
)
# Of a finding: others wait for what its function has.
_HELD_UP = (BottleneckClass.LOCK, BottleneckClass.POOL, BottleneckClass.WORKERS)


def html(run: Run, story: BeforeAfter | None = None) -> str:
    """The page of a redacted run, with the verdict on the change that led to it where there is one.
    Everything that came from the target or its code is escaped.
    """
    parts = {**_heading(run, story), **_sections(run), **_pictures(run, story)}
    before = story.before if story is not None else None
    return _template().render(
        run=run,
        compared=story is not None,
        compared_part=compared_part(story) if story is not None else "",
        before=before.id if before is not None else "",
        **parts,
    )


def _heading(run: Run, story: BeforeAfter | None) -> dict[str, Any]:
    target = run.question.target
    sentence, lead = _split(verdict_sentence(run))
    return {
        "started": f"{run.started[:19].replace('T', ' ')} UTC",
        "name": target.name or target.url,
        "url": target.url,
        "took": format_duration(run.seconds) if run.seconds else "",
        "kind": _KINDS[run.kind],
        "headline": headline(run),
        "sentence": sentence,
        "lead": lead,
        "tone": _tone(run),
        "fingerprint": run.question.fingerprint(),
        "strip": first_screen.strip(run, None if story is None else story.before),
        "more_objectives": first_screen.more_objectives(run),
        "suspects": first_screen.suspects(run),
        "has_knee": isinstance(run.knee, Knee),
        "trust_box": first_screen.trust_box(run),
        "capacity": capacity_words(run.capacity) if run.capacity else "",
    }


def _split(text: str) -> tuple[str, str]:
    """The first sentence, and the rest."""
    first, _, rest = _END.sub("\n", text, count=1).partition("\n")
    return first, rest


def _sections(run: Run) -> dict[str, Any]:
    routes_at, routes = html_rows.routes(run)
    return {
        "failures": html_rows.failures(run),
        "generator_notes": generator_notes(run),
        "failure_texts": html_rows.failure_texts(run),
        "objectives": html_rows.objectives(run),
        "notes": html_rows.notes(run),
        "judged_at": format_rate(run.judged_at) if run.judged_at else "",
        "knees": html_rows.knees(run),
        "knee_what": _knee_what(run),
        "knee_note": html_rows.knee_note(run),
        "confidence": f"{run.knee.confidence:.0%}" if isinstance(run.knee, Knee) else "95%",
        "findings": html_rows.findings(run),
        "held_at": held_at(run),
        "findings_title": "What stops it" if accused(run) else "What it spends its time on",
        "findings_note": _findings_note(run),
        "any_grew": any(f.grew is not None for f in run.findings),
        "what_if": html_rows.what_if(run),
        "inside": inside_lines(run),
        "bottleneck": _bottleneck(run),
        **_waterfall(run),
        "peers_head": HEAD,
        "peers": [peer_cells(peer) for peer in peers_at_knee(run)],
        "beside": _beside(run),
        "trust": html_rows.pairs(_trust(run)),
        "routes": routes,
        "routes_at": routes_at,
        "route_knees": any(row["knee"] for row in routes),
        "trials": html_rows.trials(run),
        "question": html_rows.question(run),
        "environment": html_rows.environment(run),
    }


def _beside(run: Run) -> list[str]:
    """The files that lie beside the page, for links; a name that could lead elsewhere is none."""
    if not run.artifacts:
        return []
    names = dict.fromkeys([*_RAW, *run.artifacts.values()])
    return [name for name in names if _FILE.fullmatch(name)]


def _pictures(run: Run, story: BeforeAfter | None) -> dict[str, Any]:
    """The page's pictures, and the style and script that they need, with their policy."""
    script, style = flames.script(), template(HERE, "report.css") + flames.style()
    pictures = list(_flames(run, story))
    knee, waterfall = knee_chart(run), waterfall_list(run)
    latency, drift = latency_chart(run), drift_chart(run)
    return {
        "csp": policy(script, style),
        "style": Markup(style),
        "script": Markup(script),
        "knee_chart": knee,
        "drift_chart": drift,
        "waterfall_chart": waterfall,
        # Two stand side by side: the last one of an odd number has the row to itself.
        "trust_is_wide": (bool(knee) + bool(waterfall) + bool(run.findings)) % 2 == 0,
        "limit_is_wide": bool(latency) == bool(drift),
        "latency_chart": latency,
        "states_chart": states_chart(run),
        "over_time": over_time(run),
        "phases": phases_words(run),
        "flames": pictures,
        "has_flame": bool(pictures),
    }


@cache
def _template() -> Template:
    return filled("report.html.j2", plain=plain)


def _tone(run: Run) -> str:
    if run.ending is not RunEnd.COMPLETE:
        return "failed" if run.ending is RunEnd.FAILED else "cut"
    return "" if run.kind == RunKind.PROFILE else run.verdict.value.lower()


def _findings_note(run: Run) -> str:
    waited = any(f.category in _HELD_UP for f in run.findings)
    return "time others waited for it is blamed on it" if waited else ""


def _knee_what(run: Run) -> str:
    if isinstance(run.knee, Knee):
        return plain(criterion_words(run.knee))
    criterion = knee_criterion(run)
    return plain(criterion.name) if criterion else ""


def _bottleneck(run: Run) -> dict[str, Any] | None:
    bottleneck = run.bottleneck
    if bottleneck is None:
        return None
    second, score = bottleneck.runner_up, f"{bottleneck.runner_up_score:.2f}"
    return {
        "words": bottleneck_words(bottleneck.category),
        "score": f"{bottleneck.score:.2f}",
        "runner_up": f"{bottleneck_words(second)}, {score}" if second else "",
        "evidence": [*bottleneck.evidence, *filter(None, [route_time_words(run)])],
    }


def _waterfall(run: Run) -> dict[str, Any]:
    """The parts of what load added, and what to know of them."""
    waterfall = run.waterfall
    if waterfall is None or not waterfall.parts:
        return {"waterfall": [], "waterfall_words": "", "waterfall_remarks": ()}
    return {
        "waterfall": html_rows.waterfall(waterfall),
        "waterfall_words": totals_words(waterfall, run),
        "held_at": held_at(run),
        "waterfall_remarks": remarks(waterfall),
    }


def _flames(run: Run, story: BeforeAfter | None) -> Iterator[dict[str, Any]]:
    """The one that shows the first suspect in front; each other one folded away."""
    for phase in phases(run):
        title, cost = phase_words(run, phase), cost_per_weight(run, phase)
        picture = flames.flamegraph(run.profiles[phase], title, cost, alone=False)
        yield {"name": title, "svg": picture}
    for early, late in _GROWN:
        yield from difference((run, run), (early, late), "what load added")
    if story is not None and story.before is not None:
        for phase in (SpanName.KNEE, SpanName.KNEE_WAITS):
            yield from difference((story.before, run), (phase, phase), "what the change did")


def _trust(run: Run) -> Iterator[tuple[str, object]]:
    """What the tool did to the measurement, next to what it measured."""
    believed = [t for t in run.trials if not t.invalid]
    yield from _generator_trust(run.trials)
    invalid, overloaded = len(run.trials) - len(believed), sum(bool(t.overload) for t in believed)
    yield "trials", f"{len(run.trials)}, of which {invalid} invalid and {overloaded} overloaded"
    yield from _host_trust(run.trials)
    if run.probe_effect is not None:
        yield from _probe_trust(run.probe_effect)
    if run.drift is not None:
        yield "the service, early and late", run.drift.sentence
        yield from ((f"{slope.of} grows", str(slope)) for slope in run.drift.slopes)
    for phase, profile in run.profiles.items():
        yield f"profile, {phase}", flames.health(profile)
    for phase, states in run.states.items():
        cost = f", {format_share(states.cost)} of a core" if states.cost else ""
        looks = f"{states.ticks:,} looks in {format_duration(states.seconds)}"
        yield f"thread states, {phase}", f"{looks} ({states.source}{cost})"
    is_open = run.question.ramp.loop == LoopKind.OPEN
    due = "yes: requests are due on a schedule and their wait counts"
    yield "open loop", due if is_open else "NO: closed loop"


def _generator_trust(trials: Sequence[Trial]) -> Iterator[tuple[str, object]]:
    lag, sent, cpu = worst_generator(trials)
    if lag is not None:
        yield "sent late, p99, worst trial", f"{ms(lag)} ms"
    if sent is not None:
        yield "sent of what was due, worst trial", format_share(sent)
    if cpu is not None:
        yield "generator's CPU, busiest second", f"{format_share(cpu)} of one core"


def _host_trust(trials: Sequence[Trial]) -> Iterator[tuple[str, object]]:
    """What other work on the host took, in the trial that it disturbed most; nothing where nobody
    looked.
    """
    seen = [t.interference for t in trials if t.interference is not None]
    worst = max(seen, key=lambda each: each.target_waited or 0.0, default=None)
    if worst is None:
        return
    yield "trials set aside for other work on the host", sum(t.set_aside for t in trials)
    if worst.others is not None:
        names = ", ".join(each.name for each in worst.busiest)
        yield "other work, worst trial", f"{worst.others:.2f} cores{names and f' ({names})'}"
    if worst.target_waited is not None:
        yield "the target waited for it, worst trial", f"{worst.target_waited:.3f} cores"
    if worst.steal:
        yield "taken by the hypervisor, worst trial", format_share(worst.steal)


def _probe_trust(effect: ProbeEffect) -> Iterator[tuple[str, object]]:
    flag = ": the profile disturbed the service" if effect.flagged else ""
    yield "profiling changed throughput by", change_words(effect, "throughput") + flag
    yield "profiling changed p50 by", change_words(effect, "p50")
    yield "profiling changed p99 by", change_words(effect, "p99")
    yield "profiling changed CPU per request by", cpu_words(effect)
    yield "about the probe", effect.note
