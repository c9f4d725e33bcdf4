"""The function that refuses: seen where the service breaks by its answers, and hardly below; or
read in the code, where it decides too quickly to be seen.
"""

from __future__ import annotations

from perfhunt.analysis.blame.frames import Code, FunctionKey, Origin
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.diagnosis.answer.refusing_code import Refusal, refusal_in
from perfhunt.model.finding import BottleneckClass, Finding
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Frame

# Looks that must have found it while requests were refused: fewer are chance.
LEAST_SEEN = 5.0
# Times as often as at the knee, per look: a function of every request is seen at most as much more
# often as the rate is higher, a third at these loads.
MORE_OFTEN = 3.0
# Sightings that may be missed with a chance of 5 % where none was made (the rule of three).
UNMET = 3.0


def refusing(knee: SpanReading, above: SpanReading, code: Code) -> FunctionKey | None:
    """The function seen most of those that are seen where requests are refused, and not (or by far
    less) where hardly any is; None where no look caught one. What the language itself does (a
    thread of more clients waits in more sockets) is no decision to refuse.
    """
    before, after = _seen(knee), _seen(above)
    looks_before, looks_after = _looks(knee), _looks(above)
    if not looks_before or not looks_after:
        return None
    often = {
        key: n
        for key, n in after.items()
        # One look is given to what was not seen at the knee: it may have been missed.
        if n >= LEAST_SEEN
        and code.origin(Frame(*key)) in (Origin.APP, Origin.LIBRARY)
        and n / looks_after > MORE_OFTEN * (before.get(key, 0.0) + 1.0) / looks_before
    }
    return max(often, key=lambda key: (often[key], key), default=None)


def _seen(reading: SpanReading) -> dict[FunctionKey, float]:
    """How often a function was found at the end of the application's part of a stack, running or
    not.
    """
    counts = dict(reading.use.own)
    for (key, _), instants in reading.account.own.items():
        counts[key] = counts.get(key, 0.0) + float(instants.sum())
    return counts


def _looks(reading: SpanReading) -> float:
    """How often somebody looked, by either tool: what both spans are compared per."""
    profile = reading.span.profile
    looks = 0.0 if profile is None else profile.ticks or profile.rate_hz * profile.seconds
    return looks + reading.account.instants


def read_refusal(reading: EvidenceReading, status: int) -> Refusal | None:
    """Who answers with that status, by the application's sources, where one function does."""
    ran = {*reading.knee.account.total, *reading.knee.use.total}
    return refusal_in(reading.evidence.sources, status, ran)


def finding_of_refusal(refusal: Refusal, status: int, reading: EvidenceReading) -> Finding:
    """What was read as a finding. Of a function that none of so many looks met, the time of a
    request is below three of them, at 95 % (Hanley and Lippman-Hand 1983).
    """
    knee = reading.knee
    looks = _looks(knee)
    rate = knee.span.completed
    most = UNMET / looks / rate if looks and rate else 0.0
    unmet = Interval(0.0, 0.0, most, round(looks))
    return Finding(
        rank=1,
        function=refusal.function[0],
        file=refusal.function[1],
        line=refusal.line,
        category=BottleneckClass.LIMITER,
        self_share=0.0,
        total_share=0.0,
        own=unmet,
        total=unmet,
        blamed=unmet,
        evidence=(
            f"It decides whether a request is answered {status}, which {refusal.written} writes:"
            " read in the code, for no look met it, so little time does it take."
        ),
        runtime=reading.evidence.runtime,
    )
