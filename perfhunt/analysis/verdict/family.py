"""Estimates of several endpoints judged together: what each one says, the word they come to, and
the sentence that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import ENDPOINTS, KNEE, Endpoint, weights_of
from perfhunt.analysis.verdict.sequential import Estimate
from perfhunt.model.units import Seconds, Share, format_duration
from perfhunt.model.verdict.verdict import Effect, EffectDirection, Verdict, Word

MARGIN: Share = 0.05  # "no change" means shown to be within this share either way
WORTH: Share = 0.03  # the least speed change worth having
# One-sided level of each bound of the equivalence test, stricter than 0.05 because it is asked
# repeatedly.
BOUND_LEVEL: Share = 0.025
# A build that answers this much more often with an error is worse, however quick its errors are.
FAILS: Share = 0.01
_MINUTE: Seconds = 60.0
# An endpoint with less of the error rate than this is no ground for a plan.
MAIN_WEIGHT: Share = 0.2


@dataclass(frozen=True, slots=True)
class EstimateFamily:
    """Estimates per endpoint, judged at one family-wise level, with what a person needs to see
    beside them.
    """

    estimates: Mapping[str, Estimate]
    level: Share
    values: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    # Of the values before and after, which are lower bounds.
    at_least: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    endpoints: Mapping[str, Endpoint] = field(default_factory=lambda: ENDPOINTS)

    @property
    def weights(self) -> dict[str, float]:
        """Each endpoint's part of the error rate."""
        return weights_of(list(self.estimates))

    @property
    def main(self) -> list[str]:
        """The endpoints that a plan may rest on: those given a fair part of the error rate; all
        when none was.
        """
        heavy = [name for name in self.estimates if self.endpoints[name].weight >= MAIN_WEIGHT]
        return heavy or list(self.estimates)

    @property
    def bounding(self) -> list[str]:
        """The endpoints that "no change" needs to be shown for; two lower bounds that are alike
        show nothing.
        """
        unknown = [name for name, bounds in self.at_least.items() if all(bounds)]
        return [n for n in self.estimates if self.endpoints[n].bounds and n not in unknown]


def judge_family(
    family: EstimateFamily,
    method: str,
    *,
    failed: tuple[Share, Share] = (0.0, 0.0),
    final: bool = True,
    wanted: Share = MARGIN,
    to_resolve: Callable[[], Seconds | None] = lambda: None,
) -> Verdict:
    """The verdict that estimates come to, by one look; callers add how they were measured.

    `failed` are the shares of requests that failed before and after. `wanted` is the change that an
    inconclusive verdict names the price of, `to_resolve` that price.
    """
    effects = _effects(family)
    word, reason = _failing(*failed) or _word_of(family, effects, final)
    smallest = _smallest(family, effects)
    further = to_resolve() if word is Word.INCONCLUSIVE else None
    if word is Word.INCONCLUSIVE:
        reason = _with_the_price(reason, smallest, wanted, further)
    return Verdict(
        word=word,
        reason=reason,
        method=method,
        effects=effects,
        pairs=1,
        looks=1,
        alpha=sequential.ALPHA,
        spent=sequential.ALPHA,
        smallest=smallest,
        wanted=wanted,
        to_resolve=further,
    )


def _effects(family: EstimateFamily) -> tuple[Effect, ...]:
    """One effect per endpoint, its direction decided by weighted Holm at the family's level."""
    p = {name: estimate.p for name, estimate in family.estimates.items()}
    moved = sequential.holm(p, family.weights, family.level)
    return tuple(_effect(name, family, name in moved) for name in family.estimates)


def _effect(name: str, family: EstimateFamily, moved: bool) -> Effect:
    estimate, endpoint = family.estimates[name], family.endpoints[name]
    before, after = family.values.get(name, (None, None))
    note = family.notes.get(name, "")
    if name == KNEE.name and before == after == 0.0:
        note = "none was, in either version: this says nothing"
    critical = sequential.t_quantile(1 - family.level * family.weights[name] / 2, estimate.df)
    reach = sequential.reach(critical, estimate.df) * estimate.error
    return Effect(
        endpoint=name,
        title=endpoint.title,
        unit=endpoint.unit,
        before=before,
        after=after,
        speed=estimate.interval(),
        p=estimate.p,
        direction=_direction(estimate, moved),
        sd=sequential.speed_share(estimate.sd),
        smallest=sequential.speed_share(reach),
        note=note,
        at_least=family.at_least.get(name, (False, False)),
    )


def _direction(estimate: Estimate, moved: bool) -> EffectDirection:
    if not moved:
        return EffectDirection.UNCLEAR
    return EffectDirection.BETTER if estimate.mean > 0 else EffectDirection.WORSE


def _word_of(
    family: EstimateFamily, effects: Sequence[Effect], final: bool = True
) -> tuple[Word, str]:
    """The word and its reason. `final` is False while more rounds may follow.

    An effect that is certain but lies wholly within what is worth having (±3 %) neither keeps nor
    reverts a change. While more rounds may follow, "not worth it" must also rule out a regression:
    else a slower build would end the search for the proof that it is slower.
    """
    weighty = [effect for effect in effects if not _trifling(effect)]
    better = [effect for effect in weighty if effect.direction is EffectDirection.BETTER]
    worse = [effect for effect in weighty if effect.direction is EffectDirection.WORSE]
    if better and worse:
        return Word.MIXED, f"{_list(better)}, but {_list(worse)}: a person has to weigh the two"
    if worse:
        return Word.REVERT, f"{_list(worse)}, and nothing is better"
    if better:
        return Word.KEEP, f"{_list(better)}, and nothing is worse"
    if _equivalent(family):
        titles = " and ".join(family.endpoints[name].title for name in family.bounding)
        within = f"moved by less than {MARGIN:.0%} either way"
        return Word.NO_CHANGE, f"{titles} {within}: the change did nothing"
    if _not_worth_it(family, final):
        least = f"less than {WORTH:.0%}, the least worth having"
        return Word.NOT_WORTH_IT, f"at best it brings {least}"
    return Word.INCONCLUSIVE, "no endpoint moved beyond doubt, and none is shown to have stayed"


def _failing(before: Share, after: Share) -> tuple[Word, str] | None:
    """The word when answers failed: an error is quick and cheap, so a failing build looks fast to
    every other endpoint.
    """
    if after > before + FAILS:
        return Word.REVERT, f"{after:.2%} of its requests fail, against {before:.2%} before"
    if before > after + FAILS:
        reason = (
            f"{before:.2%} of requests failed before and {after:.2%} now:"
            " the times of answers and errors do not compare"
        )
        return Word.MIXED, reason
    return None


def _trifling(effect: Effect) -> bool:
    return effect.speed.low > -WORTH and effect.speed.high < WORTH


def _list(effects: Sequence[Effect]) -> str:
    return "; ".join(f"{effect.title} is {_phrase(effect)}" for effect in effects)


def _phrase(effect: Effect) -> str:
    """`as if 9.8 % faster (7.1 to 12.6, n=6)`: the equivalent speed change with its interval."""
    speed = effect.speed
    word, sign = ("faster", 1.0) if speed.value >= 0 else ("slower", -1.0)
    low, high = sorted((sign * speed.low * 100, sign * speed.high * 100))
    change = _percent(abs(speed.value) * 100)
    return f"as if {change} % {word} ({_percent(low)} to {_percent(high)}, n={speed.n})"


def _percent(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _equivalent(family: EstimateFamily) -> bool:
    """Two one-sided tests (Schuirmann 1987) on every bounding endpoint: the interval lies within
    the margin.
    """
    bounding = [family.estimates[name] for name in family.bounding]
    return bool(bounding) and all(_within_margin(estimate) for estimate in bounding)


def _within_margin(estimate: Estimate) -> bool:
    interval = estimate.interval(1 - 2 * BOUND_LEVEL)
    return interval.low > -MARGIN and interval.high < MARGIN


def _not_worth_it(family: EstimateFamily, final: bool) -> bool:
    intervals = [family.estimates[name].interval(0.95) for name in family.main]
    floor = -1.0 if final else -MARGIN
    return all(i.high < WORTH and i.low > floor for i in intervals)


def _smallest(family: EstimateFamily, effects: Sequence[Effect]) -> Share:
    """The smallest change the best of the main endpoints could have seen."""
    main = family.main
    return min(e.smallest for e in effects if e.smallest is not None and e.endpoint in main)


def _with_the_price(reason: str, smallest: Share, wanted: Share, further: Seconds | None) -> str:
    """The reason, completed by what could have been seen and what it would take."""
    limit = f"{reason}. The smallest change this could have seen is {smallest:.1%}"
    if not further:
        return limit
    lasts = (
        format_duration(further) if further < 2 * _MINUTE else f"{further / _MINUTE:.0f} minutes"
    )
    return f"{limit}; ±{wanted:.0%} takes about {lasts} more"
