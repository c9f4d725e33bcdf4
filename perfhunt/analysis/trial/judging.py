"""The SLO judged from trials: every objective, at the load it must hold at, with its value and how
many stand behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from perfhunt.analysis.trial.growth import slopes, watched_rate
from perfhunt.model.knee import Growing, Knee, NoKnee
from perfhunt.model.slo import Judged, Judgement, Measure, Objective, Slo, judge, with_note
from perfhunt.model.trial import Count, RouteResult, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_rate

# Outcomes in which the network, or what speaks over it, failed: no answer came that was HTTP.
TRANSPORT = ("timeout", "connect", "reset", "protocol", "tls", "too_large", "not_cleared")


GROWTH = {
    "memory_growth": Growing.RSS,
    "fds_growth": Growing.FDS,
    "threads_growth": Growing.THREADS,
}
HOUR: Seconds = 3600.0
SHORTEST: Seconds = 10.0  # of a judged trial; the shorter, the less its p99 says
ROUNDING: Share = 1e-9  # a share of exactly the allowed one is allowed, whatever 1 - 0.99 gives
# A trial keeps up when no criterion was exceeded by more than one in a hundred, which is what the
# usual p99 allows, and when all but one in fifty of its requests were answered within it: those at
# its very end are still under way.
KEPT: Share = 0.01
ANSWERED: Share = 0.98


def load_to_judge(slo: Slo, start: PerSecond) -> PerSecond:
    """The rate the SLO is judged at: what it names, else the throughput it asks for, else the
    baseline rate.
    """
    if slo.at_load is not None:
        return slo.at_load
    limits = [
        o.limit for o in slo.objectives if o.measure is Measure.THROUGHPUT and o.op in (">", ">=")
    ]
    return max(limits, default=start)


def time_to_judge(slo: Slo, shortest: Seconds = SHORTEST) -> Seconds:
    """Seconds the judged trial lasts: the longest window of any objective, at least `shortest`."""
    return max([shortest, *(o.window for o in slo.objectives if o.window)])


def judge_slo(
    slo: Slo, trial: Trial | None, knee: Knee | NoKnee, trials: Sequence[Trial] = ()
) -> tuple[Judged, ...]:
    """Every objective judged on `trial` (the one at the load the SLO names); `trials` are all, for
    counts over the whole run.

    A trial that the generator spoiled is no evidence: its objectives are UNKNOWN.
    """
    return tuple(_judge(o, slo, trial, knee, trials) for o in slo.objectives)


def _judge(
    objective: Objective,
    slo: Slo,
    trial: Trial | None,
    knee: Knee | NoKnee,
    trials: Sequence[Trial],
) -> Judged:
    if objective.key == "oom_kills":
        return _oom_kills(objective, trials)
    if objective.key in GROWTH:
        return _growth(objective, trials)
    if trial is None:
        return judge(objective, None, 0)
    if trial.invalid:
        return with_note(judge(objective, None, 0), trial.invalid)
    if objective.measure is Measure.LATENCY:
        return _latency(objective, trial, slo.min_samples)
    if objective.measure is Measure.THROUGHPUT:
        return _throughput(objective, trial, knee)
    if objective.measure is Measure.ERRORS:
        return _errors(objective, trial, slo.min_samples)
    return _resource(objective, trial)


def _latency(objective: Objective, trial: Trial, need: int) -> Judged:
    route = trial.routes.get(objective.route) if objective.route else None
    if objective.route and route is None:
        return judge(objective, None, 0)
    latency = route.response if route else trial.response
    share = objective.percentile
    judged = judge(
        objective, latency.at(share) if share is not None else latency.mean, latency.n, need
    )
    count = trial.counts.get(objective.name)
    if count is not None and share is not None:
        by_count = _by_count(judged, count, 1 - share, need)
        if by_count is not None:
            return by_count
    if trial.overload and judged.verdict is Judgement.MET:
        return replace(judged, verdict=Judgement.MISSED, note=f"overloaded: {trial.overload}")
    return judged


def _by_count(judged: Judged, count: Count, allowed: Share, need: int) -> Judged | None:
    """The judgement by how many requests were beyond the limit or failed; None where the percentile
    may speak.
    """
    unkept = judged.verdict is Judgement.UNKNOWN and judged.value is None
    if unkept and count.n >= need:
        return replace(
            judged,
            n=count.n,
            verdict=Judgement.MET if count.share <= allowed else Judgement.MISSED,
            note=f"{count.exceed} of {count.n} beyond the limit",
        )
    if judged.verdict is Judgement.MET and count.share > allowed + ROUNDING:
        # Failures answer quickly: a percentile over them must not pass.
        return replace(
            judged,
            n=count.n,
            verdict=Judgement.MISSED,
            note=f"{count.exceed} of {count.n} failed or were too slow",
        )
    return None


def _throughput(objective: Objective, trial: Trial, knee: Knee | NoKnee) -> Judged:
    if isinstance(knee, Knee):
        return _throughput_by_knee(objective, trial, knee)
    if knee.low is not None and objective.holds(knee.low):
        judged = judge(objective, knee.low, trial.n)
        note = f"no knee up to {format_rate(knee.low)}"
        return replace(judged, verdict=Judgement.MET, note=note)
    judged = judge(objective, trial.completed, trial.n)
    if trial.overload:
        note = f"overloaded at {format_rate(trial.step.rate)}"
        return replace(judged, verdict=Judgement.MISSED, note=note)
    return judged


def _throughput_by_knee(objective: Objective, trial: Trial, knee: Knee) -> Judged:
    judged = judge(objective, knee.rate, trial.n)
    if objective.holds(knee.low) or not objective.holds(knee.high):
        return with_note(judged, f"the knee is {format_rate(knee.low)} to {format_rate(knee.high)}")
    kept = not trial.overload and not any(c.share > KEPT for c in trial.counts.values())
    met = kept and objective.holds(trial.completed / ANSWERED)
    return replace(
        judged,
        verdict=Judgement.MET if met else Judgement.MISSED,
        note=f"the knee's interval holds the limit; judged by a trial at {trial.step.rate:g}/s",
    )


def _errors(objective: Objective, trial: Trial, need: int) -> Judged:
    routes = [r for name, r in trial.routes.items() if objective.route in (None, name)]
    n = sum(sum(r.outcomes.values()) for r in routes)
    if n == 0:
        return judge(objective, None, 0)
    if objective.key == "transport":
        return judge(
            objective, float(sum(r.outcomes.get(kind, 0) for r in routes for kind in TRANSPORT)), n
        )
    return judge(objective, _failing(objective.key, routes) / n, n, need)


def _failing(key: str, routes: Sequence[RouteResult]) -> int:
    if key.startswith("http_") and key.endswith("xx"):
        hundred = int(key[5])
        return sum(
            count
            for r in routes
            for status, count in r.statuses.items()
            if status // 100 == hundred
        )
    return sum(count for r in routes for kind, count in r.outcomes.items() if kind != "ok")


def _resource(objective: Objective, trial: Trial) -> Judged:
    used = trial.resources
    if used is None:
        return judge(objective, None, 0)
    value = used.cpu_share if objective.key == "cpu" else used.memory_share
    source = used.cpu_limit_source if objective.key == "cpu" else used.memory_limit_source
    return with_note(
        judge(objective, value, 1 if value is not None else 0), f"of {source}" if source else ""
    )


def _growth(objective: Objective, trials: Sequence[Trial]) -> Judged:
    """Growth per hour at the rate it was watched at: met or missed when its whole interval is, and
    not known in between.
    """
    slope = next((s for s in slopes(trials) if s.of is GROWTH[objective.key]), None)
    rate = watched_rate(trials)
    if slope is None or rate is None:
        judged = judge(objective, None, 0)
        return with_note(judged, "watch it for longer: perfhunt investigate --soak 30m")
    growth = slope.per_thousand.scaled(rate * HOUR / 1000)
    shown = f"{objective.format(growth.low)} to {objective.format(growth.high)}"
    note = f"{shown} at {format_rate(rate)}"
    judged = with_note(judge(objective, growth.value, growth.n), note)
    if objective.holds(growth.low) != objective.holds(growth.high):
        return replace(judged, verdict=Judgement.UNKNOWN)
    return judged


def _oom_kills(objective: Objective, trials: Sequence[Trial]) -> Judged:
    kills = [
        t.resources.oom_kills
        for t in trials
        if t.resources is not None and t.resources.oom_kills is not None
    ]
    return judge(objective, float(sum(kills)) if kills else None, len(kills))
