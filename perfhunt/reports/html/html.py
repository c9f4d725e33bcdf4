"""The report as one HTML file that needs nothing else: no network, no fonts, no framework; it reads
well without scripts too.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from perfhunt.model.document.redaction import redacted
from perfhunt.model.document.writing import sent_share
from perfhunt.model.finding import TimeClass
from perfhunt.model.knee import Knee
from perfhunt.model.run import Run, RunKind
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.html import rows as html_rows
from perfhunt.reports.phases import phase_words, phases
from perfhunt.reports.pictures.charts import latency_chart, states_chart
from perfhunt.reports.pictures.flamegraph import asset, flamegraph, health
from perfhunt.reports.pictures.knee_chart import knee_chart, knee_criterion
from perfhunt.reports.pictures.svg import visible
from perfhunt.reports.request_cost import cost_per_weight
from perfhunt.reports.verdict_sentence import headline, verdict_sentence
from perfhunt.reports.words import bottleneck_words, criterion_words, ms, ratio_words


def html(run: Run) -> str:
    """The page. Everything that came from the target or its code is escaped; secrets of the
    question are not in it.
    """
    run = redacted(run)
    script, style = asset("flame.js"), asset("report.css") + asset("flame.css")
    flames = list(_flames(run))
    at, routes = html_rows.routes(run)
    return _template().render(
        run=run,
        csp=_policy(script, style),
        style=Markup(style),
        script=Markup(script),
        started=f"{run.started[:19].replace('T', ' ')} UTC",
        name=run.question.target.name or run.question.target.url,
        url=run.question.target.url,
        took=format_duration(run.seconds) if run.seconds else "",
        headline=headline(run),
        sentence=verdict_sentence(run),
        tone=_tone(run),
        facts=html_rows.facts(run),
        objectives=html_rows.objectives(run),
        notes=html_rows.notes(run),
        judged_at=format_rate(run.judged_at) if run.judged_at else "",
        knees=html_rows.knees(run),
        knee_chart=Markup(knee_chart(run)),
        knee_what=_knee_what(run),
        knee_note=html_rows.knee_note(run),
        latency_chart=Markup(latency_chart(run)),
        confidence=f"{run.knee.confidence:.0%}" if isinstance(run.knee, Knee) else "95%",
        findings=html_rows.findings(run),
        any_grew=any(f.grew is not None for f in run.findings),
        findings_note=(
            "time others waited for it is blamed on it"
            if any(f.category == TimeClass.LOCK for f in run.findings)
            else ""
        ),
        what_if=html_rows.what_if(run),
        bottleneck=_bottleneck(run),
        states_chart=Markup(states_chart(run)),
        flames=flames,
        has_flame=bool(flames),
        trust=html_rows.pairs(_trust(run)),
        routes=routes,
        routes_at=at,
        trials=html_rows.trials(run),
        asked=html_rows.asked(run),
        environment=html_rows.environment(run),
        fingerprint=run.question.fingerprint(),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(asset("report.html.j2"))


def _shown(value: object) -> object:
    """Every text that is filled in, without characters that a page must not hold; markup of our own
    as it is.
    """
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(script: str, style: str) -> str:
    """A content security policy that allows this page's own script and style, by hash, and nothing
    else.
    """
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri"
        " 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _tone(run: Run) -> str:
    word = run.ended.partition(":")[0]
    if word == "failed":
        return "failed"
    return (
        run.verdict.value.lower()
        if word == "complete" and run.kind != RunKind.PROFILE
        else "cut"
        if word != "complete"
        else ""
    )


def _knee_what(run: Run) -> str:
    if isinstance(run.knee, Knee):
        return criterion_words(run.knee)
    criterion = knee_criterion(run)
    return criterion.name if criterion else ""


def _bottleneck(run: Run) -> dict[str, Any] | None:
    found = run.bottleneck
    if found is None:
        return None
    runner_up = (
        f"{bottleneck_words(found.runner_up)}, {found.runner_up_score:.2f}"
        if found.runner_up
        else ""
    )
    return {
        "words": bottleneck_words(found.category),
        "score": f"{found.score:.2f}",
        "runner_up": runner_up,
        "evidence": list(found.evidence),
    }


def _flames(run: Run) -> Iterator[dict[str, Any]]:
    """The one that shows the first suspect in front; each other one folded away."""
    for phase in phases(run):
        title = phase_words(run, phase)
        svg = flamegraph(run.profiles[phase], title, cost_per_weight(run, phase), alone=False)
        yield {"name": title, "svg": Markup(svg)}


def _trust(run: Run) -> Iterator[tuple[str, object]]:
    """What the tool did to the measurement, next to what it measured."""
    believed = [t for t in run.trials if not t.invalid]
    lags = [t.generator.lag_p99 for t in believed if t.generator.lag_p99 is not None]
    if lags:
        yield "sent late, p99, worst trial", f"{ms(max(lags))} ms"
    shares = [share for t in believed if not t.overload and (share := sent_share(t)) is not None]
    if shares:
        yield "sent of what was due, worst trial", format_share(min(shares))
    cpu = [t.generator.cpu for t in believed if t.generator.cpu is not None]
    if cpu:
        yield "generator's CPU, busiest second", f"{format_share(max(cpu))} of one core"
    dropped = len(run.trials) - len(believed)
    yield (
        "trials",
        (
            f"{len(run.trials)}, of which {dropped} invalid and"
            f" {sum(bool(t.overload) for t in believed)} overloaded"
        ),
    )
    effect = run.probe_effect
    if effect is not None:
        flag = ": the profile disturbed the service" if effect.flagged else ""
        yield "profiling changed throughput by", ratio_words(effect.throughput) + flag
        yield (
            "profiling changed p50, p99 by",
            f"{ratio_words(effect.p50)}, {ratio_words(effect.p99)}",
        )
        yield "profiling changed CPU by", ratio_words(effect.cpu)
        yield "about the probe", effect.note
    for phase, profile in run.profiles.items():
        yield f"profile, {phase}", health(profile)
    for phase, states in run.states.items():
        cost = f", {format_share(states.cost)} of a core" if states.cost else ""
        yield (
            f"thread states, {phase}",
            f"{states.ticks:,} looks in {format_duration(states.seconds)} ({states.source}{cost})",
        )
    yield (
        "open loop",
        (
            "yes: requests are due on a schedule and their wait counts"
            if run.question.ramp.loop == "open"
            else "NO: closed loop"
        ),
    )
