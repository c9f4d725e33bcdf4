"""The doubts about the load that was offered: what spoiled trials, and whose doing that was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from perfhunt.analysis.diagnosis.answer.advice import ALONE, CHILD_FAILED
from perfhunt.analysis.diagnosis.known.sessions import session_cautions
from perfhunt.analysis.trial.interference import disturbance
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import Share, format_rate, format_share

# Of a core that the generator used: from here it sends late, by measurement of its own lag.
GENERATOR_BUSY: Share = 0.85
_QUIETER = "run again on a quieter machine"
_MEND = f"see load-child.log of the run, and run what you wrote by itself: {ALONE}"


def about_load(trials: Sequence[Trial], knee: Knee | NoKnee) -> Iterator[Caution]:
    """Every doubt about the load itself, in the order a reader should weigh them."""
    yield from _about_other_work(trials, knee)
    spoiled = [t for t in trials if t.invalid and not t.set_aside]
    if spoiled:
        yield Caution(
            CautionCode.TRIALS_SPOILED,
            f"{len(spoiled)} of {len(trials)} trials {_were(len(spoiled))} set aside:"
            f" {spoiled[0].invalid.rstrip('.')}.",
            _unless_narrow(knee, _MEND if CHILD_FAILED in spoiled[0].invalid else _QUIETER),
        )
    yield from _about_refused(trials)
    yield from session_cautions(trials)
    busiest = max((t.generator.cpu for t in trials if t.generator.cpu is not None), default=0.0)
    if busiest > GENERATOR_BUSY:
        yield Caution(
            CautionCode.GENERATOR_BUSY,
            f"The generator used up to {format_share(busiest)} of its core,"
            " so some latency may be its own.",
            "Run it from another machine, or pin target and generator to cores of their own.",
        )


def when_held(trials: Sequence[Trial]) -> str:
    """That the service broke each time when the load of the knee was kept without profilers, as the
    end of a sentence about where that lies; "" where it held, or nobody tried.
    """
    quiet = [t for t in trials if t.step.phase is Phase.QUIET and not t.invalid]
    if not quiet or not all(t.overload for t in quiet):
        return ""
    return f", and {format_rate(quiet[0].step.rate)} was too much when it was kept: it is lower"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _unless_narrow(knee: Knee | NoKnee, do: str) -> str:
    """What to do about trials that were set aside."""
    if isinstance(knee, Knee):
        return f"Nothing, if the knee's interval is narrow enough; else {do}."
    return f"{do[:1].upper()}{do[1:]}."


def _about_refused(trials: Sequence[Trial]) -> Iterator[Caution]:
    refused = sum((Counter(t.generator.refused) for t in trials), Counter())
    for place, count in refused.most_common():
        yield Caution(
            CautionCode.NOT_CLEARED,
            f"Connections of the locustfile or script to {place} were refused, {count:,} of them:"
            " load was cleared for the target only.",
            f'For what is no load, such as test data: locustfile_connects = ["{place}"] in the test'
            " file. A redirect: do not follow it.",
        )


def _about_other_work(trials: Sequence[Trial], knee: Knee | NoKnee) -> Iterator[Caution]:
    other = disturbance(trials)
    if other is None:
        return
    names = f" ({', '.join(other.names)})" if other.names else ""
    if other.set_aside:
        yield Caution(
            CautionCode.TRIALS_SET_ASIDE,
            f"{other.set_aside} of {other.trials} trials {_were(other.set_aside)} set aside: other"
            f" work on this host{names} disturbed {'it' if other.set_aside == 1 else 'them'}.",
            _unless_narrow(knee, "stop the other work"),
        )
    if other.used:
        whose = ": the knee is that of the busy host" if isinstance(knee, Knee) else ""
        share = "" if other.busy is None else f" took {format_share(other.busy)} of this host and"
        yield Caution(
            CautionCode.HOST_BUSY,
            f"Other work{names}{share} disturbed {other.used} of {other.trials} trials, and there"
            f" was no quiet time to ask again{whose}.",
            "Stop the other work, or measure on a host of its own: perfhunt doctor says when it is"
            " quiet.",
        )
