"""The rows of the report's tables: plain text from a Run, ready for a template that escapes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeAlias

from perfhunt.model.finding import Finding, Waterfall
from perfhunt.model.knee import Knee, NoKnee, RouteKnee
from perfhunt.model.latency import PROBED
from perfhunt.model.question import RequestTemplate
from perfhunt.model.run import Run, TargetProcess
from perfhunt.model.slo import Judged, Judgement
from perfhunt.model.trial import Phase, RouteResult, Trial
from perfhunt.model.units import format_duration, format_rate, format_share
from perfhunt.reports.html.plain_words import (
    PHASE_WORDS,
    asked_words,
    kind_words,
    objective_words,
    plain,
    use_words,
)
from perfhunt.reports.inside import beside
from perfhunt.reports.pictures.charts import interval_bar
from perfhunt.reports.pictures.knee_chart import knee_criterion
from perfhunt.reports.pictures.waterfall_words import every_part
from perfhunt.reports.requests.failures import error_texts, failed_requests
from perfhunt.reports.words import (
    capacity_words,
    criterion_words,
    knee_kind,
    knee_words,
    leaves_words,
    made_by,
    measured,
    ms,
    ms_column,
    ms_interval,
    place,
    plural,
    predicted_words,
    prediction,
    route_words,
)

TableRow: TypeAlias = Mapping[str, object]
FINDINGS = 15  # suspects in the table: more than that nobody reads
BURSTS = 1.5  # dispersion of counts over binomial from which slow requests came in bursts
PROCESSES = 6  # of the target, with their command lines
_WORST_FIRST = (Judgement.MISSED, Judgement.UNKNOWN, Judgement.MET)


def objectives(run: Run) -> list[TableRow]:
    """The SLO table, what missed first."""
    return [_objective(j) for j in worst_first(run.judged)]


def worst_first(judged: Sequence[Judged]) -> list[Judged]:
    """What missed first, then what is not known; else in the order they were asked."""
    return sorted(judged, key=lambda j: _WORST_FIRST.index(j.verdict))


def _objective(judged: Judged) -> TableRow:
    word = judged.verdict.value.lower()
    return {
        "name": objective_words(judged.objective),
        "asked": asked_words(judged),
        "measured": measured(judged),
        "n": f"{judged.n:,}",
        "word": word,
        "tone": word,
    }


def notes(run: Run) -> list[TableRow]:
    """Each remark on the SLO once, with the objectives it is about."""
    by_note: dict[str, list[str]] = {}
    for judged in run.judged:
        if judged.note and judged.note != "no data":
            by_note.setdefault(judged.note, []).append(objective_words(judged.objective))
    return [
        {"names": ", ".join(names) if len(names) < 4 else f"{len(names)} objectives", "note": note}
        for note, names in by_note.items()
    ]


def failures(run: Run) -> list[TableRow]:
    """Requests that failed alike, the most first, with the first of each kind."""
    return [
        {
            "route": kind.route,
            "how": kind.how,
            "count": f"{kind.count:,} of {kind.n:,}",
            "rates": kind.rates,
            "first": kind.first,
        }
        for kind in failed_requests(run)
    ]


def failure_texts(run: Run) -> list[str]:
    """What clients said when requests failed, and how often."""
    return [f"{count:,} times: {text}" for text, count in error_texts(run)]


def knees(run: Run) -> list[TableRow]:
    """The knee of every objective, where there are several."""
    if len(run.knees) < 2:
        return []
    criteria = run.question.slo.criteria()
    names = [criterion.name for criterion in criteria]
    names += ["other"] * (len(run.knees) - len(names))
    return [
        {"what": plain(name), "words": plain(knee_words(knee)), "kind": "no knee"}
        if isinstance(knee, NoKnee)
        else {
            "what": plain(criterion_words(knee)),
            "words": knee_words(knee),
            "kind": knee_kind(knee),
        }
        for name, knee in zip(names, run.knees, strict=False)
    ]


def findings(run: Run) -> list[TableRow]:
    """The suspects, with pictures of their intervals on one scale."""
    shown = run.findings[:FINDINGS]
    most = max((f.blamed.high for f in shown), default=0.0)
    grown = iter(ms_column([f.grew for f in shown if f.grew is not None], signed=True))
    return [_finding(f, most, "" if f.grew is None else next(grown), beside(run, f)) for f in shown]


def _finding(finding: Finding, most: float, grew: str, inside: Sequence[str]) -> TableRow:
    blamed = finding.blamed
    via = f"via {finding.via}" if finding.via and finding.via not in finding.evidence else ""
    return {
        "rank": finding.rank,
        "function": finding.function,
        "file": finding.file,
        "place": place(finding),
        "kind": kind_words(finding.category),
        "cost": ms_interval(blamed),
        "bar": interval_bar(blamed.low, blamed.value, blamed.high, most),
        "self": format_share(finding.self_share),
        "total": format_share(finding.total_share),
        "grew": grew,
        "evidence": "; ".join(
            filter(None, (finding.evidence.rstrip("."), leaves_words(finding), via, *inside))
        ),
    }


def what_if(run: Run) -> str:
    """The prediction for the first suspect, or why there is none; empty when there is neither."""
    top = run.findings[0] if run.findings else None
    known = prediction(run)
    if top is None or known is None:
        return f"No prediction: {top.withheld}." if top and top.withheld else ""
    removed = f"took {format_share(known.removed)} less"
    gone = "were gone" if known.removed >= 0.999 else removed
    cap = f"; {known.cap}" if known.cap else ""
    caveat = f" {_sentence(known.caveat)}" if known.caveat else ""
    bound = "A bound, not a promise."
    where = predicted_words(known)
    where = where if known.at_least else f"near {where}"
    return f"{top.function} {gone}, the knee would be {where}{cap}.{caveat} {bound}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def waterfall(parts: Waterfall) -> list[TableRow]:
    """What load added, part by part, with what is not accounted for."""
    every = every_part(parts)
    column = ms_column([part.added for part in every], signed=True)
    return [
        {
            "name": part.name,
            "place": PurePosixPath(part.file).name,
            "base": ms(part.base),
            "knee": ms(part.knee),
            "added": added,
        }
        for part, added in zip(every, column, strict=True)
    ]


def _at_knee(run: Run) -> Trial | None:
    """The trial that shows the service at its knee, undisturbed: a quiet one, else the highest rate
    that went well.
    """
    quiet = [t for t in run.trials if t.step.phase is Phase.QUIET and not t.invalid]
    calm = [t for t in run.trials if not t.overload and not t.invalid and t.n]
    undisturbed = quiet or sorted(calm, key=lambda t: t.step.rate)
    return undisturbed[-1] if undisturbed else run.baseline


def routes(run: Run) -> tuple[str, list[TableRow]]:
    """Which trial the routes are shown from, and their rows."""
    trial = _at_knee(run)
    if trial is None or not trial.routes:
        return "", []
    slowest_first = sorted(trial.routes.items(), key=lambda item: -(item[1].response.p99 or 0.0))
    knees = {r.route: r for r in run.route_knees if r.route != PROBED}
    rows = [_route(name, route, trial.n, knees.get(name)) for name, route in slowest_first]
    where = PHASE_WORDS[trial.step.phase]
    return f"{where}, at {format_rate(trial.step.rate)}, slowest first", rows


def _route(name: str, route: RouteResult, n: int, knee: RouteKnee | None) -> TableRow:
    return {
        "name": name,
        "knee": "" if knee is None else route_words(knee),
        "knee_n": "" if knee is None else f"n={knee.n:,}",
        "n": f"{route.response.n:,}",
        "share": format_share(route.response.n / (n or 1)),
        "p50": ms(route.response.p50),
        "p95": ms(route.response.p95),
        "p99": ms(route.response.p99),
        "service": ms(route.service.p99),
        "failed": sum(count for outcome, count in route.outcomes.items() if outcome != "ok"),
        "statuses": ", ".join(f"{code}: {n:,}" for code, n in sorted(route.statuses.items())),
    }


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
        "phase": PHASE_WORDS[trial.step.phase],
        "rate": format_rate(trial.step.rate),
        "achieved": format_rate(trial.achieved),
        "n": f"{trial.n:,}",
        "over": "—" if count is None else f"{count.exceed:,}",
        "p50": ms(trial.response.p50),
        "p95": ms(trial.response.p95),
        "p99": ms(trial.response.p99),
        "service": ms(trial.service.p99),
        "errors": f"{trial.failed:,}",
        "cpu": cpu,
        "rss": rss,
        "lag": ms(trial.generator.lag_p99),
        "use": plain(use_words(trial)),
        "tone": "doubtful" if trial.invalid else "trouble" if trial.overload else "",
    }


def pairs(rows: Iterable[tuple[str, object]]) -> list[TableRow]:
    """Name and value, without those that are empty."""
    return [
        {"name": name, "value": str(value)} for name, value in rows if value not in ("", None, 0)
    ]


def _requests(first: RequestTemplate) -> Iterator[str]:
    """A request of the traffic, then the later steps of its journey."""
    yield f"{first.name}: {first.method} {first.path} ×{first.weight:g}"
    for step in first.then:
        think = f" {format_duration(step.think)}" if step.think else ""
        yield f"then{think} {step.name}: {step.method} {step.path}"


def question(run: Run) -> list[TableRow]:
    """The question, redacted by the caller."""
    q, ramp = run.question, run.question.ramp
    start = format_rate(ramp.start)
    return pairs(
        [
            ("target", q.target.url),
            ("environment", q.target.environment),
            *(("traffic", line) for first in q.traffic for line in _requests(first)),
            ("rates", q.rates_said),
            ("login", q.login and ", ".join(f"{s.method} {s.path}" for s in q.login.steps)),
            ("locustfile", q.locustfile),
            ("k6 script", q.k6_script),
            *(("objective", plain(str(o))) for o in q.slo.objectives),
            ("ramp", f"{ramp.mode} from {start}, {ramp.arrivals} arrivals, {ramp.loop} loop"),
            ("load made by", made_by(run)),
            ("budget", format_duration(ramp.budget)),
            ("timeout", format_duration(ramp.timeout)),
            ("seed", q.seed),
        ]
    )


def environment(run: Run) -> list[TableRow]:
    """Host, target and tools; command lines redacted by the caller."""
    e = run.environment
    uncommitted = " with uncommitted changes" if e.git_dirty else ""
    rows: list[tuple[str, object]] = [
        ("host", e.host),
        ("processor", f"{e.cpu_model} × {e.cores}" if e.cores else e.cpu_model),
        ("memory", f"{e.memory / 2**30:.1f} GiB" if e.memory else ""),
        ("kernel", e.kernel),
        ("virtualised", e.virtualised),
        ("load average before", e.load_average),
        ("kept apart by", e.pinning),
        ("revision", f"{e.git_revision[:12]}{uncommitted}" if e.git_revision else ""),
        ("python of perfhunt", e.python),
        ("tools", ", ".join(f"{name} {version}" for name, version in e.tools.items())),
    ]
    if run.launched is not None:
        rows.append(("started as", " ".join(run.launched.command)))
    return pairs(rows + _target(run.target) if run.target is not None else rows)


def _target(target: TargetProcess) -> list[tuple[str, object]]:
    limits = []
    if target.cpu_limit:
        limits.append(f"{target.cpu_limit:g} cores ({target.cpu_limit_source})")
    if target.memory_limit:
        mebibytes = target.memory_limit / 2**20
        limits.append(f"{mebibytes:,.0f} MiB ({target.memory_limit_source})")
    return [
        ("target", f"pid {target.root}, {plural(len(target.workers), 'worker')}"),
        ("runs on", f"{target.runtime} {target.runtime_version} {target.framework}".strip()),
        ("may use", "; ".join(limits)),
        *((f"pid {p.pid}", " ".join(p.cmdline)) for p in target.processes[:PROCESSES]),
        *(("note", note) for note in target.notes),
    ]


def knee_note(run: Run) -> str:
    """What the knee's own record adds: note, dispersion, load, and that no curve is stored; the
    reason when there is none.
    """
    knee = run.knee
    if isinstance(knee, NoKnee):
        return plain(f"No knee: {knee.reason}. Capacity {capacity_words(run.capacity)}.")
    without_curve = ""
    if knee.curve is None and knee.sharpness is not None:
        without_curve = (
            "No curve is stored in this run: the picture shows its trials and the interval"
        )
    sentences = ("; ".join(_knee_facts(knee)), knee.note, without_curve)
    return plain(" ".join(_sentence(text) for text in sentences if text))


def _knee_facts(knee: Knee) -> Iterator[str]:
    if knee.sharpness is not None:
        yield f"1 % more load makes the share over the limit {knee.sharpness:.0f} % larger"
    if knee.phi is not None:
        dispersion = f"dispersion {knee.phi:.1f}"
        bursts = f"slow requests came in bursts ({dispersion})"
        yield bursts if knee.phi > BURSTS else dispersion
    if knee.load:
        passes = f", {plural(knee.passes, 'pass', 'passes')}" if knee.passes else ""
        yield f"{format_duration(knee.load)} of load{passes}"
