"""Answers that count as success and may be none: they lead elsewhere, or are much shorter than any
where the service was not loaded. No objective is met by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from http import HTTPStatus
from math import inf

from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.knee import Knee, NoKnee
from perfhunt.model.question import RequestTemplate
from perfhunt.model.slo import Judged, Judgement, Measure
from perfhunt.model.trial import RouteResult, Trial
from perfhunt.model.units import PerSecond, Share, format_rate, format_share

# Redirects to another address (RFC 9110, 15.4); 304 is an answer to who has the page already.
_AWAY = (301, 302, 303, 307, 308)
# What is asked to be shown: to anything else a redirect is a usual answer (Post/Redirect/Get).
_READING = ("GET", "HEAD")
# Of a route's answers in one trial: a page that sends some of its readers on is still that page.
_MOST: Share = 0.5
# Answers that tell how short one may be, and the share of a trial's that are shorter than all of
# them; by chance, as where a few were short at any load, it is so once in a thousand trials.
_KNOWN, _SHORTER, _CHANCE = 100, 0.05, 0.001
_FAR = 2  # powers of two below the shortest: less than half of it
_IN_SCRIPT = "in the script, which decides what fails (Locust: catch_response)"
_ABOUT_ANSWERS = (Measure.LATENCY, Measure.THROUGHPUT, Measure.ERRORS)


@dataclass(frozen=True, slots=True)
class DoubtfulAnswers:
    """What is doubtful of a route's answers, from a rate on: as a sentence without a full stop, and
    as the caution that tells it, with what to write instead.
    """

    route: str
    since: PerSecond
    sentence: str
    caution: Caution


def doubtful_answers(
    asked: Sequence[RequestTemplate], trials: Sequence[Trial]
) -> tuple[DoubtfulAnswers, ...]:
    """The doubt about each route that gives answers at any rate that may be no success."""
    how = 'expect = { body = "..." } in [[traffic]]' if asked else _IN_SCRIPT
    return (*_redirected(asked, trials), *_shortened(_checked(asked), how, trials))


def without_doubtful(
    judged: Sequence[Judged], judged_at: PerSecond, doubts: Sequence[DoubtfulAnswers]
) -> tuple[Judged, ...]:
    """The judgements of a run at a rate, of which answers that may be no success meet none."""
    there = [doubt for doubt in doubts if doubt.since <= judged_at]
    return tuple(_doubted(each, there) for each in judged)


def to_settle(doubts: Sequence[DoubtfulAnswers], knee: Knee | NoKnee) -> str:
    """What to do before anything about a knee that rests on such answers; "" where none does."""
    reached = knee.rate if isinstance(knee, Knee) else inf
    first = next((doubt.caution.next for doubt in doubts if doubt.since <= reached), "")
    return first and f"{first.rstrip('.')}; then run it again."


def shorter_than_before(
    asked: Sequence[RequestTemplate], before: Sequence[Trial], after: Sequence[Trial]
) -> Iterator[Caution]:
    """A caution for each route of which answers to the same loads are much shorter after a change
    than all were before it: what drops work, or fails with a success, is quicker too.
    """
    for name in dict.fromkeys(name for trial in before for name in trial.routes):
        known, now = _sizes(name, before), _sizes(name, after)
        if name in _checked(asked) or known.total() < _KNOWN:
            continue
        if share := _share(now, min(known) - _FAR, known.total()):
            yield Caution(
                CautionCode.SHORTER_ANSWERS,
                f"{format_share(share)} of the answers to {name} are not half as long as the"
                " shortest before the change: they may tell of errors, or lack something.",
                "Compare one of them with one from before.",
            )


def _doubted(judged: Judged, doubts: Sequence[DoubtfulAnswers]) -> Judged:
    objective = judged.objective
    doubt = next((d for d in doubts if objective.route in (None, d.route)), None)
    about = objective.measure in _ABOUT_ANSWERS
    if doubt is None or judged.verdict is not Judgement.MET or not about:
        return judged
    note = "; ".join(filter(None, (judged.note, doubt.sentence)))
    return replace(judged, verdict=Judgement.UNKNOWN, note=note)


def _routes(name: str, trials: Sequence[Trial]) -> list[tuple[PerSecond, RouteResult]]:
    """What a route answered, by the rate of the trial."""
    return [(t.step.rate, route) for t in trials if (route := t.routes.get(name)) is not None]


def _sizes(name: str, trials: Sequence[Trial]) -> Counter[int]:
    return sum((Counter(route.sizes) for _, route in _routes(name, trials)), Counter[int]())


def _checked(asked: Sequence[RequestTemplate]) -> Set[str]:
    """The routes whose answers must have a text to count as success."""
    return {request.name for request in asked if request.expect.body is not None}


def _redirected(
    asked: Sequence[RequestTemplate], trials: Sequence[Trial]
) -> Iterator[DoubtfulAnswers]:
    """Of what was asked, what mostly answered with redirects in any trial, though no status is said
    to be expected of it.
    """
    for name in (r.name for r in asked if r.method in _READING and not r.expect.status):
        led = [(rate, route) for rate, route in _routes(name, trials) if _leads_away(route)]
        if not led:
            continue
        statuses = sum((Counter(route.statuses) for _, route in led), Counter[int]())
        away = Counter({code: statuses[code] for code in _AWAY})
        ((status, _),) = away.most_common(1)
        sentence = (
            f"{away.total():,} of {statuses.total():,} answers to {name} lead elsewhere"
            f" ({status} {HTTPStatus(status).phrase})"
        )
        when = "" if len(led) == len(trials) else f"In {len(led)} of {len(trials)} trials, "
        caution = Caution(
            CautionCode.REDIRECTED,
            f"{when}{sentence}, and redirects are not followed: what they lead to was not"
            " measured.",
            f"If that is its right answer, say so: expect = {{ status = [{status}] }}; else ask for"
            " where it leads (https:// in target.url, another path), or log in: [login].",
        )
        yield DoubtfulAnswers(name, min(rate for rate, _ in led), sentence, caution)


def _leads_away(route: RouteResult) -> bool:
    away = sum(route.statuses.get(code, 0) for code in _AWAY)
    return away > _MOST * sum(route.statuses.values())


def _shortened(checked: Set[str], how: str, trials: Sequence[Trial]) -> Iterator[DoubtfulAnswers]:
    """Routes of which a part of the answers, at higher rates, is not half as long as the shortest
    at the lowest ones, but for those whose answers are `checked` for a text; `how` that is done.
    """
    names = dict.fromkeys(name for trial in trials for name in trial.routes)
    for name in (name for name in names if name not in checked):
        ascending = sorted(_routes(name, trials), key=lambda each: each[0])
        known, lowest = Counter[int](), 0.0
        for rate, route in ascending:
            if rate > lowest and known.total() >= _KNOWN:
                break
            lowest = rate
            known.update(route.sizes)
        if known.total() < _KNOWN:
            continue
        least = min(known) - _FAR
        later = ((rate, route.sizes) for rate, route in ascending if rate > lowest)
        shorter = [(rate, share) for rate, s in later if (share := _share(s, least, known.total()))]
        if not shorter:
            continue
        since, most = shorter[0][0], max(share for _, share in shorter)
        sentence = (
            f"from {format_rate(since)} on, up to {format_share(most)} of the answers to {name} are"
            f" not half as long as the shortest up to {format_rate(lowest)}"
        )
        caution = Caution(
            CautionCode.SHORTER_ANSWERS,
            f"{sentence[:1].upper()}{sentence[1:]}, and count as success: they may tell of errors.",
            f"Look at one of them, and say what a right answer contains: {how}.",
        )
        yield DoubtfulAnswers(name, since, sentence, caution)


def _share(sizes: Mapping[int, int], least: int, known: int) -> Share:
    """Of answers by size, those up to that power of two; 0 where they are few, or may by chance be
    none of those `known`.
    """
    short = sum(count for power, count in sizes.items() if power <= least)
    total = sum(sizes.values())
    if short <= _SHORTER * total or (total / (known + total)) ** short > _CHANCE:
        return 0.0
    return short / total
