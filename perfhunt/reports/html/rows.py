"""The rows of the report's tables: plain text from a Run, ready for a template that escapes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from markupsafe import Markup

from perfhunt.model.finding import BottleneckClass, Finding
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.run import Run, RunKind
from perfhunt.model.slo import Judged, Judgement
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.pictures.charts import interval_bar
from perfhunt.reports.pictures.knee_chart import knee_criterion
from perfhunt.reports.words import (
    allowed,
    bottleneck_words,
    capacity_words,
    criterion_words,
    knee_kind,
    knee_words,
    measured,
    ms,
    ms_interval,
    place,
    plural,
    rate_range,
)

TableRow: TypeAlias = Mapping[str, object]
FINDINGS = 15


def objectives(run: Run) -> list[TableRow]:
    """The SLO table, what missed first."""
    ordered = sorted(run.judged, key=lambda j: ("MISSED", "UNKNOWN", "MET").index(j.verdict.value))
    return [_objective(j) for j in ordered]


def _objective(judged: Judged) -> TableRow:
    words = {Judgement.MET: "met", Judgement.MISSED: "missed", Judgement.UNKNOWN: "unknown"}
    word = words[judged.verdict]
    return {
        "name": judged.objective.name,
        "asked": allowed(judged),
        "measured": measured(judged),
        "n": f"{judged.n:,}",
        "word": word,
        "tone": word,
    }


def notes(run: Run) -> list[TableRow]:
    """Each remark on the SLO once, with the objectives it is about."""
    found: dict[str, list[str]] = {}
    for judged in run.judged:
        if judged.note and judged.note != "no data":
            found.setdefault(judged.note, []).append(judged.objective.name)
    return [
        {"names": ", ".join(names) if len(names) < 4 else f"{len(names)} objectives", "note": n}
        for n, names in found.items()
    ]


def facts(run: Run) -> list[TableRow]:
    """The four numbers on top."""
    if run.kind == RunKind.PROFILE:
        return []
    knee = run.knee
    found: list[TableRow] = []
    if isinstance(knee, Knee):
        note = f"{rate_range(knee.low, knee.high)} at {knee.confidence:.0%}, {knee_kind(knee)}"
        found.append({"name": "Knee", "value": format_rate(knee.rate), "note": note})
    else:
        known = f"at least {format_rate(knee.low)}" if knee.low else "none"
        found.append({"name": "Knee", "value": known, "note": knee.code})
    if run.capacity is not None:
        note = rate_range(run.capacity.low, run.capacity.high)
        found.append(
            {
                "name": "Capacity when saturated",
                "value": format_rate(run.capacity.rate),
                "note": note,
            }
        )
    if run.bottleneck is not None:
        top = run.findings[0] if run.findings else None
        value = (
            run.bottleneck.category
            if run.bottleneck.category == BottleneckClass.UNDETERMINED
            else bottleneck_words(run.bottleneck.category)
        )
        note = (
            f"in {top.function} ({place(top, short=True)})"
            if top
            else f"score {run.bottleneck.score:.2f}"
        )
        found.append({"name": "Stopped by", "value": value, "note": note})
    what_if = run.findings[0].what_if if run.findings else None
    if what_if is not None:
        note = f"{rate_range(what_if.low, what_if.high)}, predicted"
        found.append({"name": "Without that", "value": format_rate(what_if.rate), "note": note})
    return found if len(found) > 1 else []


def knees(run: Run) -> list[TableRow]:
    """The knee of every objective, where there are several."""
    criteria = run.question.slo.criteria()
    if len(run.knees) < 2:
        return []
    rows: list[TableRow] = []
    for index, knee in enumerate(run.knees):
        if isinstance(knee, NoKnee):
            what = criteria[index].name if index < len(criteria) else "other"
            rows.append({"what": what, "words": knee_words(knee), "kind": "no knee"})
        else:
            rows.append(
                {"what": criterion_words(knee), "words": knee_words(knee), "kind": knee_kind(knee)}
            )
    return rows


def findings(run: Run) -> list[TableRow]:
    """The suspects, with pictures of their intervals on one scale."""
    shown = run.findings[:FINDINGS]
    most = max((f.blamed.high for f in shown), default=0.0)
    return [_finding(f, most) for f in shown]


def _finding(finding: Finding, most: float) -> TableRow:
    blamed = finding.blamed
    via = f"via {finding.via}" if finding.via and finding.via not in finding.evidence else ""
    return {
        "rank": finding.rank,
        "function": finding.function,
        "file": finding.file,
        "place": place(finding),
        "cls": finding.category,
        "cost": ms_interval(blamed),
        "bar": Markup(interval_bar(blamed.low, blamed.value, blamed.high, most)),
        "self": format_share(finding.self_share),
        "total": format_share(finding.total_share),
        "grew": "" if finding.grew is None else ms_interval(finding.grew),
        "evidence": "; ".join(filter(None, (finding.evidence, via))),
    }


def what_if(run: Run) -> str:
    """The prediction for the first suspect, as a sentence; empty when there is none."""
    top = run.findings[0] if run.findings else None
    if top is None or top.what_if is None:
        return ""
    guess = top.what_if
    gone = "were gone" if guess.removed >= 0.999 else f"took {format_share(guess.removed)} less"
    cap = f"; {guess.cap}" if guess.cap else ""
    rate = f"{format_rate(guess.rate)} ({rate_range(guess.low, guess.high)})"
    caveat = f" {guess.caveat[0].upper()}{guess.caveat[1:].rstrip('.')}." if guess.caveat else ""
    return (
        f"{top.function} {gone}, the knee would be near {rate}{cap}.{caveat} A bound, not a"
        " promise."
    )


def at_knee(run: Run) -> Trial | None:
    """The trial that shows the service at its knee, undisturbed: a quiet one, else the highest rate
    that went well.
    """
    quiet = [t for t in run.trials if t.step.phase is Phase.QUIET and not t.invalid]
    calm = [t for t in run.trials if not t.overload and not t.invalid and t.n]
    seen = quiet or sorted(calm, key=lambda t: t.step.rate)
    return seen[-1] if seen else run.baseline


def routes(run: Run) -> tuple[str, list[TableRow]]:
    """Which trial the routes are shown from, and their rows."""
    trial = at_knee(run)
    if trial is None or not trial.routes:
        return "", []
    rows: list[TableRow] = []
    for name, route in sorted(
        trial.routes.items(), key=lambda item: -(item[1].response.p99 or 0.0)
    ):
        rows.append(
            {
                "name": name,
                "n": f"{route.response.n:,}",
                "share": format_share(route.response.n / (trial.n or 1)),
                "p50": ms(route.response.p50),
                "p95": ms(route.response.p95),
                "p99": ms(route.response.p99),
                "service": ms(route.service.p99),
                "failed": sum(n for o, n in route.outcomes.items() if o != "ok"),
                "statuses": ", ".join(
                    f"{status}: {n:,}" for status, n in sorted(route.statuses.items())
                ),
            }
        )
    return f"{trial.step.phase.value} at {format_rate(trial.step.rate)}, slowest first", rows


def trials(run: Run) -> list[TableRow]:
    """Every trial."""
    criterion = knee_criterion(run)
    return [_trial(t, criterion.name if criterion else "") for t in run.trials]


def _trial(trial: Trial, criterion: str) -> TableRow:
    count, used = trial.counts.get(criterion), trial.resources
    cpu = "—" if used is None or used.cpu is None else f"{used.cpu:.2f}"
    rss = "—" if used is None or used.rss is None else f"{used.rss / 2**20:,.0f}"
    return {
        "at": f"{trial.started:.0f}",
        "phase": trial.step.phase.value,
        "rate": format_rate(trial.step.rate),
        "achieved": format_rate(trial.achieved),
        "n": f"{trial.n:,}",
        "over": "—" if count is None else f"{count.exceed:,} ({format_share(count.share)})",
        "p50": ms(trial.response.p50),
        "p95": ms(trial.response.p95),
        "p99": ms(trial.response.p99),
        "service": ms(trial.service.p99),
        "errors": f"{trial.failed:,}",
        "cpu": cpu,
        "rss": rss,
        "lag": ms(trial.generator.lag_p99),
        "remark": trial.invalid or trial.overload,
        "tone": "doubtful" if trial.invalid else "trouble" if trial.overload else "",
    }


def pairs(rows: Iterable[tuple[str, object]]) -> list[TableRow]:
    """Name and value, without those that are empty."""
    return [
        {"name": name, "value": str(value)} for name, value in rows if value not in ("", None, 0)
    ]


def asked(run: Run) -> list[TableRow]:
    """The question, redacted by the caller."""
    q = run.question
    ramp = q.ramp
    traffic = [f"{e.name}: {e.method} {e.path} ×{e.weight:g}" for e in q.traffic]
    return pairs(
        [
            ("target", q.target.url),
            ("environment", q.target.environment),
            *(("traffic", line) for line in traffic),
            ("locustfile", q.locustfile),
            *(("objective", str(o)) for o in q.slo.objectives),
            (
                "ramp",
                (
                    f"{ramp.mode} from {format_rate(ramp.start)}, {ramp.arrivals} arrivals,"
                    f" {ramp.loop} loop"
                ),
            ),
            ("budget", format_duration(ramp.budget)),
            ("timeout", format_duration(ramp.timeout)),
            ("seed", q.seed),
        ]
    )


def environment(run: Run) -> list[TableRow]:
    """Host, target and tools; command lines redacted by the caller."""
    e, t = run.environment, run.target
    revision = (
        f"{e.git_revision[:12]}{' with uncommitted changes' if e.git_dirty else ''}"
        if e.git_revision
        else ""
    )
    rows: list[tuple[str, object]] = [
        ("host", e.host),
        ("processor", f"{e.cpu_model} × {e.cores}" if e.cores else e.cpu_model),
        ("memory", f"{e.memory / 2**30:.1f} GiB" if e.memory else ""),
        ("kernel", e.kernel),
        ("virtualised", e.virtualised),
        ("load average before", e.load_average),
        ("kept apart by", e.pinning),
        ("revision", revision),
        ("python of perfhunt", e.python),
        ("tools", ", ".join(f"{n} {v}" for n, v in e.tools.items())),
    ]
    if t is not None:
        cpu = f"{t.cpu_limit:g} cores ({t.cpu_limit_source})" if t.cpu_limit else ""
        memory = (
            f"{t.memory_limit / 2**20:,.0f} MiB ({t.memory_limit_source})" if t.memory_limit else ""
        )
        rows += [
            ("target", f"pid {t.root}, {plural(len(t.workers), 'worker')}"),
            ("runs on", f"{t.runtime} {t.runtime_version} {t.framework}".strip()),
            ("may use", "; ".join(filter(None, (cpu, memory)))),
            *((f"pid {p.pid}", " ".join(p.cmdline)) for p in t.processes[:6]),
            *(("note", note) for note in t.notes),
        ]
    return pairs(rows)


def knee_note(run: Run) -> str:
    """What the knee's own record adds: note, dispersion, load; the reason when there is none."""
    if isinstance(run.knee, NoKnee):
        return f"No knee: {run.knee.reason}. Capacity {capacity_words(run.capacity)}."
    knee, said = run.knee, []
    if knee.sharpness is not None:
        said.append(f"1 % more load makes the share over the limit {knee.sharpness:.0f} % larger")
    if knee.phi is not None:
        said.append(
            f"slow requests came in bursts (dispersion {knee.phi:.1f})"
            if knee.phi > 1.5
            else f"dispersion {knee.phi:.1f}"
        )
    if knee.load:
        over = f", {knee.passes} pass{'' if knee.passes == 1 else 'es'}" if knee.passes else ""
        said.append(f"{format_duration(knee.load)} of load{over}")
    sentences = (
        text[:1].upper() + text[1:].rstrip(".") + "."
        for text in ("; ".join(said), knee.note)
        if text
    )
    return " ".join(sentences)
