"""A Run as the document in run.json. Key names are public and stable; `perfhunt schema` gives each
one's unit.

Latencies are in milliseconds there and in seconds in the model: `ms` writes them to the nanosecond.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from perfhunt.model import redact
from perfhunt.model.document.plain import to_plain
from perfhunt.model.finding import Bottleneck, Finding
from perfhunt.model.interval import Interval
from perfhunt.model.knee import RESOURCE, Knee, NoKnee
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Profile
from perfhunt.model.run import SCHEMA, Run, TargetProcess
from perfhunt.model.slo import Judged, Measure
from perfhunt.model.trial import RouteResult, Trial
from perfhunt.model.units import Seconds, Share

LATENCY_KEYS = ("p50", "p90", "p95", "p99", "mean", "max")


def ms(seconds: Seconds | None) -> float | None:
    """Milliseconds to the nanosecond; None for no value, and for infinity, which JSON has no word
    for.
    """
    return None if seconds is None or not math.isfinite(seconds) else round(seconds * 1000, 6)


def document(run: Run) -> dict[str, Any]:
    """The plain values of run.json: strings, finite numbers, lists and dicts only; redacted."""
    criterion = (
        run.knee.criterion
        if isinstance(run.knee, Knee) and run.knee.label != RESOURCE
        else _first_criterion(run)
    )
    return {
        "schema": SCHEMA,
        "kind": run.kind,
        "id": run.id,
        "started": run.started,
        "perfhunt": run.perfhunt,
        "verdict": run.verdict.value,
        "ended": run.ended,
        "exit_code": run.exit_code,
        "seconds": run.seconds,
        "next_step": run.next_step,
        "question": to_plain(run.question.redacted()) | {"fingerprint": run.question.fingerprint()},
        "environment": to_plain(run.environment),
        "target": _target(run.target),
        "slo": {
            "verdict": run.verdict.value,
            "judged_at": run.judged_at,
            "objectives": [_judged(j) for j in run.judged],
        },
        "knee": _knee(run.knee),
        "knees": [_knee(k) for k in run.knees],
        "capacity": to_plain(run.capacity),
        "baseline": None if run.baseline is None else trial_document(run.baseline, criterion),
        "trials": [trial_document(t, criterion) for t in run.trials],
        "drains": to_plain(run.drains),
        "bottleneck": _bottleneck(run.bottleneck),
        "findings": [_finding(f) for f in run.findings],
        "states": {phase: to_plain(s) | {"totals": s.totals()} for phase, s in run.states.items()},
        "profiles": {phase: _profile(phase, p) for phase, p in run.profiles.items()},
        "generator": _generator(run.trials),
        "probe_effect": to_plain(run.probe_effect),
        "cautions": to_plain(run.cautions),
        "artifacts": to_plain(run.artifacts),
    }


def trial_document(trial: Trial, criterion: str = "", rows: bool = False) -> dict[str, Any]:
    """One trial; `exceed` counts `criterion`. Second rows only on request: they belong to
    trials.jsonl.
    """
    step = trial.step
    count = trial.counts.get(criterion) or next(iter(trial.counts.values()), None)
    plain = {
        "phase": step.phase.value,
        "rate": step.rate,
        "achieved": trial.achieved,
        "completed": trial.completed,
        "n": trial.n,
        "exceed": None if count is None else count.exceed,
        "overload": trial.overload,
        "invalid": trial.invalid,
        "response": latency_document(trial.response),
        "service": latency_document(trial.service),
        "errors": trial.failed,
        "lag_p99_ms": ms(trial.generator.lag_p99),
        "resources": to_plain(trial.resources),
        "counts": to_plain(trial.counts),
        "outcomes": to_plain(trial.outcomes),
        "routes": {name: _route(route) for name, route in trial.routes.items()},
        "generator": to_plain(trial.generator),
        "duration_s": step.duration,
        "settle_s": step.settle,
        "seconds": trial.seconds,
        "seed": step.seed,
        "arrivals": step.arrivals,
        "stop_on_overload": step.stop_on_overload,
        "started_s": trial.started,
        "samples": trial.samples,
    }
    return plain | {"rows": to_plain(trial.rows)} if rows else plain


def latency_document(latency: Latency) -> dict[str, Any]:
    """n, censored, and percentiles in milliseconds."""
    plain: dict[str, Any] = {"n": latency.n, "censored": latency.censored}
    return plain | {key: ms(getattr(latency, key)) for key in LATENCY_KEYS}


def profile_file(phase: str) -> str:
    """The name of the folded stacks of one phase within the run directory."""
    return f"profile-{re.sub('[^a-z0-9]+', '-', phase.lower())}.folded"


def redacted_profile(profile: Profile) -> Profile:
    """The profile without command lines in the frames that tools make of processes."""
    stacks = {
        tuple(
            replace(f, function=redact.frame_name(f.function)) if f.kind == "thread" else f
            for f in stack
        ): weight
        for stack, weight in profile.stacks.items()
    }
    return replace(profile, stacks=stacks)


def _first_criterion(run: Run) -> str:
    criteria = run.question.slo.criteria()
    return criteria[0].name if criteria else ""


def _target(target: TargetProcess | None) -> Any:
    if target is None:
        return None
    processes = tuple(replace(p, cmdline=redact.command(p.cmdline)) for p in target.processes)
    return to_plain(replace(target, processes=processes))


def _judged(judged: Judged) -> dict[str, Any]:
    objective = judged.objective
    latency = objective.measure is Measure.LATENCY
    return {
        "name": objective.name,
        "op": objective.op,
        "limit": ms(objective.limit) if latency else objective.limit,
        "value": ms(judged.value) if latency else judged.value,
        "unit": _unit(judged),
        "n": judged.n,
        "verdict": judged.verdict.value,
        "window_s": objective.window,
        "note": judged.note,
    }


def _unit(judged: Judged) -> str:
    if judged.objective.measure is Measure.LATENCY:
        return "ms"
    if judged.objective.measure is Measure.THROUGHPUT:
        return "1/s"
    return "count" if judged.objective.key in ("oom_kills", "transport") else "share"


def _knee(knee: Knee | NoKnee) -> dict[str, Any]:
    if isinstance(knee, NoKnee):
        return {"none": knee.reason, "code": knee.code, "low": knee.low, "high": knee.high}
    plain: dict[str, Any] = to_plain(knee)
    plain["limit_ms"] = ms(knee.limit)
    plain["load_s"] = plain.pop("load")
    del plain["limit"]
    return plain


def _route(route: RouteResult) -> dict[str, Any]:
    return {
        "response": latency_document(route.response),
        "service": latency_document(route.service),
        "statuses": to_plain(route.statuses),
        "outcomes": to_plain(route.outcomes),
    }


def _bottleneck(bottleneck: Bottleneck | None) -> Any:
    if bottleneck is None:
        return None
    plain = to_plain(bottleneck)
    return {"class": plain.pop("cls")} | plain


def _interval_ms(interval: Interval) -> dict[str, Any]:
    values = {key: ms(getattr(interval, key)) for key in ("value", "low", "high")}
    return values | {"n": interval.n, "confidence": interval.confidence}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rank": finding.rank,
        "function": finding.function,
        "file": finding.file,
        "line": finding.line,
        "class": finding.cls,
        "self_share": finding.self_share,
        "total_share": finding.total_share,
        "ms_per_request": _interval_ms(finding.blamed),
        "own_ms": _interval_ms(finding.own),
        "total_ms": _interval_ms(finding.total),
        "grew_ms": None if finding.grew is None else _interval_ms(finding.grew),
        "via": finding.via,
        "evidence": finding.evidence,
        "what_if": to_plain(finding.what_if),
        "runtime": finding.runtime,
    }


def _profile(phase: str, profile: Profile) -> dict[str, Any]:
    plain = {
        f.name: to_plain(getattr(profile, f.name)) for f in fields(profile) if f.name != "stacks"
    }
    return plain | {"weight": profile.total, "file": profile_file(phase)}


def sent_share(trial: Trial) -> Share | None:
    """Requests sent of those that were due, by the second rows; None without rows, for chance moves
    a rate by itself.
    """
    due = sum(row.due for row in trial.rows)
    return sum(row.sent for row in trial.rows) / due if due else None


def _generator(trials: Sequence[Trial]) -> Mapping[str, Any]:
    """The worst the generator did over all valid trials."""
    valid = [t for t in trials if not t.invalid]
    lags = [t.generator.lag_p99 for t in valid if t.generator.lag_p99 is not None]
    cpu = [t.generator.cpu for t in valid if t.generator.cpu is not None]
    achieved = [share for t in valid if not t.overload and (share := sent_share(t)) is not None]
    return {
        "lag_p99_ms": ms(max(lags)) if lags else None,
        "cpu": max(cpu) if cpu else None,
        "achieved_share": min(achieved) if achieved else None,
        "invalid_trials": len(trials) - len(valid),
    }
