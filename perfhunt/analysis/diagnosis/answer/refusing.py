"""The function that refuses: seen where the service breaks by its answers, and hardly below; or
read in the code, where it decides too quickly to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.frames import Code, FunctionKey, Origin
from perfhunt.analysis.blame.reading import EvidenceReading, SpanReading
from perfhunt.analysis.diagnosis.answer.advice import named
from perfhunt.analysis.diagnosis.answer.refusal.deciding import Candidates, Refusal, refusal_in
from perfhunt.analysis.knee.answers.failures import Failures
from perfhunt.model.finding import BottleneckClass, Finding
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Frame
from perfhunt.model.units import Share

# Looks that must have found it while requests were refused: fewer are chance.
LEAST_SEEN = 5.0
# Times as often as at the knee, per look: a function of every request is seen at most as much more
# often as the rate is higher, a third at these loads.
MORE_OFTEN = 3.0
# How sure a limiter is whose function was read and not seen at work: the search proved no more.
READ: Share = 0.9
# The same where several may be: one that answers so for another reason is no limiter.
UNSETTLED: Share = 0.5
CANDIDATES = 4  # that are named; more help nobody to look
# Sightings that may be missed with a chance of 5 % where none was made (the rule of three).
UNMET = 3.0


def refusing(knee: SpanReading, above: SpanReading, code: Code) -> list[FunctionKey]:
    """The functions that are seen where requests are refused, and not (or by far less) where hardly
    any is, those seen most first. What the language itself does (a thread of more clients waits in
    more sockets) is no decision to refuse.
    """
    before, after = _seen(knee), _seen(above)
    looks_before, looks_after = _looks(knee), _looks(above)
    if not looks_before or not looks_after:
        return []
    often = {
        key: n
        for key, n in after.items()
        # One look is given to what was not seen at the knee: it may have been missed.
        if n >= LEAST_SEEN
        and code.origin(Frame(*key)) in (Origin.APP, Origin.LIBRARY)
        and n / looks_after > MORE_OFTEN * (before.get(key, 0.0) + 1.0) / looks_before
    }
    return sorted(often, key=lambda key: (often[key], key), reverse=True)


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


@dataclass(frozen=True, slots=True)
class Refuser:
    """What is known of the function that refuses: its finding (None: it is not settled which), the
    sentence that says how it is known, how sure a limiter is by that, and what to do ("": what is
    done about any finding of the kind). `only` are functions that, by the code, run for what is
    refused alone.
    """

    finding: Finding | None
    sentence: str
    score: Share = 1.0
    advice: str = ""
    only: frozenset[FunctionKey] = frozenset()


def read_refuser(
    reading: EvidenceReading, failures: Failures, seen: Sequence[FunctionKey]
) -> Refuser | None:
    """Who answers with that status, as the application's code has it; `seen` are functions that may
    run for that alone.
    """
    evidence, status = reading.evidence, failures.status
    read = refusal_in(
        {**evidence.imported, **evidence.sources}, status, _paths(evidence, failures.route), seen
    )
    if evidence.server_limits and status == HTTPStatus.SERVICE_UNAVAILABLE:
        read = _beside_the_server(read, evidence.server_limits)
    if isinstance(read, Candidates):
        return _unsettled(read, status)
    if read is None:
        return None
    finding = finding_of_refusal(read, status, reading)
    writer = "it" if read.written == named(finding) else read.written
    return Refuser(
        finding=finding,
        sentence=f"What refuses is {named(finding)}, by the code: {writer} answers {status}.",
        score=READ,
        advice=f"Raise the limit that {named(finding)} keeps, which was read and not seen at work,"
        " restart the service, then: perfhunt investigate --pid NEW_PID",
        only=read.only,
    )


def _beside_the_server(read: Refusal | Candidates | None, limits: tuple[str, ...]) -> Candidates:
    """What was read, where the server may be the one that refuses."""
    options = tuple(f"{option} of the server's command" for option in limits)
    if isinstance(read, Candidates):
        return Candidates((*read.places, *options), read.unread, read.only)
    if read is None:
        return Candidates(options, ())
    (function, file), line, _, only = read
    return Candidates((f"{function} ({file}:{line})", *options), (), only)


def _paths(evidence: Evidence, route: str) -> tuple[str, ...]:
    """The paths that were refused: of one route where nearly all of them were; none where they are
    not known.
    """
    names = [route] if route else [*evidence.paths]
    # A route that no template names may be called by its request: `GET /x`.
    paths = [evidence.paths.get(name, name.rpartition(" ")[2]) for name in names]
    return tuple(paths) if all(path.startswith("/") for path in paths) else ()


def _unsettled(read: Candidates, status: int) -> Refuser:
    unread = f" {_list(read.unread)} could not be read." if read.unread else ""
    if not read.places:
        return Refuser(None, f"What refuses was not found in the code.{unread}", UNSETTLED)
    places = _list(read.places)
    return Refuser(
        finding=None,
        sentence=f"Which function answers {status} is not settled; by the code it may be {places}."
        f"{unread}",
        score=UNSETTLED,
        advice=f"Look at what may answer {status}, {places}: raise the limit of the one that does,"
        " restart the service, then: perfhunt investigate --pid NEW_PID",
        only=read.only,
    )


def _list(names: Sequence[str]) -> str:
    """`a, b or 3 more`."""
    shown = [*names[:CANDIDATES]]
    if len(names) > CANDIDATES:
        shown.append(f"{len(names) - CANDIDATES} more")
    return f"{', '.join(shown[:-1])} or {shown[-1]}" if shown[1:] else shown[0]


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
            " read in the code; what time it takes of its own was not told from nothing."
        ),
        runtime=reading.evidence.runtime,
    )
