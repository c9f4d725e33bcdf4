"""Two whole runs, each measured once: what one re-run can honestly say, with the noise between
starts in every interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.calibration import Calibration, restart_noise
from perfhunt.analysis.verdict.endpoints import (
    CAPACITY,
    CPU,
    KNEE,
    MEDIAN,
    cpu_per_request,
    failures,
    median_slope,
)
from perfhunt.analysis.verdict.rounds import (
    USUAL_BAR,
    Bar,
    EstimateFamily,
    effects_of,
    failing,
    inconclusive,
    smallest_of,
    word_of,
)
from perfhunt.analysis.verdict.sequential import Estimate
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.question import Question
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share
from perfhunt.model.verdict.verdict import Verdict, Word

BETWEEN_TIMES: Share = (
    0.02  # how far a quiet host wanders between two times of day; one re-run cannot average it out
)
_SAME_RATE = (Phase.BASELINE, Phase.STAIRCASE, Phase.JUDGE, Phase.FIXED)
_NEAR_KNEE = (Phase.PASS, Phase.QUIET, Phase.COARSE)
# neighbouring seconds of one trial are alike: their standard error is this much larger than it
# looks
_CORRELATED = 1.5
_BLIND: Share = 0.10  # standard error of a log median whose trial kept no second rows
_MIDDLE = 1.959964  # of a 95 % interval
_ABOVE, _BELOW = "below-max-rate", ("missed-at-baseline", "errors-at-once")
_HOST_FIELDS = (
    "host",
    "kernel",
    "cpu_model",
    "cores",
    "memory",
    "virtualised",
    "pinning",
    "env_sha256",
    "distributions",
)

MetricReading = tuple[
    Estimate, tuple[float | None, float | None], str
]  # log speed, values before and after, note


def judge_rerun(
    stored: Run,
    new: Run,
    calibration: Calibration | None = None,
    explained: frozenset[str] = frozenset(),
    bar: Bar = USUAL_BAR,
    method: str = "rerun",
) -> Verdict:
    """The verdict of one new run against a stored one.

    `explained` names environment fields the change itself accounts for (`distributions` for a
    dependency change). INVALID when the questions differ, anything else in the environment does, or
    nothing was measured in both.
    """
    seconds = new.seconds if method == "rerun" else 0.0
    if unlike := question_differences(stored.question, new.question):
        return Verdict(
            Word.INVALID,
            "the two runs were asked different questions: " + "; ".join(unlike),
            method,
            seconds=seconds,
        )
    if moved := environment_differences(stored, new, explained):
        reason = "the change is not the only difference: " + "; ".join(moved)
        return Verdict(Word.INVALID, reason, method, seconds=seconds)
    readings = _readings(stored, new, calibration)
    if not readings:
        return Verdict(Word.INVALID, "nothing was measured in both runs", method, seconds=seconds)
    evidence = EstimateFamily(
        {name: r[0] for name, r in readings.items()},
        sequential.ALPHA,
        {name: r[1] for name, r in readings.items()},
        {name: r[2] for name, r in readings.items()},
    )
    # Rounds read the knee as a share over the limit at one rate; whole runs have the rate itself.
    effects = tuple(
        replace(e, title="knee", unit="/s") if e.endpoint == KNEE.name else e
        for e in effects_of(evidence)
    )
    word, reason = failing(_failed(stored), _failed(new)) or word_of(evidence, effects, bar)
    smallest = smallest_of(evidence, effects)
    _, noise = restart_noise(calibration, list(readings))
    advice = ""
    if word is Word.INCONCLUSIVE:
        reason = inconclusive(reason, smallest, bar.margin, None)
        advice = (
            "perfhunt verify --base REV -- COMMAND restarts both versions side by side and sees"
            " smaller changes"
        )
    return Verdict(
        word,
        reason,
        method,
        effects,
        1,
        1,
        seconds,
        sequential.ALPHA,
        sequential.ALPHA,
        smallest,
        bar.margin,
        None,
        noise,
        cautions=_cautions(stored, new),
        next_step=advice,
    )


def compare(a: Run, b: Run, calibration: Calibration | None = None) -> Verdict | tuple[str, ...]:
    """The verdict on two stored runs, a before b; the differences, one sentence each, when their
    questions are unlike.
    """
    if unlike := question_differences(a.question, b.question):
        return unlike
    return judge_rerun(
        a, b, calibration, frozenset(_HOST_FIELDS) - {"host", "cpu_model", "cores"}, method="stored"
    )


def question_differences(a: Question, b: Question) -> tuple[str, ...]:
    """What was asked differently, one per entry: `ramp.budget: 600 -> 300`. Empty when the runs may
    be compared.
    """
    return tuple(_differences("", a.identity(), b.identity()))


def environment_differences(
    a: Run, b: Run, explained: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """What besides the code differs between two runs. A field that either run left empty says
    nothing and is skipped.
    """
    before, after = asdict(a.environment), asdict(b.environment)
    found = []
    for name in _HOST_FIELDS:
        if name not in explained and before[name] and after[name] and before[name] != after[name]:
            unlike = b.environment.variables_unlike(a.environment) if name == "env_sha256" else ()
            found += [f"environment variable {v}" for v in unlike] or list(
                _differences(name, before[name], after[name])
            )
    if a.target and b.target:
        for name in ("runtime_version", "cpu_limit", "memory_limit"):
            if name not in explained and getattr(a.target, name) != getattr(b.target, name):
                found.append(
                    f"target {name}: {getattr(a.target, name)} -> {getattr(b.target, name)}"
                )
        if len(a.target.workers) != len(b.target.workers) and "workers" not in explained:
            found.append(f"worker processes: {len(a.target.workers)} -> {len(b.target.workers)}")
    return tuple(found)


def _differences(path: str, a: object, b: object) -> list[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        keys = sorted({*a, *b}, key=str)
        return [
            d
            for k in keys
            for d in _differences(f"{path}.{k}" if path else str(k), a.get(k), b.get(k))
        ]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [
            d
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            for d in _differences(f"{path}[{i}]", x, y)
        ]
    return [] if a == b else [f"{path}: {a} -> {b}"]


def _readings(stored: Run, new: Run, calibration: Calibration | None) -> dict[str, MetricReading]:
    measures: dict[
        str, Callable[[Run, Run], tuple[float, float, float | None, float | None, str] | None]
    ] = {
        KNEE.name: _knee,
        MEDIAN.name: _median,
        CAPACITY.name: _capacity,
        CPU.name: _cpu,
    }
    noise, _ = restart_noise(calibration, list(measures))
    found: dict[str, MetricReading] = {}
    for name, measure in measures.items():
        if (read := measure(stored, new)) is None:
            continue
        mean, error, before, after, note = read
        calibrated = calibration is not None and not calibration.refused
        start = math.hypot(noise[name], BETWEEN_TIMES) if calibrated else noise[name]
        total = math.sqrt(error**2 + 2.0 * start**2)
        found[name] = (sequential.known(mean, total), (before, after), note)
    return found


def _knee(stored: Run, new: Run) -> tuple[float, float, float | None, float | None, str] | None:
    """Log move of the knee. A run without a knee still bounds it: above all it tried, or below the
    baseline rate.
    """
    a, b = stored.knee, new.knee
    if isinstance(a, Knee) and isinstance(b, Knee):
        error = math.hypot(_log_error(a.low, a.high), _log_error(b.low, b.high))
        return math.log(b.rate / a.rate), error, a.rate, b.rate, ""
    if isinstance(a, Knee) and isinstance(b, NoKnee):
        return _bounded(a, b, new.baseline, after=True)
    if isinstance(a, NoKnee) and isinstance(b, Knee):
        return _bounded(b, a, stored.baseline, after=False)
    return None


def _bounded(
    knee: Knee, none: NoKnee, baseline: Trial | None, after: bool
) -> tuple[float, float, float | None, float | None, str] | None:
    error, sign = _log_error(knee.low, knee.high), 1.0 if after else -1.0
    if none.low is not None and none.code == _ABOVE and none.low > knee.rate:
        note = f"no knee up to {none.low:.4g}/s: the move is at least this"
        bound: PerSecond = none.low
    elif none.code in _BELOW and baseline is not None and baseline.step.rate < knee.rate:
        note = f"missed already at {baseline.step.rate:.4g}/s: the move is at least this"
        bound = baseline.step.rate
    else:
        return None
    before, later = (knee.rate, bound) if after else (bound, knee.rate)
    return sign * math.log(bound / knee.rate), error, before, later, note


def _log_error(low: float, high: float) -> float:
    return math.log(high / low) / (2.0 * _MIDDLE) if low > 0.0 and high > low else 0.05


def _capacity(stored: Run, new: Run) -> tuple[float, float, float | None, float | None, str] | None:
    a, b = stored.capacity, new.capacity
    if a is None or b is None or a.rate <= 0.0 or b.rate <= 0.0:
        return None
    error = math.hypot(_log_error(a.low, a.high), _log_error(b.low, b.high))
    return math.log(b.rate / a.rate), error, a.rate, b.rate, ""


def _median(stored: Run, new: Run) -> tuple[float, float, float | None, float | None, str] | None:
    """Precision-weighted mean over the trials that both runs made at the same rate."""
    pairs = [(a, b) for a in _comparable(stored) for b in _comparable(new) if _same_load(a, b)]
    parts = []
    for a, b in pairs:
        if a.response.p50 and b.response.p50:
            slope = -(1.0 + (median_slope(stored.trials, a.step.rate) or 0.0))
            error = math.hypot(_median_error(a), _median_error(b)) / abs(slope)
            parts.append(
                (
                    math.log(b.response.p50 / a.response.p50) / slope,
                    max(error, 1e-3),
                    a.response.p50,
                    b.response.p50,
                )
            )
    if not parts:
        return None
    weights = [1.0 / error**2 for _, error, _, _ in parts]
    mean = math.fsum(w * p[0] for w, p in zip(weights, parts, strict=True)) / math.fsum(weights)
    best = min(parts, key=lambda p: p[1])
    note = (
        f"{len(parts)} trials at the same rates"
        if len(parts) > 1
        else f"at {pairs[0][0].step.rate:.4g}/s"
    )
    return mean, 1.0 / math.sqrt(math.fsum(weights)), best[2], best[3], note


def _comparable(run: Run) -> list[Trial]:
    trials = [t for t in run.trials if t.step.phase in _SAME_RATE]
    if run.baseline is not None and run.baseline not in trials:
        trials.append(run.baseline)
    return [t for t in trials if not t.overload and not t.invalid]


def _same_load(a: Trial, b: Trial) -> bool:
    return (
        a.step.phase is b.step.phase
        and a.step.rate == b.step.rate
        and a.step.duration == b.step.duration
    )


def _median_error(trial: Trial) -> Share:
    logs = [math.log(row.p50) for row in trial.rows if row.p50 and row.second >= trial.step.settle]
    return _CORRELATED * _error_of_mean(logs) if len(logs) >= 4 else _BLIND


def _cpu(stored: Run, new: Run) -> tuple[float, float, float | None, float | None, str] | None:
    """CPU per request near the knee, each trial a reading; at the baseline rate when there are not
    two trials each.
    """
    before, after = (_costs(run, _NEAR_KNEE) for run in (stored, new))
    if len(before) < 2 or len(after) < 2:
        before, after = (_costs(run, (Phase.BASELINE,)) for run in (stored, new))
    if not before or not after:
        return None
    a, b = (math.fsum(side) / len(side) for side in (before, after))
    error = math.hypot(_error_of_mean(before), _error_of_mean(after))
    return a - b, error, math.exp(a), math.exp(b), ""


def _costs(run: Run, phases: Sequence[Phase]) -> list[float]:
    trials = [
        *run.trials,
        *([run.baseline] if run.baseline and run.baseline not in run.trials else []),
    ]
    chosen = [t for t in trials if t.step.phase in phases and not t.overload and not t.invalid]
    costs: list[Seconds | None] = [cpu_per_request([t]) for t in chosen]
    return [math.log(cost) for cost in costs if cost]


def _error_of_mean(logs: Sequence[float]) -> Share:
    if len(logs) < 2:
        return 0.02
    mean = math.fsum(logs) / len(logs)
    return math.sqrt(math.fsum((x - mean) ** 2 for x in logs) / (len(logs) - 1) / len(logs))


def _failed(run: Run) -> Share:
    return failures(_comparable(run))


def _cautions(stored: Run, new: Run) -> tuple[Caution, ...]:
    if stored.perfhunt != new.perfhunt:
        sentence = (
            f"the runs were measured by different versions of perfhunt ({stored.perfhunt} and"
            f" {new.perfhunt})."
        )
        return (
            Caution(CautionCode.VERSION, sentence, "perfhunt investigate the old version again"),
        )
    return ()
