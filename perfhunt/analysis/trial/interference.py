"""Whether other work on the host decided a trial, and what it was, over a whole run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perfhunt.model.trial import FITTED_PHASES, Disturbance, Interference, Neighbour, Phase, Trial
from perfhunt.model.units import Cores, Seconds, Share, format_share

# Cores' worth of waiting that others cause, and the share of the time that threads wanted to run:
# both must be exceeded. On two virtual cores that nobody else used, waiting was 0.002 at most, in
# trials up to the knee; with one core burnt beside the service it was 0.04 to 0.5.
WAITED: Cores = 0.02
LOST: Share = 0.02
# Of the host's time, given to other machines by the hypervisor: 0.01 at most on the same host.
STOLEN: Share = 0.05
NAMED = 2  # neighbours in a sentence
# Speed is told and not judged: clocks and shared cores move it by a third on a quiet virtual
# machine, and load itself lowers a turbo, so that every fast trial would be set aside.


def disturbed(seen: Interference | None) -> str:
    """Why a trial is not the service's own, as a sentence; "" when it is, or when nobody looked.

    Whatever came of the trial: choosing by the outcome would move the knee.
    """
    if seen is None:
        return ""
    for whose, ran, waited in (
        ("the target's", seen.target_ran, seen.target_waited),
        ("the generator's", seen.generator_ran, seen.generator_waited),
    ):
        if waited is not None and waited > WAITED and waited > LOST * ((ran or 0.0) + waited):
            lost = format_share(waited / ((ran or 0.0) + waited))
            return (
                f"{_who(seen.busiest)} kept {whose} threads waiting for a core {lost} of the time"
                " that they could have run"
            )
    if seen.steal is not None and seen.steal > STOLEN:
        return f"the hypervisor gave {format_share(seen.steal)} of the host's time to others"
    return ""


# The trials that a knee is found by, and those it is held and judged at, are not looked at here.
_SEARCHED = FITTED_PHASES | {Phase.RAMP, Phase.CAPACITY}


def disturbance(trials: Iterable[Trial]) -> Disturbance | None:
    """What other work did to a search; None when it did nothing."""
    searched = [trial for trial in trials if trial.step.phase in _SEARCHED]
    aside = [trial for trial in searched if trial.set_aside]
    used = [t for t in searched if not t.invalid and disturbed(t.interference)]
    if not aside and not used:
        return None
    seen = [t.interference for t in (used or aside) if t.interference is not None]
    return Disturbance(
        trials=len(searched),
        set_aside=len(aside),
        used=len(used),
        busy=_busy(seen),
        names=tuple(neighbour.name for neighbour in busiest(seen)[:NAMED]),
    )


def busiest(seen: Sequence[Interference]) -> tuple[Neighbour, ...]:
    """The neighbours of several spans together, the most first; cores over the whole time."""
    seconds: dict[str, Seconds] = {}
    for each in seen:
        for neighbour in each.busiest:
            used = neighbour.cpu * each.seconds
            seconds[neighbour.name] = seconds.get(neighbour.name, 0.0) + used
    whole = sum(each.seconds for each in seen) or 1.0
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return tuple(Neighbour(name, used / whole) for name, used in ordered)


def _busy(seen: Sequence[Interference]) -> Share | None:
    known = [(e.seconds, e.others, e.cores) for e in seen if e.others is not None and e.cores]
    whole = sum(seconds * cores for seconds, _, cores in known)
    taken = sum(seconds * others for seconds, others, _ in known)
    return min(1.0, taken / whole) if whole else None


def _who(neighbours: Sequence[Neighbour]) -> str:
    names = ", ".join(neighbour.name for neighbour in neighbours[:NAMED])
    return f"other work on this host ({names})" if names else "other work on this host"
