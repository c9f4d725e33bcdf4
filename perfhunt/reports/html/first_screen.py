"""What the page says before anybody scrolls: the objectives, the three suspects that matter, and
how far to trust it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from perfhunt.model.document.writing import worst_generator
from perfhunt.model.finding import CautionCode, Finding
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee
from perfhunt.model.profile import ProfileMode, counted
from perfhunt.model.run import Run, RunEnd, RunKind
from perfhunt.model.slo import Judged, Judgement
from perfhunt.model.units import format_share
from perfhunt.reports.html.plain_words import asked_words, kind_words, objective_words
from perfhunt.reports.html.rows import TableRow, worst_first
from perfhunt.reports.words import (
    bottleneck_words,
    busy_words,
    change_words,
    cpu_words,
    measured,
    ms,
    place,
    plural,
    predicted_words,
    prediction,
)

STRIP = 6  # objectives in the strip: more are a table's work
SUSPECTS = 3


def strip(run: Run, before: Run | None = None) -> list[TableRow]:
    """The objectives that matter most, each with what was measured; with what an earlier run
    measured, where there is one.
    """
    then = {j.objective.name: j for j in before.judged} if before is not None else {}
    return [_judged(j, then.get(j.objective.name)) for j in worst_first(run.judged)[:STRIP]]


def more_objectives(run: Run) -> str:
    """How many are not in the strip."""
    left = worst_first(run.judged)[STRIP:]
    if not left:
        return ""
    same = "all met" if all(j.verdict is Judgement.MET for j in left) else "not all met"
    return f"{plural(len(left), 'more objective')}, {same}"


def _judged(judged: Judged, then: Judged | None) -> TableRow:
    word = judged.verdict.value.lower()
    return {
        "name": objective_words(judged.objective),
        "asked": asked_words(judged),
        "measured": measured(judged),
        "then": measured(then) if then is not None else "",
        "word": word,
        "tone": word,
    }


def suspects(run: Run) -> list[TableRow]:
    """The first three findings, with what a fix of each would bring, each such sentence once."""
    rows: list[TableRow] = []
    for finding in run.findings[:SUSPECTS]:
        row = _suspect(run, finding)
        again = any(row["fix"] == above["fix"] for above in rows)
        rows.append({**row, "fix": ""} if again else row)
    return rows


def _suspect(run: Run, finding: Finding) -> TableRow:
    blamed = finding.blamed
    return {
        "rank": finding.rank,
        "function": finding.function,
        "place": place(finding),
        "file": finding.file,
        "kind": kind_words(finding.category),
        "cost": f"{ms(blamed.value)} ms",
        "interval": _range(blamed),
        "fix": _fix(run, finding),
    }


def _range(interval: Interval) -> str:
    """`6.06 to 9.53 ms`; empty where it has no width."""
    low, high = ms(interval.low), ms(interval.high)
    if not isfinite(interval.high):
        return f"{low} ms or more"
    return "" if low == high else f"{low} to {high} ms"


def _fix(run: Run, finding: Finding) -> str:
    """What its removal would bring, as a sentence, or why that is not known; nothing where there is
    no knee that it could move.
    """
    if not isinstance(run.knee, Knee):
        return ""
    known = prediction(run) if finding.rank == 1 else finding.what_if
    if known is None:
        why = f": {finding.withheld}" if finding.withheld else " was made for it"
        return _sentence(f"No prediction{why}")
    if not known.moves(run.knee.rate):
        return _sentence(f"Without it the knee would not move: {known.cap or 'it limits nothing'}")
    about = "" if known.at_least else "about "
    cap = f"; {known.cap}" if known.cap else ""
    return _sentence(f"Without it the knee would be {about}{predicted_words(known)}{cap}")


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}."


@dataclass(frozen=True, slots=True)
class TrustItem:
    """One thing that could have spoiled the numbers: what is known of it; `doubtful` where a
    caution says so, None where nobody looked.
    """

    name: str
    words: str
    doubtful: bool | None

    @property
    def tone(self) -> str:
        """A colour's name."""
        return {None: "unknown", True: "unknown", False: "met"}[self.doubtful]

    @property
    def word(self) -> str:
        """The same for who sees no colours."""
        return {None: "not known", True: "doubtful", False: "no caution"}[self.doubtful]


_OF_PROBE = {CautionCode.PROBE_EFFECT, CautionCode.PROBE_UNKNOWN}
_OF_HOST = {CautionCode.HOST_BUSY, CautionCode.TRIALS_SET_ASIDE}
_OF_GENERATOR = {CautionCode.GENERATOR_BUSY, CautionCode.TRIALS_SPOILED}
_OF_LOSS = {
    CautionCode.EVIDENCE_LOST,
    CautionCode.PROFILE_LOSSY,
    CautionCode.PROFILE_SHORT,
    CautionCode.NO_PROFILE,
    CautionCode.NO_INSTANTS,
    CautionCode.INSTANTS_FEW,
    CautionCode.NOT_KEPT,
}


def trust_box(run: Run) -> list[TrustItem]:
    """Probe effect, interference, generator, and what was lost; empty for a run that measured
    nothing.
    """
    if not run.trials and not run.profiles:
        return []
    boxes = [_probe(run), _host(run), _generator(run), _lost(run)]
    return [box for box in boxes if box is not None]


def _told(run: Run, codes: set[CautionCode]) -> bool:
    return any(caution.code in codes for caution in run.cautions)


def _probe(run: Run) -> TrustItem:
    effect = run.probe_effect
    if effect is None:
        words = "Not measured: no profiler was attached at one load with quiet time beside it."
        return TrustItem("Profiling", words, None)
    words = (
        f"Changed throughput by {change_words(effect, 'throughput')}, p99 by"
        f" {change_words(effect, 'p99')}, CPU per request by {cpu_words(effect)}."
    )
    told = effect.flagged or _told(run, _OF_PROBE)
    if effect.note and not told:
        # The quiet spans differ among themselves: that may hide what the probe does.
        noise = _sentence(effect.note[:1].upper() + effect.note[1:])
        return TrustItem("Profiling", f"{words} {noise}", None)
    return TrustItem("Profiling", words, told)


def _host(run: Run) -> TrustItem:
    other = run.disturbance
    seen = any(t.interference is not None for t in run.trials)
    if other is not None:
        aside = f"{other.set_aside} of {plural(other.trials, 'trial')} set aside"
        words = f"The host was {busy_words(other)}; {aside}, {other.used} disturbed and used."
        return TrustItem("Other work on the host", words, True)
    if not seen:
        return TrustItem("Other work on the host", "Nobody looked.", None)
    told = _told(run, _OF_HOST)
    return TrustItem(
        "Other work on the host", "Disturbed no trial that counts." if not told else "", told
    )


def _generator(run: Run) -> TrustItem | None:
    if run.kind is RunKind.PROFILE:
        return None
    parts = list(_generator_parts(run))
    doubtful = _told(run, _OF_GENERATOR) if parts else None
    words = f"{'; '.join(parts)}." if parts else "No trial that counts."
    return TrustItem("Load generator", words[:1].upper() + words[1:], doubtful)


def _generator_parts(run: Run) -> Iterator[str]:
    lag, sent, cpu = worst_generator(run.trials)
    if sent is not None:
        yield f"sent {format_share(sent)} of what was due in its worst trial"
    if lag is not None:
        yield f"99 of 100 requests left at most {ms(lag)} ms late"
    if cpu is not None:
        yield f"{format_share(cpu)} of a core in its busiest second"


def _lost(run: Run) -> TrustItem:
    invalid = sum(bool(t.invalid) for t in run.trials)
    trials = f"{invalid} of {plural(len(run.trials), 'trial')} not counted"
    unread = sum(p.errors + p.dropped for p in run.profiles.values())
    parts = [trials] if run.trials else []
    parts.append(f"{_sampled(run)}; {unread:,} lost" if run.profiles else "no profile")
    doubtful = _told(run, _OF_LOSS) or run.ending is not RunEnd.COMPLETE
    words = "; ".join(parts)
    return TrustItem("What was lost", f"{words[:1].upper()}{words[1:]}.", doubtful)


def _sampled(run: Run) -> str:
    """How many samples were taken of each kind, over all phases: a caution counts one of them."""
    totals: dict[tuple[ProfileMode, str], float] = {}
    for profile in run.profiles.values():
        kind = profile.mode, profile.unit
        totals[kind] = totals.get(kind, 0.0) + profile.total
    words = " and ".join(counted(total, mode, unit) for (mode, unit), total in totals.items())
    return f"{words} in {len(run.profiles)} profiles" if len(run.profiles) > 1 else words


def stopped_by(run: Run) -> str:
    """What stops the service, in words; empty where nothing is known."""
    return bottleneck_words(run.bottleneck.category) if run.bottleneck is not None else ""
