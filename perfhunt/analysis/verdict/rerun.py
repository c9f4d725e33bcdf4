"""Two whole runs, each measured once: what one re-run can honestly say, with the noise between
starts in every interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, stdev

from perfhunt.analysis.diagnosis.known.answers import shorter_than_before
from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.calibration import Calibration, restart_noise
from perfhunt.analysis.verdict.comparable import (
    HOST_FIELDS,
    attachment_differences,
    environment_differences,
    question_differences,
)
from perfhunt.analysis.verdict.endpoints import (
    CAPACITY,
    CPU,
    ENDPOINTS,
    KNEE,
    MEDIAN,
    cpu_per_request,
    failures,
    median_slope,
)
from perfhunt.analysis.verdict.family import (
    EstimateFamily,
    judge_family,
)
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Capacity, Knee, NoKnee, NoKneeCode
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Share
from perfhunt.model.verdict.verdict import Verdict, Word

# How far a quiet host wanders between two times of day; one re-run cannot average it out.
BETWEEN_TIMES: Share = 0.02
# Neighbouring seconds of one trial are alike: their standard error is this much larger than it
# looks, and fewer than so many seconds do not tell.
CORRELATED, FEWEST_ROWS = 1.5, 4
# Standard errors, as shares, where a run does not show its own: of a log median whose trial kept no
# second rows, of CPU per request from one trial, and of a rate whose interval is empty. A service
# asked ten times a second spent 505 to 687 µs on a request in 21 windows of 6 and 13 s, in seven
# lives: standard deviations of 5 and 9 %.
BLIND_MEDIAN: Share = 0.10
SINGLE_COST: Share = 0.07
BLIND_RATE: Share = 0.05
LEAST_ERROR: Share = 1e-3  # of a median: timers are no finer
MIDDLE_95 = NormalDist().inv_cdf(0.975)  # standard errors from the middle of a 95 % interval

_SAME_RATE = (Phase.BASELINE, Phase.STAIRCASE, Phase.JUDGE, Phase.FIXED)
_NEAR_KNEE = (Phase.PASS, Phase.QUIET, Phase.COARSE)
_BELOW_BASELINE = (NoKneeCode.MISSED_AT_BASELINE, NoKneeCode.ERRORS_AT_ONCE)
# What two stored runs of one host may differ in and still be compared.
_MAY_DIFFER = frozenset(HOST_FIELDS) - {"host", "cpu_model", "cores"}
# Rounds read the knee as a share over the limit at one rate; whole runs have the rate itself.
_ENDPOINTS = {**ENDPOINTS, KNEE.name: replace(KNEE, title="knee", unit="/s")}
# Of a capacity before and after: which one the offered rate cut off, and what follows.
_CUT_OFF = {
    (False, True): "all that was offered is answered now: the move is at least this",
    (True, False): "all that was offered was answered before: the move is at least this",
    (True, True): "all that was offered was answered in both: this says nothing",
}
_ALIKE = "ask both with the same --profile"
_PAIRED = (
    "perfhunt verify --base REV -- COMMAND"
    " restarts both versions side by side and sees smaller changes"
)


@dataclass(frozen=True, slots=True)
class EndpointMove:
    """How one endpoint moved between two runs: the log change of speed with its standard error,
    the values before and after, what to know about it, and which of the values are lower bounds.
    """

    speed: float
    error: float
    before: float | None
    after: float | None
    note: str = ""
    at_least: tuple[bool, bool] = (False, False)


def judge_rerun(
    stored: Run,
    new: Run,
    calibration: Calibration | None = None,
    explained: frozenset[str] = frozenset(),
    method: str = "rerun",
) -> Verdict:
    """The verdict of one new run against a stored one.

    `explained` names environment fields the change itself accounts for (`distributions` for a
    dependency change). INVALID when the questions differ, anything else in the environment does, or
    nothing was measured in both.
    """
    seconds = new.seconds if method == "rerun" else 0.0
    moves = _moves(stored, new)
    if refusal := _refusal(stored, new, explained, moves):
        return Verdict(Word.INVALID, refusal, method, seconds=seconds)
    failed = _failed(stored), _failed(new)
    verdict = judge_family(_family(moves, calibration), method, failed=failed)
    _, noise = restart_noise(calibration, list(moves))
    return replace(
        verdict,
        seconds=seconds,
        noise=noise,
        cautions=_cautions(stored, new),
        next_step=_PAIRED if verdict.word is Word.INCONCLUSIVE else "",
    )


def compare(a: Run, b: Run, calibration: Calibration | None = None) -> Verdict | tuple[str, ...]:
    """The verdict on two stored runs, a before b; the differences, one sentence each, when their
    questions are unlike.
    """
    if unlike := question_differences(a.question, b.question):
        return unlike
    return judge_rerun(a, b, calibration, _MAY_DIFFER, method="stored")


def _refusal(
    stored: Run, new: Run, explained: frozenset[str], moves: Mapping[str, EndpointMove]
) -> str:
    if unlike := question_differences(stored.question, new.question):
        return "the two runs were asked different questions: " + "; ".join(unlike)
    if moved := environment_differences(stored, new, explained):
        return "the change is not the only difference: " + "; ".join(moved)
    if unlike := attachment_differences(stored, new):
        return f"the trials are not alike: {'; '.join(unlike)}; {_ALIKE}"
    return "" if moves else "nothing was measured in both runs"


def _moves(stored: Run, new: Run) -> dict[str, EndpointMove]:
    """The endpoints that both runs measured."""
    readers: dict[str, Callable[[Run, Run], EndpointMove | None]] = {
        KNEE.name: _knee,
        MEDIAN.name: _median,
        CAPACITY.name: _capacity,
        CPU.name: _cpu,
    }
    moves = {name: read(stored, new) for name, read in readers.items()}
    return {name: move for name, move in moves.items() if move is not None}


def _family(moves: Mapping[str, EndpointMove], calibration: Calibration | None) -> EstimateFamily:
    noise, _ = restart_noise(calibration, list(moves))
    # What is assumed without a calibration covers the time of day too.
    between = BETWEEN_TIMES if calibration is not None and not calibration.refused else 0.0
    errors = {
        name: math.sqrt(move.error**2 + 2.0 * math.hypot(noise[name], between) ** 2)
        for name, move in moves.items()
    }
    return EstimateFamily(
        estimates={n: sequential.known(move.speed, errors[n]) for n, move in moves.items()},
        level=sequential.ALPHA,
        values={name: (move.before, move.after) for name, move in moves.items()},
        notes={name: move.note for name, move in moves.items()},
        at_least={name: move.at_least for name, move in moves.items()},
        endpoints=_ENDPOINTS,
    )


def _knee(stored: Run, new: Run) -> EndpointMove | None:
    """Log move of the knee. A run without a knee still bounds it: above all it tried, or below the
    baseline rate.
    """
    a, b = stored.knee, new.knee
    if isinstance(a, Knee) and isinstance(b, Knee):
        return _rate_move(a, b)
    if isinstance(a, Knee) and isinstance(b, NoKnee) and (bound := _bound(b, new.baseline, a.rate)):
        rate, note = bound
        above = (False, b.code is NoKneeCode.BELOW_MAX_RATE)
        return EndpointMove(math.log(rate / a.rate), _log_error(a), a.rate, rate, note, above)
    if (
        isinstance(a, NoKnee)
        and isinstance(b, Knee)
        and (bound := _bound(a, stored.baseline, b.rate))
    ):
        rate, note = bound
        above = (a.code is NoKneeCode.BELOW_MAX_RATE, False)
        return EndpointMove(math.log(b.rate / rate), _log_error(b), rate, b.rate, note, above)
    return None


def _bound(none: NoKnee, baseline: Trial | None, knee: PerSecond) -> tuple[PerSecond, str] | None:
    """The rate that a run without a knee bounds it by, and the note on it; None when that says
    nothing beside the other run's knee.
    """
    if none.low is not None and none.code == NoKneeCode.BELOW_MAX_RATE and none.low > knee:
        return none.low, f"no knee up to {none.low:.4g}/s: the move is at least this"
    if none.code in _BELOW_BASELINE and baseline is not None and baseline.step.rate < knee:
        rate = baseline.step.rate
        return rate, f"missed already at {rate:.4g}/s: the move is at least this"
    return None


def _capacity(stored: Run, new: Run) -> EndpointMove | None:
    a, b = stored.capacity, new.capacity
    if a is None or b is None or a.rate <= 0.0 or b.rate <= 0.0:
        return None
    bounds = (a.at_least, b.at_least)
    note = _CUT_OFF.get(bounds, "")
    return replace(_rate_move(a, b), note=note, at_least=bounds)


def _rate_move(a: Knee | Capacity, b: Knee | Capacity) -> EndpointMove:
    error = math.hypot(_log_error(a), _log_error(b))
    return EndpointMove(math.log(b.rate / a.rate), error, a.rate, b.rate)


def _log_error(rate: Knee | Capacity) -> Share:
    """Standard error of the logarithm, from the 95 % interval."""
    if rate.low <= 0.0 or rate.high <= rate.low:
        return BLIND_RATE
    return math.log(rate.high / rate.low) / (2.0 * MIDDLE_95)


def _median(stored: Run, new: Run) -> EndpointMove | None:
    """Precision-weighted mean over the trials that both runs made at the same rate."""
    pairs = [(a, b) for a in _comparable(stored) for b in _comparable(new) if _same_load(a, b)]
    moves = [m for a, b in pairs if (m := _median_move(a, b, stored.trials)) is not None]
    if not moves:
        return None
    weights = [1.0 / move.error**2 for move in moves]
    best = min(moves, key=lambda move: move.error)
    return EndpointMove(
        speed=fmean((move.speed for move in moves), weights),
        error=1.0 / math.sqrt(math.fsum(weights)),
        before=best.before,
        after=best.after,
        note=(
            f"{len(moves)} trials at the same rates"
            if len(moves) > 1
            else f"at {pairs[0][0].step.rate:.4g}/s"
        ),
    )


def _median_move(a: Trial, b: Trial, trials: Sequence[Trial]) -> EndpointMove | None:
    before, after = a.response.p50, b.response.p50
    if not before or not after:
        return None
    slope = -(1.0 + (median_slope(trials, a.step.rate) or 0.0))
    error = math.hypot(_median_error(a), _median_error(b)) / abs(slope)
    return EndpointMove(math.log(after / before) / slope, max(error, LEAST_ERROR), before, after)


def _with_baseline(run: Run) -> list[Trial]:
    if run.baseline is None or run.baseline in run.trials:
        return list(run.trials)
    return [*run.trials, run.baseline]


def _comparable(run: Run) -> list[Trial]:
    return [
        t
        for t in _with_baseline(run)
        if (t.step.phase in _SAME_RATE or t is run.baseline) and not t.overload and not t.invalid
    ]


def _same_load(a: Trial, b: Trial) -> bool:
    return (a.step.phase, a.step.rate, a.step.duration) == (
        b.step.phase,
        b.step.rate,
        b.step.duration,
    )


def _median_error(trial: Trial) -> Share:
    logs = [math.log(row.p50) for row in trial.rows if row.p50 and row.second >= trial.step.settle]
    return CORRELATED * _error_of_mean(logs) if len(logs) >= FEWEST_ROWS else BLIND_MEDIAN


def _cpu(stored: Run, new: Run) -> EndpointMove | None:
    """CPU per request near the knee, each trial a reading; at the baseline rate when there are not
    two trials each.
    """
    before, after = (_log_costs(run, _NEAR_KNEE) for run in (stored, new))
    if len(before) < 2 or len(after) < 2:
        before, after = (_log_costs(run, (Phase.BASELINE,)) for run in (stored, new))
    if not before or not after:
        return None
    a, b = fmean(before), fmean(after)
    error = math.hypot(_error_of_cost(before), _error_of_cost(after))
    return EndpointMove(a - b, error, math.exp(a), math.exp(b))


def _error_of_cost(logs: Sequence[float]) -> Share:
    """Of their mean. What one trial is known to scatter counts as one of them: two that agree by
    luck are not certain.
    """
    spread = SINGLE_COST**2 + sum((log - fmean(logs)) ** 2 for log in logs)
    return math.sqrt(spread / len(logs)) / math.sqrt(len(logs))


def _log_costs(run: Run, phases: Sequence[Phase]) -> list[float]:
    trials = [
        t
        for t in _with_baseline(run)
        if t.step.phase in phases and not t.overload and not t.invalid
    ]
    return [math.log(cost) for t in trials if (cost := cpu_per_request([t]))]


def _error_of_mean(logs: Sequence[float]) -> Share:
    return stdev(logs) / math.sqrt(len(logs))


def _failed(run: Run) -> Share:
    return failures(_comparable(run))


def _cautions(stored: Run, new: Run) -> tuple[Caution, ...]:
    shorter = shorter_than_before(new.question.steps, _comparable(stored), _comparable(new))
    if stored.perfhunt == new.perfhunt:
        return tuple(shorter)
    sentence = (
        f"the runs were measured by different versions of perfhunt ({stored.perfhunt}"
        f" and {new.perfhunt})."
    )
    again = "perfhunt investigate the old version again"
    return (Caution(CautionCode.VERSION, sentence, again), *shorter)
