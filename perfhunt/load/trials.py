"""A trial from its raw samples: what the service did, what the generator did, and whether to
believe it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from perfhunt.analysis.trial.honesty import GeneratorHealth, honesty
from perfhunt.analysis.trial.steadiness import doubts
from perfhunt.load import tally as tallies
from perfhunt.load.messages import StepDone
from perfhunt.load.tally import GeneratorSecond, StepTally
from perfhunt.load.wire import wire_of
from perfhunt.model.latency import UNCAUSED, RequestOutcome
from perfhunt.model.trial import Generator, SecondRow, Step, Trial
from perfhunt.model.units import Seconds, format_duration

# Requests seen in flight, by either count: a count of n is uncertain by its square root, and 5 % is
# wanted.
LITTLE_LEAST = 400.0
# A name takes a millisecond from a cache near by, and tens of them from a server.
NAME_SLOW: Seconds = 0.05


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How the load came to its end. `done` is the generator's own account, None when it died."""

    seconds: Seconds
    overload: str = ""
    invalid: str = ""
    done: StepDone | None = None

    @property
    def account(self) -> StepDone:
        """The generator's own account, or that of one that counted nothing."""
        return self.done or StepDone(seconds=self.seconds)


def build_trial(
    step: Step,
    tally: StepTally,
    rows: tuple[SecondRow, ...],
    end: StepEnd,
    samples: str,
    health: Mapping[int, GeneratorSecond],
) -> Trial:
    """The trial, counted from the samples of arrivals due between the settling and the end of the
    load.

    `health` is what the generator said of itself second by second.
    """
    settle = min(step.settle, end.seconds)
    span = tally.counted(settle, end.seconds)
    counted = tally.of_span(settle, end.seconds)
    seconds = max(end.seconds - settle, 1e-9)
    response, service = tallies.response_and_service(counted, tally.timeout)
    sent, begun = tally.sent_within(settle, end.seconds)
    outcomes = tallies.outcomes(counted)
    generator = _generator(tally, rows, end, settle, health)
    invalid, notes = honesty(
        GeneratorHealth(
            offered=tally.offered(span),
            sent=begun,
            exhausted=outcomes.get(RequestOutcome.GENERATOR.name.lower(), 0),
            seconds=seconds,
            generator=generator,
            impacts=tally.lag_impacts(span),
            missing=tally.missing(span),
            shed=outcomes.get(RequestOutcome.SHED.name.lower(), 0),
            workers=end.account.workers,
        )
    )
    notes = (
        generator.notes
        + notes
        + _uncaused(tally, counted)
        + _doubts(step, tally, rows, end, settle)
    )
    return Trial(
        step=step,
        seconds=end.seconds,
        achieved=sent / seconds,
        completed=tally.completed(settle, end.seconds) / seconds,
        counts=tally.counts(span),
        response=response,
        service=service,
        outcomes=outcomes,
        generator=replace(generator, notes=notes),
        overload=end.overload,
        invalid=end.invalid or invalid,
        routes={
            name: replace(route, over=tally.over(name, span))
            for name, route in tallies.per_route(counted, tally.routes, tally.timeout).items()
        },
        rows=rows,
        samples=samples,
        wire=wire_of(end.account.wire, counted),
    )


def _uncaused(tally: StepTally, counted: tallies.Samples) -> tuple[str, ...]:
    """How many requests counted that no arrival caused."""
    n = len(counted) - len(tally.of_arrivals(counted))
    if not n:
        return ()
    return (
        f"{n} of {len(counted)} results are of requests that no task under way caused: a greenlet"
        f" that outlived its task sent them, or one of a user's own; they count, as {UNCAUSED!r}",
    )


def _generator(
    tally: StepTally,
    rows: tuple[SecondRow, ...],
    end: StepEnd,
    settle: Seconds,
    health: Mapping[int, GeneratorSecond],
) -> Generator:
    account = end.account
    lag_p50, lag_p99 = tallies.lag_percentiles(tally.of_span(settle, end.seconds))
    return Generator(
        lag_p50=lag_p50,
        lag_p99=lag_p99,
        cpu=max((r.generator_cpu for r in rows), default=None),
        connections_opened=account.opened,
        gc_pause_max=account.gc_pause,
        fds_share=account.fds_share,
        ports_share=account.ports_share,
        little_ratio=_little(tally, health),
        refused=account.refused,
        notes=_client_notes(account),
        mishaps=account.errors,
        tasks=account.tasks,
    )


def _doubts(
    step: Step, tally: StepTally, rows: tuple[SecondRow, ...], end: StepEnd, settle: Seconds
) -> tuple[str, ...]:
    """Whether the trial was one steady thing; an overloaded or spoiled one is not, and has been
    told of already.
    """
    if end.overload or end.invalid or not len(tally.due):
        return ()
    caused = tally.of_arrivals(tally.of_span(settle, end.seconds))
    counted = np.sort(tally.of_schedule(caused), order="due")
    counted = counted[counted["outcome"] != RequestOutcome.SHED]
    begun = counted["due"] + counted["lag"] - counted["wait"]
    return doubts(
        due=counted["due"],
        sent=begun,
        response=counted["lag"] + counted["service"],
        rows=rows,
        rate=step.rate * len(counted) / max(1, len(caused)),
        law=step.arrivals,
        settle=settle,
    )


def _little(tally: StepTally, health: Mapping[int, GeneratorSecond]) -> float | None:
    """Requests the generator saw unanswered over those that the samples say were: Little's law with
    N counted apart. None when too few were seen.
    """
    whole = {second: report for second, report in health.items() if report.ticks}
    counted = sum(report.unanswered for report in whole.values())
    expected = sum(tally.in_flight(s, s + 1) * report.ticks for s, report in whole.items())
    return counted / expected if min(counted, expected) >= LITTLE_LEAST else None


def _client_notes(account: StepDone) -> tuple[str, ...]:
    """What the client met that no latency shows."""
    notes = []
    if account.users:
        notes.append(
            f"closed loop: {account.users} users that wait for their answers; "
            "the waiting of requests they did not send meanwhile is in no latency"
        )
    if account.resent:
        notes.append(
            f"{account.resent} requests met a connection that the service was closing for idleness,"
            " and were sent again"
        )
    if account.stray:
        notes.append(
            f"{account.stray} connections carried bytes after the answer that nobody had asked for"
        )
    if account.queued:
        notes.append(
            f"{account.queued} requests waited for others to finish:"
            " the bound on requests in flight was reached"
        )
    name = account.wire.resolution if account.wire is not None else None
    if name is not None and name >= NAME_SLOW:
        notes.append(
            f"the host's name took {format_duration(name)} to resolve, once: it is in no latency,"
            " and a client that asks for every connection waits for it"
        )
    notes += [f"{count} x {error}" for error, count in account.errors.items()]
    return tuple(notes)
