"""Tie a measured effect to the edited functions: their demand per request, the Amdahl bound, cost
that moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from perfhunt.analysis.change.packages import belongs, holds
from perfhunt.analysis.verdict.attributed.demand import CONFIDENCE, SCREEN, demand_of, wilson
from perfhunt.analysis.verdict.attributed.hot import hot_lines
from perfhunt.analysis.verdict.attributed.shifted import shifted
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.units import Seconds, Share, format_duration, format_share
from perfhunt.model.verdict.attribution import Attribution, Demand, Measured
from perfhunt.model.verdict.change import Atom, Change, Kind

# Of what the edited functions shed: an unedited function that takes this much on is named.
MOVED: Share = 0.5


def attribute(
    change: Change, before: Measured, after: Measured, gain: Interval | None = None
) -> Attribution:
    """What the edited functions have to do with a measured gain in capacity (relative: 0.2 is 20 %
    more; None: not measured).
    """
    atoms = acting(change, before, after)
    inside = partial(_holds_any, atoms=atoms)
    share = wilson(*_weights(before.profile, inside)) if atoms else None
    bound = amdahl(share.high) if share else None
    attribution = Attribution(
        atoms=change.atoms,
        demands=tuple(d for atom in atoms for d in _demands(atom, before, after)),
        share=share,
        bound=bound,
        gain=gain,
        explained=None if bound is None or gain is None else gain.low <= bound,
        moved=_moved(atoms, before, after),
        shifted=() if atoms else shifted(before, after, lambda _: True, own=True),
        hot=hot_lines(change, after.profile),
    )
    return replace(attribution, sentences=tuple(_sentences(attribution)))


def acting(change: Change, *seen: Measured) -> tuple[Atom, ...]:
    """The atoms that a profile can show: edited functions, and packages with code in any of these
    profiles (one in native code has no frames of its own).
    """
    packages = tuple(
        atom
        for atom in change.atoms
        if atom.kind == Kind.DEPENDENCY
        and any(holds(stack, atom) for measured in seen for stack in measured.profile.stacks)
    )
    return (*(atom for atom in change.functions if atom.name), *packages)


def _demands(atom: Atom, before: Measured, after: Measured) -> tuple[Demand, ...]:
    """The demand of an edited function, or of a package and those of its functions whose demand
    changed.
    """
    whole = _demand(atom.name, atom.file, (before, after), partial(holds, atom=atom))
    if atom.kind != Kind.DEPENDENCY:
        return (whole,)
    return (whole, *shifted(before, after, partial(belongs, atom=atom)))


def amdahl(share: Share) -> float:
    """The largest relative gain in capacity from removing a share of the work: 1/(1-p) - 1 (Amdahl
    1967).
    """
    return math.inf if share >= 1 else 1 / (1 - share) - 1


def _holds_any(stack: Stack, atoms: Sequence[Atom]) -> bool:
    return any(holds(stack, atom) for atom in atoms)


def _weights(profile: Profile, inside: Callable[[Stack], bool]) -> tuple[float, float]:
    return sum(w for stack, w in profile.stacks.items() if inside(stack)), profile.total


def _demand(
    function: str,
    file: str,
    measured: tuple[Measured, Measured],
    inside: Callable[[Stack], bool],
    confidence: Share = CONFIDENCE,
) -> Demand:
    before, after = (_weights(m.profile, inside)[0] for m in measured)
    return demand_of(function, file, measured, (before, after), confidence)


def _is_on_top(stack: Stack, key: tuple[str, str]) -> bool:
    return bool(stack) and stack[-1].key == key


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
        _demand(*key, (before, after), partial(_is_on_top, key=key), SCREEN) for key in unedited
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
    sentences += [f"{_told(demand)} (per request, its own time)" for demand in attribution.shifted]
    return [*sentences, *bound_sentences(attribution)]


def bound_sentences(attribution: Attribution) -> list[str]:
    """What the edited code's share allows, and whether the measured gain keeps within it; nothing
    without a gain.
    """
    share, bound, gain = attribution.share, attribution.bound, attribution.gain
    if bound is None:
        kinds = dict.fromkeys(str(a.kind) for a in attribution.atoms if a.kind != Kind.CODE)
        edited = ", ".join(kinds) or "nothing"
        none = f"No function was edited ({edited}), so a profile sets no bound on the gain"
        if not attribution.shifted:
            return [f"{none}, and no function's demand changed beyond chance."]
        return [f"{none}: what moved with it is named, and is no proof of a cause."]
    if gain is None or attribution.explained is None:
        return []
    sentences = [_share_sentence(share, bound, attribution.atoms)] if share else []
    if attribution.explained is False:
        measured = f"{format_share(gain.value)} (at least {format_share(gain.low)})"
        sentences.append(
            f"The measured gain of {measured} is more than the edit can explain: the surroundings"
            " moved, or work was dropped. Compare errors and response sizes."
        )
    return sentences


def _share_sentence(share: Interval, bound: Share, atoms: Sequence[Atom]) -> str:
    packages = [atom.name for atom in atoms if atom.kind == Kind.DEPENDENCY]
    code = f"code of {', '.join(packages)}" if len(packages) == len(atoms) else "edited code"
    most = "any gain" if math.isinf(bound) else f"at most {format_share(bound)}"
    return (
        f"The {code} had {format_share(share.value)} of the baseline's samples"
        f" ({format_share(share.low)} to {format_share(share.high)}),"
        f" so removing it all allows {most}."
    )


def _range(interval: Interval) -> str:
    return f"{format_duration(interval.low)} to {format_duration(interval.high)}"


def _demand_sentence(demand: Demand) -> str:
    return f"{_told(demand)} (per request, callees included)"


def _told(demand: Demand) -> str:
    old, new = format_duration(demand.before.value), format_duration(demand.after.value)
    before, after = f"{old} ({_range(demand.before)})", f"{new} ({_range(demand.after)})"
    change = {
        "unseen": "was in no sample, before or after",
        "same": f"took {before} before and {after} after: no clear difference",
        "appeared": f"was in no sample before and takes {after} now",
        "vanished": f"took {before} and is gone from the samples",
    }.get(demand.word, f"has {demand.word} from {before} to {after}")
    return f"{demand.function} {change}"
