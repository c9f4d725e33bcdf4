"""The one thing to do now: change a function where the evidence carries that, else how to get the
evidence, or what to do about something that is no function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.diagnosis.fitting import fits
from perfhunt.analysis.diagnosis.known.greenlets import HOW_TO_SEE, runs_greenlets
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.analysis.diagnosis.known.states_alone import name_of_helpers
from perfhunt.analysis.diagnosis.rules.wire import FIXES
from perfhunt.model.finding import Bottleneck, BottleneckClass, Finding, WhatIf
from perfhunt.model.knee import Knee, NoKnee, NoKneeCode
from perfhunt.model.states import ThreadState

_C = BottleneckClass
# What to do where no function is to blame, by class.
_ELSEWHERE: Mapping[BottleneckClass, str] = {
    _C.LIMITER: (
        "The service turns requests away on purpose, so no code is too slow: raise the limit where"
        " it is set, restart the service, then: perfhunt investigate --pid NEW_PID"
    ),
    _C.GENERATOR: (
        "The generator ran out before the service did: run again with --workers 2, or from"
        " another machine."
    ),
    _C.HOST: (
        "Other work took the cores: stop it, or measure where perfhunt doctor says that the host is"
        " quiet, then investigate again."
    ),
    _C.MEMORY: (
        "Memory ran short: give the service more, or have it keep less, then: perfhunt investigate"
        " --pid NEW_PID"
    ),
    # No edit of the code, which is what `verify` judges.
    _C.DESCRIPTORS: (
        f"{FIXES[_C.DESCRIPTORS]}; restart the service, then: perfhunt investigate --pid NEW_PID"
    ),
    _C.LEAK: (
        "Something grows with every request: mend that first, restart the service, then: perfhunt"
        " investigate --pid NEW_PID --soak 30m"
    ),
    _C.NETWORK: (
        "Clients take their answers too slowly: send less of an answer, or measure from a machine"
        " nearby, then: perfhunt investigate --pid PID"
    ),
}
# How the waits of a runtime are seen whose profiler shows what runs only.
_SEES_WAITS: Mapping[str, str] = {
    "jvm": "jcmd PID Thread.print, while the load of the knee is on it, names each monitor waited"
    " for and who holds it",
    "go": "curl http://ADDRESS/debug/pprof/goroutine?debug=2, while the load of the knee is on it,"
    " shows what each goroutine waits for",
    "node": "perfhunt investigate --pid PID --open-target lets the inspector show what its main"
    " thread does, and UV_THREADPOOL_SIZE sets how many threads do the rest",
}
_SEES_ANY_WAITS = (
    "gdb -p PID -batch -ex 'thread apply all backtrace', while the load of the knee is on it, shows"
    " where its threads wait"
)
_DOCTOR = "run perfhunt doctor --pid PID and mend what it lists, then investigate again."
_LONGER = 'hold longer, [ramp] hold = "60s", then: perfhunt investigate --pid PID'
# What the user wrote to be sent, by itself.
ALONE = "locust -f FILE --headless -u 1 -t 10s (a k6 script: k6 run FILE)"
_MENDED = f"{ALONE}, mend it, then: perfhunt investigate --pid PID"
CHILD_FAILED = "the load child "  # how `load.pipe` begins to say what became of it
_UNWATCHED = "run it again without --profile off."
# What runtimes have for memory to spare (Go: runtime/debug.SetGCPercent, SetMemoryLimit; CPython:
# gc.freeze, gc.set_threshold).
_LESS_GARBAGE = {
    "go": (
        ". It should allocate less; where there is memory to spare, GOGC=200 collects about half as"
        " often, with GOMEMLIMIT somewhat below what the service may have"
    ),
    "cpython": (
        ". It should make fewer objects that hold others; gc.freeze(), once the service is up,"
        " leaves what is there by then out of every collection, and gc.set_threshold(20_000)"
        " collects less often"
    ),
}
CHANGE = "Change "  # how advice to change a function begins


def next_step(
    findings: Sequence[Finding],
    kinds: frozenset[BottleneckClass],
    bottleneck: Bottleneck | None,
    knee: Knee | NoKnee,
    evidence: Evidence,
) -> str:
    """The one thing to do now, as a sentence with its command. `kinds` are the kinds of time that
    the first finding costs.
    """
    if isinstance(knee, NoKnee) and knee.code is NoKneeCode.TEST_ITSELF:
        why = knee.reason.rstrip(".")
        return f"Not the service but the locustfile decides ({why}): run it by itself, {_MENDED}"
    if isinstance(knee, NoKnee) and CHILD_FAILED in knee.reason:
        why = knee.reason.rstrip(".")
        return (
            f"The load child failed ({why}): see load-child.log of the run, and try what you wrote"
            f" by itself: {_MENDED}"
        )
    if isinstance(knee, NoKnee) and bottleneck is None:
        return _nothing_stops(knee)
    if isinstance(knee, NoKnee) and knee.code is NoKneeCode.ERRORS_AT_ONCE:
        return (
            f"Find out why it fails at any load ({knee.reason.rstrip('.')}): send one such request"
            f" by hand{_in_tls(evidence)}, mend it, then: perfhunt investigate --pid PID"
        )
    category = BottleneckClass.UNDETERMINED if bottleneck is None else bottleneck.category
    if category is _C.LIMITER and findings and _C.LIMITER in kinds:
        return (
            f"Raise the limit that {named(findings[0])} keeps, restart the service, then: perfhunt"
            " investigate --pid NEW_PID"
        )
    if category in _ELSEWHERE:
        return f"{_ELSEWHERE[category]}{_besides(findings, category, knee)}"
    if fix := FIXES.get(category):
        return f"{fix}; restart the service, then: perfhunt verify --pid NEW_PID"
    if not findings:
        return f"No function could be named: {_how_to_see(evidence)}"
    return _about_functions(findings, kinds, category, evidence, knee)


def _in_tls(evidence: Evidence) -> str:
    """To try TLS, where every connection was closed without an answer."""
    ended = sum((Counter(trial.outcomes) for trial in evidence.trials), Counter[str]())
    closed = ended.total() == ended["reset"] > 0
    return ", also with https://, which may be what it speaks" if closed else ""


def _besides(findings: Sequence[Finding], category: BottleneckClass, knee: Knee | NoKnee) -> str:
    """What of the service itself would matter, where other work on the host took its cores."""
    known = findings[0].what_if if findings else None
    if category is not _C.HOST or known is None or not isinstance(knee, Knee):
        return ""
    moves = known.moves(knee.rate)
    return f" Of the service itself {named(findings[0])} costs most." if moves else ""


def named(finding: Finding) -> str:
    """`pay (shop/app.py:12)`."""
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return f"{finding.function} ({where})" if where else finding.function


def tied(findings: Sequence[Finding]) -> bool:
    """Whether the second finding may cost as much as the first, and is of the same kind."""
    return (
        len(findings) > 1
        and findings[0].category == findings[1].category
        and findings[1].blamed.value >= findings[0].blamed.low
    )


def _nothing_stops(knee: NoKnee) -> str:
    if knee.code is NoKneeCode.BELOW_MAX_RATE:
        return (
            "Raise the ceiling if you need to know where it breaks"
            f" ({knee.reason.rstrip('.')}), then: perfhunt investigate --pid PID"
        )
    return (
        "Where the service breaks was not seen: give the search more, [ramp] budget, then: perfhunt"
        " investigate --pid PID"
    )


def _about_functions(
    findings: Sequence[Finding],
    kinds: frozenset[BottleneckClass],
    category: BottleneckClass,
    evidence: Evidence,
    knee: Knee | NoKnee,
) -> str:
    first = findings[0]
    if category is _C.UNDETERMINED:
        return f"What stops it is not settled: {_how_to_see(evidence)}"
    if words := _about_helpers(first, category, evidence):
        return words
    if not fits(kinds, category):
        return (
            f"{named(first)} costs {_words(first.category)}, which is not what stops the service"
            f" ({category}): {_how_to_see(evidence)}"
        )
    if tied(findings):
        return (
            f"{first.function} and {findings[1].function} cost alike, as far as was seen: {_LONGER}"
        )
    if first.blamed.low <= 0:
        return f"What {named(first)} costs is not told from nothing: {_LONGER}"
    known = first.what_if
    if isinstance(knee, Knee) and known is not None and not known.moves(knee.rate):
        return _instead(findings, known, category, knee)
    less = _LESS_GARBAGE.get(evidence.runtime, "") if category is _C.GC else ""
    return f"{_change(first)}{less}"


def _about_helpers(first: Finding, category: BottleneckClass, evidence: Evidence) -> str:
    """What to do about work that an event loop gives to other threads, as their number helps it or
    not; "" where that is not what stops the service.
    """
    traits = traits_of(evidence.runtime, evidence.version)
    if not traits.helpers or first.category is not _C.WORKERS or first.blamed.low <= 0:
        return ""
    name = name_of_helpers(evidence.knee.states, traits)
    by = f" ({traits.helpers_by})" if traits.helpers_by and name != traits.workers else ""
    if category is _C.WORKERS:
        return f"{_change(first)}. More of {name}{by} serve more at once while cores are free."
    if category not in (_C.CPU, _C.CPU_QUOTA) or not _helpers_compute(evidence.knee):
        return ""
    return (
        f"{_change(first)}. Its work has the cores, by way of {name}: more of those threads{by}"
        " bring nothing."
    )


def _helpers_compute(span: Span) -> bool:
    """Whether most of the CPU was used beside the main threads."""
    states = span.states
    if states is None:
        return False
    used = [(t.tid == t.pid, t.states.get(ThreadState.ON_CPU, 0.0)) for t in states.threads]
    return sum(n for main, n in used if not main) > sum(n for main, n in used if main)


def _instead(
    findings: Sequence[Finding], known: WhatIf, category: BottleneckClass, knee: Knee
) -> str:
    """What to do where the first finding costs most and its removal is predicted to move nothing:
    the next one of the class that would, else to see more.
    """
    first = findings[0]
    for other in findings[1:]:
        moves = other.what_if is not None and other.what_if.moves(knee.rate)
        if moves and fits(frozenset({other.category}), category) and other.blamed.low > 0:
            return _change(other)
    return (
        f"{named(first)} costs most of what stops the service ({category}), yet without it"
        f" {known.cap}: which of the two holds is not settled: {_LONGER}"
    )


def _change(finding: Finding) -> str:
    return (
        f"{CHANGE}{named(finding)}, that alone, restart the service, then:"
        " perfhunt verify --pid NEW_PID"
    )


def _words(category: BottleneckClass) -> str:
    return "CPU time" if category is _C.CPU else f"time of the kind {category}"


def _how_to_see(evidence: Evidence) -> str:
    """How to get at what is missing, with a command."""
    if not evidence.watched:
        return _UNWATCHED
    if _is_blind(evidence.knee):
        blind = evidence.runtime == "node"
        return f"{_SEES_WAITS['node']}." if blind else _DOCTOR
    if evidence.knee.instants is None and evidence.runtime != "cpython":
        return f"{_SEES_WAITS.get(evidence.runtime, _SEES_ANY_WAITS)}."
    if evidence.knee.instants is None:
        return _DOCTOR
    return f"{HOW_TO_SEE}." if runs_greenlets(evidence.knee) else _LONGER


def _is_blind(span: Span) -> bool:
    return span.profile is None and span.instants is None
