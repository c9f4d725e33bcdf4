"""A trial from its raw samples: what the service did, what the generator did, and whether to
believe it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perfhunt.analysis.trial.honesty import GeneratorHealth, honesty
from perfhunt.analysis.trial.steadiness import doubts
from perfhunt.load import tally as tallies
from perfhunt.load.tally import GeneratorSecond as Told
from perfhunt.load.tally import StepTally
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.trial import Generator, SecondRow, Step, Trial
from perfhunt.model.units import Seconds

LITTLE_LEAST = 400.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How the load came to its end. `done` is the generator's own account, empty when it died."""

    seconds: Seconds
    overload: str = ""
    invalid: str = ""
    done: Mapping[str, Any] | None = None


def build_trial(
    step: Step,
    tally: StepTally,
    rows: tuple[SecondRow, ...],
    ending: Ending,
    samples: str,
    told: Mapping[int, Told],
) -> Trial:
    """The trial, counted from the samples of arrivals due between the settling and the end of the
    load.

    `told` is what the generator said of itself second by second.
    """
    settle = min(step.settle, ending.seconds)
    span = tally.counted(settle, ending.seconds)
    counted = tally.of_span(settle, ending.seconds)
    seconds = max(ending.seconds - settle, 1e-9)
    response, service = tallies.response_and_service(counted, tally.timeout)
    found = tallies.outcomes(counted)
    shed = found.get("shed", 0)
    sent, begun = tally.sent_within(settle, ending.seconds)
    generator = _generator(tally, rows, ending, settle, told)
    exhausted = found.get(RequestOutcome.GENERATOR.name.lower(), 0)
    offered = span.stop - span.start
    health = GeneratorHealth(
        offered,
        begun,
        exhausted,
        seconds,
        generator,
        tally.spoiled(span),
        tally.missing(span),
        shed,
        int((ending.done or {}).get("workers", 1)),
    )
    invalid, notes = honesty(health)
    notes = generator.notes + notes + _doubts(step, tally, rows, ending, settle)
    return Trial(
        step=step,
        seconds=ending.seconds,
        achieved=sent / seconds,
        completed=tally.completed(settle, ending.seconds) / seconds,
        counts=tally.counts(span),
        response=response,
        service=service,
        outcomes=found,
        generator=replace(generator, notes=notes),
        overload=ending.overload,
        invalid=ending.invalid or invalid,
        routes=tallies.per_route(counted, tally.routes, tally.timeout),
        rows=rows,
        samples=samples,
    )


def _generator(
    tally: StepTally,
    rows: tuple[SecondRow, ...],
    ending: Ending,
    settle: Seconds,
    told: Mapping[int, Told],
) -> Generator:
    done = ending.done or {}
    lag_p50, lag_p99 = tallies.lag_percentiles(tally.of_span(settle, ending.seconds))
    return Generator(
        lag_p50=lag_p50,
        lag_p99=lag_p99,
        cpu=max((r.generator_cpu for r in rows), default=None),
        connections_opened=int(done.get("opened", 0)),
        gc_pause_max=float(done.get("gc_pause", 0.0)),
        fds_share=done.get("fds_share"),
        ports_share=done.get("ports_share"),
        little_ratio=_little(tally, told),
        notes=_said(done),
    )


def _doubts(
    step: Step, tally: StepTally, rows: tuple[SecondRow, ...], ending: Ending, settle: Seconds
) -> tuple[str, ...]:
    """Whether the trial was one steady thing; an overloaded or spoiled one is not, and has been
    told of already.
    """
    if ending.overload or ending.invalid or not len(tally.due):
        return ()
    counted = np.sort(tally.of_span(settle, ending.seconds), order="due")
    counted = counted[counted["outcome"] != RequestOutcome.SHED]
    begun = counted["due"] + counted["lag"] - counted["wait"]
    return doubts(
        counted["due"],
        begun,
        counted["lag"] + counted["service"],
        rows,
        step.rate,
        step.arrivals,
        settle,
    )


def _little(tally: StepTally, told: Mapping[int, Told]) -> float | None:
    """Requests the generator saw unanswered over those that the samples say were: Little's law with
    N counted apart.

    None when too few were seen: a count of n is uncertain by its square root, and 5 % is wanted.
    """
    whole = [s for s, t in told.items() if t.ticks]
    seen = sum(told[s].seen for s in whole)
    expected = sum(tally.in_flight_mean(s, s + 1) * told[s].ticks for s in whole)
    return seen / expected if min(seen, expected) >= LITTLE_LEAST else None


def _said(done: Mapping[str, Any]) -> tuple[str, ...]:
    """What the client met that no latency shows."""
    notes = []
    if done.get("users"):
        notes.append(
            f"closed loop: {done['users']} users that wait for their answers; "
            "the waiting of requests they did not send meanwhile is in no latency"
        )
    if done.get("resent"):
        notes.append(
            f"{done['resent']} requests met a connection that the service was closing for idleness,"
            " and were sent again"
        )
    if done.get("stray"):
        notes.append(
            f"{done['stray']} connections carried bytes after the answer that nobody had asked for"
        )
    if done.get("queued"):
        notes.append(
            f"{done['queued']} requests waited for others to finish: the bound on requests in"
            " flight was reached"
        )
    notes += [f"{count} x {error}" for error, count in done.get("errors", {}).items()]
    return tuple(notes)
