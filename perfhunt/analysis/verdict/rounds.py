"""The verdict of a paired comparison, from the rounds measured so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import CAPACITY
from perfhunt.analysis.verdict.family import (
    EstimateFamily,
    judge_family,
)
from perfhunt.analysis.verdict.pairs import Round, differences, typical, usable
from perfhunt.analysis.verdict.sequential import NoisePrior
from perfhunt.model.units import Share
from perfhunt.model.verdict.verdict import Verdict, Word

TOO_MANY_INVALID: Share = 1 / 3  # of all rounds: then what was measured is not what was asked
WANTED: Share = 0.05  # the speed change that a comparison is to resolve


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """How rounds are judged: what is known about the noise, and in `noise` where that came from."""

    priors: Mapping[str, NoisePrior] = field(default_factory=dict)
    noise: str = ""


DEFAULT_ANALYSIS = AnalysisPlan()


def judge_rounds(
    rounds: Sequence[Round], analysis: AnalysisPlan = DEFAULT_ANALYSIS, final: bool = True
) -> Verdict:
    """The verdict of a paired comparison so far. Call it only after a number of rounds in
    `sequential.LOOKS`; `final` is False while more may follow.

    INVALID when more than a third of the rounds failed their checks or fewer than four are usable.
    """
    counted, seconds = usable(rounds), math.fsum(r.seconds for r in rounds)
    n = len(counted)
    if refusal := _refusal(rounds):
        word, reason = refusal
        return Verdict(word, reason, "paired", pairs=n, seconds=seconds, wanted=WANTED)
    family = _family(rounds, analysis)
    verdict = judge_family(
        family,
        "paired",
        failed=_failed(counted),
        final=final,
        wanted=WANTED,
        to_resolve=lambda: seconds / len(rounds) * _rounds_to_resolve(family, n),
    )
    return replace(
        verdict,
        pairs=n,
        looks=sum(look <= n for look in sequential.LOOKS),
        seconds=seconds,
        spent=sequential.spent(n),
        noise=analysis.noise,
    )


def _refusal(rounds: Sequence[Round]) -> tuple[Word, str] | None:
    """The word and the reason when the rounds are not to be judged."""
    n, fewest = len(usable(rounds)), sequential.LOOKS[0]
    invalid = len(rounds) - n
    if len(rounds) >= fewest and invalid > TOO_MANY_INVALID * len(rounds):
        reasons = "; ".join(sorted({r.invalid for r in rounds if r.invalid}))
        return Word.INVALID, f"{invalid} of {len(rounds)} rounds failed their checks: {reasons}"
    if n < fewest or not differences(rounds):
        return Word.INCONCLUSIVE, f"only {n} usable rounds; a verdict needs at least {fewest}"
    return None


def _family(rounds: Sequence[Round], analysis: AnalysisPlan) -> EstimateFamily:
    changes = differences(rounds)
    return EstimateFamily(
        estimates={
            name: sequential.estimate(values, analysis.priors.get(name))
            for name, values in changes.items()
        },
        level=sequential.level(len(usable(rounds))),
        values={name: typical(rounds, name) for name in changes},
        notes=_notes(usable(rounds)),
        at_least={CAPACITY.name: _cut_off(usable(rounds))},
    )


def _failed(rounds: Sequence[Round]) -> tuple[Share, Share]:
    n = len(rounds)
    return (
        math.fsum(r.base.failed for r in rounds) / n,
        math.fsum(r.head.failed for r in rounds) / n,
    )


def _cut_off(rounds: Sequence[Round]) -> tuple[bool, bool]:
    """Whether the offered rate cut off the capacity of base and of head, in at least half of the
    rounds.
    """
    base, head = (
        2 * sum(CAPACITY.name in reading.notes for reading in readings) >= len(readings) > 0
        for readings in ([r.base for r in rounds], [r.head for r in rounds])
    )
    return base, head


def _notes(rounds: Sequence[Round]) -> dict[str, str]:
    """What the last round's head has to say about an endpoint, when at least half of the rounds say
    it.
    """
    notes = [r.head.notes for r in rounds]
    return {
        name: note
        for name, note in notes[-1].items()
        if 2 * sum(name in each for each in notes) >= len(notes)
    }


def _rounds_to_resolve(family: EstimateFamily, done: int) -> int:
    """Rounds after which the best of the main endpoints sees the wanted change, at least one."""
    weights = family.weights
    needed = min(
        sequential.rounds_to_see(WANTED, estimate.sd, weights[name], estimate.df - (done - 1))
        for name, estimate in family.estimates.items()
        if name in family.main
    )
    return max(needed - done, 1)
