"""Tie a measured effect to the edited functions: their demand per request, the Amdahl bound, cost
that moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from statistics import NormalDist

from perfhunt.analysis.change.changed_frames import holds
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.units import Seconds, Share, format_duration, format_share
from perfhunt.model.verdict.attribution import Attribution, Demand, Measured
from perfhunt.model.verdict.change import Atom, Change, Kind

# Of what the edited functions shed: an unedited function that takes this much on is named.
MOVED: Share = 0.5
CONFIDENCE: Share = 0.95
# Confidence for unedited functions: there are hundreds, and one in twenty would differ by chance.
SCREEN: Share = 0.9999


def attribute(
    change: Change, before: Measured, after: Measured, gain: Interval | None = None
) -> Attribution:
    """What the edited functions have to do with a measured gain in capacity (relative: 0.2 is 20 %
    more; None: not measured).
    """
    atoms = tuple(atom for atom in change.functions if atom.name)
    inside = partial(_holds_any, atoms=atoms)
    share = wilson(*_weights(before.profile, inside)) if atoms else None
    bound = amdahl(share.high) if share else None
    attribution = Attribution(
        atoms=change.atoms,
        demands=tuple(
            _demand(atom.name, atom.file, before, after, partial(holds, atom=atom))
            for atom in atoms
        ),
        share=share,
        bound=bound,
        gain=gain,
        explained=None if bound is None or gain is None else gain.low <= bound,
        moved=_moved(atoms, before, after),
    )
    return replace(attribution, sentences=tuple(_sentences(attribution)))


def amdahl(share: Share) -> float:
    """The largest relative gain in capacity from removing a share of the work: 1/(1-p) - 1 (Amdahl
    1967).
    """
    return math.inf if share >= 1 else 1 / (1 - share) - 1


def wilson(weight: float, total: float, confidence: Share = CONFIDENCE) -> Interval:
    """A share with its score interval (Wilson 1927), from `weight` of `total` samples. No samples:
    anything from 0 to 1. (scipy's takes whole counts only, and weights need not be.)
    """
    if total <= 0:
        return Interval(0.0, 0.0, 1.0, 0, confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = weight / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return Interval(
        value=p,
        low=max(0.0, middle - half),
        high=min(1.0, middle + half),
        n=round(total),
        confidence=confidence,
    )


def _holds_any(stack: Stack, atoms: Sequence[Atom]) -> bool:
    return any(holds(stack, atom) for atom in atoms)


def _weights(profile: Profile, inside: Callable[[Stack], bool]) -> tuple[float, float]:
    return sum(w for stack, w in profile.stacks.items() if inside(stack)), profile.total


def _demand(
    function: str,
    file: str,
    before: Measured,
    after: Measured,
    inside: Callable[[Stack], bool],
    confidence: Share = CONFIDENCE,
) -> Demand:
    old, new = (
        wilson(*_weights(m.profile, inside), confidence).scaled(m.seconds_per_request)
        for m in (before, after)
    )
    return Demand(function=function, file=file, before=old, after=new, word=_word(old, new))


def _is_on_top(stack: Stack, key: tuple[str, str]) -> bool:
    return bool(stack) and stack[-1].key == key


def _word(before: Interval, after: Interval) -> str:
    if before.value == after.value == 0:
        return "unseen"
    if before.low <= after.high and after.low <= before.high:
        return "same"
    if before.value == 0:
        return "appeared"
    if after.value == 0:
        return "vanished"
    return "grown" if after.value > before.value else "shrunk"


def _moved(atoms: Sequence[Atom], before: Measured, after: Measured) -> tuple[Demand, ...]:
    """Unedited functions whose own time grew by at least half of what the edited ones shed: cost
    moved, not removed.
    """
    shed = sum(_own(before, atom) - _own(after, atom) for atom in atoms)
    if shed <= 0:
        return ()
    leaves = {s[-1].key: s[-1] for m in (before, after) for s in m.profile.stacks if s}
    unedited = [key for key, frame in leaves.items() if not _holds_any((frame,), atoms)]
    demands = (
        _demand(*key, before, after, partial(_is_on_top, key=key), SCREEN) for key in unedited
    )
    grown = [d for d in demands if d.word in ("grown", "appeared") and _growth(d) >= MOVED * shed]
    return tuple(sorted(grown, key=_growth, reverse=True))


def _growth(demand: Demand) -> Seconds:
    return demand.after.value - demand.before.value


def _own(measured: Measured, atom: Atom) -> Seconds:
    """Seconds per request with the function on top of the stack."""
    weight, total = _weights(measured.profile, lambda stack: holds(stack[-1:], atom))
    return weight / total * measured.seconds_per_request if total else 0.0


def _sentences(attribution: Attribution) -> list[str]:
    sampled = [demand for demand in attribution.demands if demand.word != "unseen"]
    sentences = [_demand_sentence(demand) for demand in sampled or attribution.demands[:1]]
    sentences += [
        f"{demand.function} ({demand.file}) was not edited"
        f" and grew by {format_duration(_growth(demand))} per request: cost moved there"
        for demand in attribution.moved
    ]
    return [*sentences, *bound_sentences(attribution)]


def bound_sentences(attribution: Attribution) -> list[str]:
    """What the edited code's share allows, and whether the measured gain keeps within it; nothing
    without a gain.
    """
    share, bound, gain = attribution.share, attribution.bound, attribution.gain
    if bound is None:
        kinds = dict.fromkeys(str(a.kind) for a in attribution.atoms if a.kind != Kind.CODE)
        edited = ", ".join(kinds) or "nothing"
        return [f"No function was edited ({edited}), so a profile sets no bound on the gain."]
    if gain is None or attribution.explained is None:
        return []
    sentences = [_share_sentence(share, bound)] if share else []
    if attribution.explained is False:
        measured = f"{format_share(gain.value)} (at least {format_share(gain.low)})"
        sentences.append(
            f"The measured gain of {measured} is more than the edit can explain: the surroundings"
            " moved, or work was dropped. Compare errors and response sizes."
        )
    return sentences


def _share_sentence(share: Interval, bound: Share) -> str:
    most = "any gain" if math.isinf(bound) else f"at most {format_share(bound)}"
    return (
        f"The edited code had {format_share(share.value)} of the baseline's samples"
        f" ({format_share(share.low)} to {format_share(share.high)}),"
        f" so removing it all allows {most}."
    )


def _range(interval: Interval) -> str:
    return f"{format_duration(interval.low)} to {format_duration(interval.high)}"


def _demand_sentence(demand: Demand) -> str:
    before, after = format_duration(demand.before.value), format_duration(demand.after.value)
    change = {
        "unseen": "was in no sample, before or after",
        "same": (
            f"took {before} ({_range(demand.before)}) before and {after} ({_range(demand.after)})"
            " after: no clear difference"
        ),
        "appeared": f"was in no sample before and takes {after} now",
        "vanished": f"took {before} and is gone from the samples",
    }.get(demand.word, f"has {demand.word} from {before} to {after}")
    return f"{demand.function} {change} (per request, callees included)"
