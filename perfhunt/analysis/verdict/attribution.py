"""Tie a measured effect to the edited functions: their demand per request, the Amdahl bound, cost
that moved, the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import NormalDist

from perfhunt.analysis.change.changed_frames import holds
from perfhunt.model.finding import WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.units import Share, format_duration, format_rate, format_share
from perfhunt.model.verdict.attribution import Attribution, Demand, Measured
from perfhunt.model.verdict.change import Atom, Change, Kind

MOVED: Share = (
    0.5  # of what the edited functions shed: an unedited function that takes this much on is named
)
# confidence for unedited functions: there are hundreds, and one in twenty would differ by chance
_SCREEN: Share = 0.9999


def attribute(
    change: Change, before: Measured, after: Measured, gain: Interval | None = None
) -> Attribution:
    """What the edited functions have to do with a measured gain in capacity (relative: 0.2 is 20 %
    more; None: not measured).
    """
    atoms = tuple(a for a in change.functions if a.name)
    demands = tuple(_demand(a.name, a.file, before, after, partial(holds, atom=a)) for a in atoms)
    share = (
        wilson(*_weights(before.profile, lambda stack: any(holds(stack, a) for a in atoms)))
        if atoms
        else None
    )
    bound = amdahl(share.high) if share else None
    explained = None if bound is None or gain is None else gain.low <= bound
    moved = _moved(atoms, before, after)
    found = Attribution(change.atoms, demands, share, bound, gain, explained, moved)
    return Attribution(
        change.atoms, demands, share, bound, gain, explained, moved, tuple(_sentences(found))
    )


def amdahl(share: Share) -> float:
    """The largest relative gain in capacity from removing a share of the work: 1/(1-p) - 1 (Amdahl
    1967).
    """
    return math.inf if share >= 1 else 1 / (1 - share) - 1


def wilson(weight: float, total: float, confidence: Share = 0.95) -> Interval:
    """A share with its score interval (Wilson 1927), from `weight` of `total` samples. No samples:
    anything from 0 to 1.
    """
    if total <= 0:
        return Interval(0.0, 0.0, 1.0, 0, confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = weight / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half), round(total), confidence)


def against_prediction(prediction: WhatIf, observed: Interval) -> str:
    """The stored prediction against the rate that was observed, as a sentence."""
    promised = f"{format_rate(prediction.low)} to {format_rate(prediction.high)}"
    seen = (
        f"{format_rate(observed.value)} ({format_rate(observed.low)} to"
        f" {format_rate(observed.high)})"
    )
    if observed.high < prediction.low:
        return (
            f"Below the prediction: {promised} was expected, {seen} was measured."
            f" {prediction.caveat}".rstrip()
        )
    if observed.low > prediction.high:
        return (
            f"Above the prediction: {promised} was expected, {seen} was measured. Something else"
            " helped as well."
        )
    return f"As predicted: {promised} was expected, {seen} was measured."


def _weights(profile: Profile, inside: Callable[[Stack], bool]) -> tuple[float, float]:
    return sum(w for stack, w in profile.stacks.items() if inside(stack)), profile.total


def _demand(
    function: str,
    file: str,
    before: Measured,
    after: Measured,
    inside: Callable[[Stack], bool],
    confidence: Share = 0.95,
) -> Demand:
    sides = [
        wilson(*_weights(m.profile, inside), confidence).scaled(m.seconds_per_request)
        for m in (before, after)
    ]
    return Demand(function, file, sides[0], sides[1], _word(sides[0], sides[1]))


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
    shed = sum(_own(before, a) - _own(after, a) for a in atoms)
    if shed <= 0:
        return ()
    leaves = {s[-1].key: s[-1] for m in (before, after) for s in m.profile.stacks if s}
    found = []
    for key, frame in leaves.items():
        if any(holds((frame,), a) for a in atoms):
            continue
        on_top = partial(_is_on_top, key=key)
        demand = _demand(*key, before, after, on_top, _SCREEN)
        if (
            demand.word in ("grown", "appeared")
            and demand.after.value - demand.before.value >= MOVED * shed
        ):
            found.append(demand)
    return tuple(sorted(found, key=lambda d: d.before.value - d.after.value))


def _own(measured: Measured, atom: Atom) -> float:
    """Seconds per request with the function on top of the stack."""
    weight, total = _weights(
        measured.profile, lambda stack: bool(stack) and holds(stack[-1:], atom)
    )
    return weight / total * measured.seconds_per_request if total else 0.0


def _sentences(found: Attribution) -> list[str]:
    seen = [d for d in found.demands if d.word != "unseen"]
    said = [_demand_sentence(d) for d in seen or found.demands[:1]]
    said += [
        f"{d.function} ({d.file}) was not edited and grew by"
        f" {format_duration(d.after.value - d.before.value)} per request: cost moved there"
        for d in found.moved
    ]
    return [*said, *bound_sentences(found)]


def bound_sentences(found: Attribution) -> list[str]:
    """What the edited code's share allows, and whether the measured gain keeps within it; nothing
    without a gain.
    """
    said: list[str] = []
    if found.bound is None:
        kinds = ", ".join(dict.fromkeys(str(a.kind) for a in found.atoms if a.kind != Kind.CODE))
        return [
            f"No function was edited ({kinds or 'nothing'}), so a profile sets no bound on the"
            " gain."
        ]
    if found.share and found.gain and found.explained is not None:
        most = "any gain" if math.isinf(found.bound) else f"at most {format_share(found.bound)}"
        said.append(
            f"The edited code had {format_share(found.share.value)} of the baseline's samples"
            f" ({format_share(found.share.low)} to {format_share(found.share.high)}), so removing"
            f" it all allows {most}."
        )
    if found.explained is False and found.gain:
        gain = f"{format_share(found.gain.value)} (at least {format_share(found.gain.low)})"
        said.append(
            f"The measured gain of {gain} is more than the edit can explain: the surroundings"
            " moved, or work was dropped. Compare errors and response sizes."
        )
    return said


def _range(interval: Interval) -> str:
    return f"{format_duration(interval.low)} to {format_duration(interval.high)}"


def _demand_sentence(demand: Demand) -> str:
    before, after = format_duration(demand.before.value), format_duration(demand.after.value)
    told = {
        "unseen": "was in no sample, before or after",
        "same": (
            f"took {before} ({_range(demand.before)}) before and {after} ({_range(demand.after)})"
            " after: no clear difference"
        ),
        "appeared": f"was in no sample before and takes {after} now",
        "vanished": f"took {before} and is gone from the samples",
    }.get(demand.word, f"has {demand.word} from {before} to {after}")
    return f"{demand.function} {told} (per request, callees included)"
