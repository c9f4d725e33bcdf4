"""From estimates of what changed to one word, and the sentence that says why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import ENDPOINTS, KNEE
from perfhunt.analysis.verdict.pairs import Round, differences, typical, usable
from perfhunt.analysis.verdict.sequential import Estimate, Prior
from perfhunt.model.units import Seconds, Share
from perfhunt.model.verdict.verdict import Direction, Effect, Verdict, Word

MARGIN: Share = 0.05  # "no change" means shown to be within ±5 %
WORTH: Share = 0.03  # the least speed change worth having
# one-sided level of each bound of the equivalence test, stricter than 0.05 because it is asked
# repeatedly
_BOUND_P = 0.025
_TOO_MANY_INVALID = 1 / 3
# a build that answers this much more often with an error is worse, however quick its errors are
_FAILS: Share = 0.01


@dataclass(frozen=True, slots=True)
class Bar:
    """What counts as no change and as worth having, both as shares of speed."""

    margin: Share = MARGIN
    worth: Share = WORTH


USUAL_BAR = Bar()


@dataclass(frozen=True, slots=True)
class EstimateFamily:
    """Estimates per endpoint, judged at one family-wise level, with what a person needs to see
    beside them.
    """

    estimates: Mapping[str, Estimate]
    level: Share
    values: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def weights_of(names: Sequence[str]) -> dict[str, float]:
    """The error-rate weights of these endpoints, summing to 1."""
    total = sum(ENDPOINTS[name].weight for name in names)
    return {name: ENDPOINTS[name].weight / total for name in names}


def effects_of(evidence: EstimateFamily) -> tuple[Effect, ...]:
    """One effect per endpoint, its direction decided by weighted Holm at the evidence's level."""
    weights = weights_of(list(evidence.estimates))
    p = {name: estimate.p for name, estimate in evidence.estimates.items()}
    moved = sequential.holm(p, weights, evidence.level)
    return tuple(
        _effect(name, evidence, weights[name], p[name], name in moved)
        for name in evidence.estimates
    )


def _effect(name: str, evidence: EstimateFamily, weight: float, p: float, moved: bool) -> Effect:
    estimate, endpoint = evidence.estimates[name], ENDPOINTS[name]
    direction = Direction.UNCLEAR
    if moved:
        direction = Direction.BETTER if estimate.mean > 0 else Direction.WORSE
    before, after = evidence.values.get(name, (None, None))
    note = evidence.notes.get(name, "")
    if name == KNEE.name and before == after == 0.0:
        note = "none was, in either version: this says nothing"
    critical = sequential.t_quantile(1.0 - evidence.level * weight / 2.0, estimate.df)
    reach = sequential.reach(critical, estimate.df) * estimate.error
    return Effect(
        name,
        endpoint.title,
        endpoint.unit,
        before,
        after,
        estimate.interval(),
        p,
        direction,
        math.expm1(min(estimate.sd, 50.0)),
        math.expm1(min(reach, 50.0)),
        note,
    )


def word_of(
    evidence: EstimateFamily, effects: Sequence[Effect], bar: Bar = USUAL_BAR, final: bool = True
) -> tuple[Word, str]:
    """The word and its reason. `final` is False while more rounds may follow.

    An effect that is certain but lies wholly within what is worth having (±3 %) neither keeps nor
    reverts a change. While more rounds may follow, "not worth it" must also rule out a regression:
    else a slower build would end the search for the proof that it is slower.
    """
    better = [e for e in effects if e.direction is Direction.BETTER and not _trifling(e, bar)]
    worse = [e for e in effects if e.direction is Direction.WORSE and not _trifling(e, bar)]
    if better and worse:
        return Word.MIXED, f"{_list(better)}, but {_list(worse)}: a person has to weigh the two"
    if worse:
        return Word.REVERT, f"{_list(worse)}, and nothing is better"
    if better:
        return Word.KEEP, f"{_list(better)}, and nothing is worse"
    if _equivalent(evidence, bar):
        return (
            Word.NO_CHANGE,
            (
                f"{_bounded_titles(evidence)} moved by less than {bar.margin:.0%} either way: the"
                " change did nothing"
            ),
        )
    if _not_worth_it(evidence, bar, final):
        return (
            Word.NOT_WORTH_IT,
            f"at best it brings less than {bar.worth:.0%}, the least worth having",
        )
    return Word.INCONCLUSIVE, "no endpoint moved beyond doubt, and none is shown to have stayed"


def failing(before: Share, after: Share) -> tuple[Word, str] | None:
    """The word when answers failed: an error is quick and cheap, so a failing build looks fast to
    every other endpoint.
    """
    if after > before + _FAILS:
        return Word.REVERT, f"{after:.2%} of its requests fail, against {before:.2%} before"
    if before > after + _FAILS:
        reason = (
            f"{before:.2%} of requests failed before and {after:.2%} now: the times of answers and"
            " errors do not compare"
        )
        return Word.MIXED, reason
    return None


def _failed(rounds: Sequence[Round]) -> tuple[Share, Share]:
    n = len(rounds)
    return (
        math.fsum(r.base.failed for r in rounds) / n,
        math.fsum(r.head.failed for r in rounds) / n,
    )


def _trifling(effect: Effect, bar: Bar) -> bool:
    return -bar.worth < effect.speed.low and effect.speed.high < bar.worth


def _list(effects: Sequence[Effect]) -> str:
    return "; ".join(f"{e.title} is {phrase(e)}" for e in effects)


def phrase(effect: Effect) -> str:
    """`as if 9.8 % faster (7.1 to 12.6, n=6)`: the equivalent speed change with its interval."""
    speed = effect.speed
    word = "faster" if speed.value >= 0 else "slower"
    sign = 1.0 if speed.value >= 0 else -1.0
    low, high = sorted((sign * speed.low * 100, sign * speed.high * 100))
    return (
        f"as if {_percent(abs(speed.value) * 100)} % {word} ({_percent(low)} to {_percent(high)},"
        f" n={speed.n})"
    )


def _percent(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _bounded(evidence: EstimateFamily) -> list[str]:
    return [name for name in evidence.estimates if ENDPOINTS[name].bounds]


def _bounded_titles(evidence: EstimateFamily) -> str:
    return " and ".join(ENDPOINTS[name].title for name in _bounded(evidence))


def _equivalent(evidence: EstimateFamily, bar: Bar) -> bool:
    """Two one-sided tests (Schuirmann 1987) on every bounding endpoint: the interval lies within
    the margin.
    """
    names = _bounded(evidence)
    return bool(names) and all(_within(evidence.estimates[name], bar.margin) for name in names)


def _within(estimate: Estimate, margin: Share) -> bool:
    interval = estimate.interval(1.0 - 2.0 * _BOUND_P)
    return interval.low > -margin and interval.high < margin


def _not_worth_it(evidence: EstimateFamily, bar: Bar, final: bool) -> bool:
    bounds = [evidence.estimates[name].interval(0.95) for name in main_endpoints(evidence)]
    floor = -1.0 if final else -bar.margin
    return all(i.high < bar.worth and i.low > floor for i in bounds)


@dataclass(frozen=True, slots=True)
class Looking:
    """How the paired comparison goes on: what is known about the noise, the bar, and the change
    worth resolving.
    """

    priors: Mapping[str, Prior] = field(default_factory=dict)
    bar: Bar = USUAL_BAR
    wanted: Share = 0.05
    noise: str = ""


USUAL_LOOKING = Looking()


def judge_rounds(
    rounds: Sequence[Round], looking: Looking = USUAL_LOOKING, final: bool = True
) -> Verdict:
    """The verdict of a paired comparison so far. Ask only after a number of rounds in
    `sequential.LOOKS`; `final` is False while more may follow.

    INVALID when more than a third of the rounds failed their checks or fewer than four are usable.
    """
    counted, seconds = usable(rounds), math.fsum(r.seconds for r in rounds)
    if len(rounds) >= sequential.LOOKS[0] and len(rounds) - len(counted) > _TOO_MANY_INVALID * len(
        rounds
    ):
        reasons = "; ".join(sorted({r.invalid for r in rounds if r.invalid}))
        reason = (
            f"{len(rounds) - len(counted)} of {len(rounds)} rounds failed their checks: {reasons}"
        )
        return Verdict(
            Word.INVALID,
            reason,
            "paired",
            pairs=len(counted),
            seconds=seconds,
            wanted=looking.wanted,
        )
    n = len(counted)
    found = differences(rounds)
    if n < sequential.LOOKS[0] or not found:
        reason = f"only {n} usable rounds; a verdict needs at least {sequential.LOOKS[0]}"
        return Verdict(
            Word.INCONCLUSIVE, reason, "paired", pairs=n, seconds=seconds, wanted=looking.wanted
        )
    estimates = {
        name: sequential.estimate(each, looking.priors.get(name)) for name, each in found.items()
    }
    values = {name: typical(rounds, name) for name in found}
    evidence = EstimateFamily(estimates, sequential.level(n), values, _notes(counted))
    effects = effects_of(evidence)
    word, reason = failing(*_failed(counted)) or word_of(evidence, effects, looking.bar, final)
    smallest = smallest_of(evidence, effects)
    more = (
        _to_resolve(evidence, n, seconds / len(rounds), looking)
        if word is Word.INCONCLUSIVE
        else None
    )
    if word is Word.INCONCLUSIVE:
        reason = inconclusive(reason, smallest, looking.wanted, more)
    return Verdict(
        word,
        reason,
        "paired",
        effects,
        n,
        sum(1 for look in sequential.LOOKS if look <= n),
        seconds,
        sequential.ALPHA,
        sequential.spent(n),
        smallest,
        looking.wanted,
        more,
        looking.noise,
    )


def main_endpoints(evidence: EstimateFamily) -> list[str]:
    """The endpoints that a plan may rest on: those given a fair part of the error rate; all when
    none was.
    """
    return [name for name in evidence.estimates if ENDPOINTS[name].weight >= 0.2] or list(
        evidence.estimates
    )


def smallest_of(evidence: EstimateFamily, effects: Sequence[Effect]) -> Share:
    """The smallest change the best of the main endpoints could have seen."""
    names = main_endpoints(evidence)
    return min(e.smallest for e in effects if e.smallest is not None and e.endpoint in names)


def _notes(rounds: Sequence[Round]) -> dict[str, str]:
    """What the last round's head has to say about an endpoint, when at least half of the rounds say
    it.
    """
    said = [r.head.notes for r in rounds]
    return {
        name: note
        for name, note in said[-1].items()
        if 2 * sum(name in each for each in said) >= len(said)
    }


def inconclusive(reason: str, smallest: Share, wanted: Share, more: Seconds | None) -> str:
    """The reason, completed by what could have been seen and what it would take."""
    seen = f"{reason}. The smallest change this could have seen is {smallest:.1%}"
    return f"{seen}; ±{wanted:.0%} takes about {more / 60:.0f} minutes more" if more else seen


def _to_resolve(
    evidence: EstimateFamily, done: int, each: Seconds, looking: Looking
) -> Seconds | None:
    weights = weights_of(list(evidence.estimates))
    needed = min(
        sequential.rounds_to_see(
            looking.wanted, estimate.sd, weights[name], estimate.df - (done - 1)
        )
        for name, estimate in evidence.estimates.items()
        if name in main_endpoints(evidence)
    )
    return max(needed - done, 1) * each
