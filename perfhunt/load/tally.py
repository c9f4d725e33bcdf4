"""From raw samples to second-rows and a trial: vectorised, exact, and outside the process that
keeps the pace.

The schedule is a pure function of the step, so what is due but unanswered is known here without
asking the generator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfhunt.analysis.trial.honesty import LagImpact
from perfhunt.model.latency import (
    PROBED,
    SAMPLE,
    UNCAUSED,
    Latency,
    RequestOutcome,
    RouteFailure,
    percentiles,
    summarise,
)
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Count, RouteResult, SecondRow
from perfhunt.model.units import Seconds, Share

Samples = NDArray[Any]  # dtype SAMPLE

_ANSWERED = (RequestOutcome.OK, RequestOutcome.STATUS)
_AT_LEAST = (RequestOutcome.SHED, RequestOutcome.CUT)
_WITHOUT_CONTENT = (204, 304)  # RFC 9110, 6.4.1
_NOT_ENDED = 255  # in place of an outcome: the arrival has no sample yet


@dataclass(frozen=True, slots=True)
class GeneratorSecond:
    """What the generator said of itself over one second."""

    cpu: float = 0.0
    sent: int = 0
    unanswered: int = 0  # sum over its ticks of requests due but not answered
    ticks: int = 0


class StepTally:
    """All that is known of one step so far: its arrivals, and the samples of those that ended."""

    def __init__(
        self,
        due: NDArray[np.float64],
        endpoint: NDArray[np.uint16],
        criteria: Sequence[Criterion],
        routes: Sequence[str],
        timeout: Seconds,
        later: int = 0,
    ) -> None:
        """`due` ascending, shape (n,); `endpoint` the index into `routes` of each; `timeout` stands
        in for no answer. Samples of the route UNCAUSED are of no arrival, and count beside them;
        those of PROBED, and of the last `later` routes, which are later steps of journeys, are of
        requests that the schedule does not hold.
        """
        self.due, self.endpoint = due, endpoint
        self.criteria, self.routes, self.timeout = tuple(criteria), tuple(routes), timeout
        self._later = tuple(range(len(routes) - later, len(routes)))
        self.samples: list[Samples] = []
        n = len(due)
        self._end = np.full(n, np.inf)  # seconds from the epoch
        self._response = np.full(n, np.inf)
        self._own = np.zeros(n, dtype=np.float64)  # how late the generator itself was
        self._outcome = np.full(n, _NOT_ENDED, dtype=np.uint8)
        self._fresh: list[Samples] = []

    def add(self, samples: Samples) -> None:
        """More arrivals have ended."""
        if not len(samples):
            return
        self.samples.append(samples)
        self._fresh.append(samples)
        unplanned = ~self._is_scheduled(samples, self.uncaused, self.probed)
        if unplanned.any():
            self._insert(samples[unplanned])
        # The due time is carried through bit by bit, so it names the arrival.
        planned = samples[~unplanned]
        self._enter(
            np.minimum(np.searchsorted(self.due, planned["due"]), len(self.due) - 1), planned
        )

    @property
    def uncaused(self) -> int:
        """The index of the route whose requests no arrival caused; -1 where there is none."""
        return self._route(UNCAUSED)

    @property
    def probed(self) -> int:
        """The index of the route of our own probes beside a program; -1 where there are none."""
        return self._route(PROBED)

    def _route(self, name: str) -> int:
        """The index of a route; -1, which no sample has, where there is none of that name."""
        return self.routes.index(name) if name in self.routes else -1

    def _is_scheduled(self, samples: Samples, *others: int) -> NDArray[np.bool_]:
        """Which samples are of the schedule: of no later step, and of none of the other routes."""
        scheduled: NDArray[np.bool_] = ~np.isin(samples["endpoint"], (*self._later, *others))
        return scheduled

    def _insert(self, samples: Samples) -> None:
        """Requests that the schedule knows nothing of take places among the arrivals."""
        samples = np.sort(samples, order="due")
        at, n = np.searchsorted(self.due, samples["due"]), len(samples)
        self.due = np.insert(self.due, at, samples["due"])
        self.endpoint = np.insert(self.endpoint, at, samples["endpoint"])
        self._end = np.insert(self._end, at, np.full(n, np.inf))
        self._response = np.insert(self._response, at, np.full(n, np.inf))
        self._own = np.insert(self._own, at, np.zeros(n))
        self._outcome = np.insert(self._outcome, at, np.full(n, _NOT_ENDED, dtype=np.uint8))
        self._enter(at + np.arange(n), samples)

    def _enter(self, index: NDArray[np.intp], samples: Samples) -> None:
        """Writes down how the arrivals at `index` ended."""
        response = samples["lag"].astype(np.float64) + samples["service"]
        self._end[index] = samples["due"] + response
        self._response[index] = response
        self._own[index] = np.maximum(samples["lag"] - samples["wait"], 0.0)
        self._outcome[index] = samples["outcome"]
        self.endpoint[index] = samples["endpoint"]

    def row(self, second: int, at: Seconds, health: GeneratorSecond) -> SecondRow:
        """What happened in one second, as far as it is known `at` seconds from the start (infinite:
        it is over).
        """
        fresh, self._fresh = _joined(self._fresh), []
        first, last = np.searchsorted(self.due, [second, second + 1])
        ended = (self._end >= second) & (self._end < second + 1)
        outcome = self._outcome[ended]
        shed = int(np.count_nonzero(outcome == RequestOutcome.SHED))
        failed = int(np.count_nonzero(outcome != RequestOutcome.OK)) - shed
        p50, p99 = percentiles(fresh["lag"] + fresh["service"], (0.5, 0.99))
        return SecondRow(
            second=second,
            due=int(last - first),
            sent=health.sent,
            done=int(np.count_nonzero(ended)) - shed,
            failed=failed,
            shed=shed,
            exceed=tuple(self._exceed(c, first, last, at) for c in self.criteria),
            in_flight=self.in_flight(second, min(at, second + 1.0)),
            p50=p50,
            p99=p99,
            lag_p99=percentiles(fresh["lag"] - fresh["wait"], (0.99,))[0],
            generator_cpu=health.cpu,
        )

    def _exceed(self, criterion: Criterion, first: int, last: int, at: Seconds) -> int:
        """Of the arrivals in a range, how many failed or are known to be later than the limit."""
        span = slice(first, last)
        outcome = self._outcome[span]
        too_old = at - self.due[span] > criterion.limit
        bad = np.where(outcome == _NOT_ENDED, too_old, self._bad(criterion, span))
        return int(np.count_nonzero(bad & self._on_route(criterion, span)))

    def _bad(self, criterion: Criterion, span: slice, own: Share = 1.0) -> NDArray[np.bool_]:
        """Which arrivals exceeded a criterion, with this share of the generator's own lateness in
        their response.
        """
        outcome = self._outcome[span]
        if math.isinf(criterion.limit):
            # Only failures count: what was cut off or shed has not failed.
            failed: NDArray[np.bool_] = ~np.isin(outcome, (RequestOutcome.OK, *_AT_LEAST))
            return failed
        late = self._response[span] - (1.0 - own) * self._own[span] > criterion.limit
        bad: NDArray[np.bool_] = (outcome != RequestOutcome.OK) | late
        return bad

    def _on_route(self, criterion: Criterion, span: slice) -> NDArray[np.bool_]:
        if criterion.route is None:
            return np.ones(len(self.due[span]), dtype=np.bool_)
        on_route: NDArray[np.bool_] = self.endpoint[span] == self._route(criterion.route)
        return on_route

    def in_flight(self, since: float, until: float) -> float:
        """Time average of arrivals due but not ended, from `since` to `until` seconds."""
        if until <= since:
            return 0.0
        last = int(np.searchsorted(self.due, until))
        arrivals = self.endpoint[:last] != self.uncaused
        begun = np.maximum(self.due[:last][arrivals], since)
        over = np.minimum(self._end[:last][arrivals], until)
        return float(np.maximum(over - begun, 0.0).sum() / (until - since))

    def in_service_at(self, moments: NDArray[np.float64]) -> NDArray[np.int64]:
        """Requests sent and unanswered at each of `moments`, seconds from the epoch; same shape."""
        sampled = self._every[self._every["outcome"] != RequestOutcome.SHED]
        sent = sampled["due"] + sampled["lag"]
        ended = sent + sampled["service"]
        begun, over = (np.searchsorted(np.sort(times), moments, "right") for times in (sent, ended))
        return begun - over

    def counted(self, settle: Seconds, until: Seconds) -> slice:
        """The arrivals that count: due after the settling and before the load came off."""
        first, last = np.searchsorted(self.due, [settle, until])
        return slice(int(first), int(max(first, last)))

    def offered(self, span: slice) -> int:
        """Arrivals of a span; requests that none caused are not among them."""
        return int(np.count_nonzero(self.endpoint[span] != self.uncaused))

    def counts(self, span: slice) -> dict[str, Count]:
        """Per criterion: how many arrivals of its route there were, and how many exceeded it."""
        counts = {}
        for criterion in self.criteria:
            route = self._on_route(criterion, span)
            exceed = int(np.count_nonzero(self._bad(criterion, span) & route))
            counts[criterion.name] = Count(int(np.count_nonzero(route)), exceed)
        return counts

    def over(self, route: str, span: slice) -> dict[str, int]:
        """Per criterion of all requests: how many of one route exceeded it."""
        mine = self.endpoint[span] == self.routes.index(route)
        return {
            criterion.name: int(np.count_nonzero(self._bad(criterion, span) & mine))
            for criterion in self.criteria
            if criterion.route is None
        }

    def lag_impacts(self, span: slice) -> tuple[LagImpact, ...]:
        """Per criterion: how many exceeded it, and how many would have without the generator's own
        lag.
        """
        impacts = []
        for criterion in self.criteria:
            route = self._on_route(criterion, span)
            exceed, on_time = (
                int(np.count_nonzero(self._bad(criterion, span, own) & route)) for own in (1.0, 0.0)
            )
            impacts.append(LagImpact(criterion, int(np.count_nonzero(route)), exceed, on_time))
        return tuple(impacts)

    def completed(self, settle: Seconds, until: Seconds) -> int:
        """Answers received within the counted span, whatever it was that they answered."""
        inside = (self._end >= settle) & (self._end < until)
        return int(np.count_nonzero(inside & np.isin(self._outcome, _ANSWERED)))

    def sent_within(self, settle: Seconds, until: Seconds) -> tuple[int, int]:
        """Arrivals sent within the counted span, whenever they were due; and those the generator
        had got to by then.

        They differ by what waited for the service, when too much was in flight.
        """
        every = self.of_arrivals(self._every)
        sampled = every[every["outcome"] != RequestOutcome.SHED]
        sent = sampled["due"] + sampled["lag"]
        begun = sent - sampled["wait"]
        return _within(sent, settle, until), _within(begun, settle, until)

    def of_span(self, settle: Seconds, until: Seconds) -> Samples:
        """The samples of the counted arrivals, in the order they ended."""
        every = self._every
        return every[(every["due"] >= settle) & (every["due"] < until)]

    def of_arrivals(self, samples: Samples) -> Samples:
        """Those of samples that an arrival caused."""
        caused: Samples = samples[samples["endpoint"] != self.uncaused]
        return caused

    def of_schedule(self, samples: Samples) -> Samples:
        """Those of samples that the schedule holds."""
        return samples[self._is_scheduled(samples, self.uncaused, self.probed)]

    @property
    def _every(self) -> Samples:
        return _joined(self.samples)

    def missing(self, span: slice) -> int:
        """Arrivals of the span that have no sample: a generator that died, or lost count."""
        return int(np.count_nonzero(self._outcome[span] == _NOT_ENDED))


class ClosedTally(StepTally):
    """The same for a closed loop, which has no schedule: a request was due when it was sent, and is
    known once it has ended.
    """

    def add(self, samples: Samples) -> None:
        """More requests have ended."""
        if not len(samples):
            return
        kept, fresh = [*self.samples, samples], [*self._fresh, samples]
        every = np.sort(np.concatenate(kept), order="due")
        super().__init__(every["due"], every["endpoint"], self.criteria, self.routes, self.timeout)
        self.samples, self._fresh = kept, fresh
        self._enter(np.arange(len(every)), every)


def _joined(samples: Sequence[Samples]) -> Samples:
    return np.concatenate(samples) if samples else np.empty(0, dtype=SAMPLE)


def _within(times: NDArray[np.float64], since: Seconds, until: Seconds) -> int:
    return int(np.count_nonzero((times >= since) & (times < until)))


def response_and_service(samples: Samples, timeout: Seconds) -> tuple[Latency, Latency]:
    """Both distributions, as `responses` counts."""
    outcome = samples["outcome"]
    censored = int(np.count_nonzero(~np.isin(outcome, _ANSWERED)))
    service = np.maximum(samples["service"].astype(np.float64), _floor(samples, timeout))
    sent = outcome != RequestOutcome.SHED
    served = summarise(service[sent], censored - int(np.count_nonzero(~sent)))
    return summarise(responses(samples, timeout), censored), served


def responses(samples: Samples, timeout: Seconds) -> NDArray[np.float64]:
    """Seconds from when each request was due; shape (n,). One that got no answer counts at the
    timeout, however quickly it failed: a refusal is no win.
    """
    response: NDArray[np.float64] = samples["lag"] + samples["service"].astype(np.float64)
    return np.maximum(response, _floor(samples, timeout))


def _floor(samples: Samples, timeout: Seconds) -> NDArray[np.float64]:
    unanswered = ~np.isin(samples["outcome"], (*_ANSWERED, *_AT_LEAST))
    return np.where(unanswered, timeout, 0.0)


def outcomes(samples: Samples) -> dict[str, int]:
    """How the arrivals ended: outcome name, lower case, to count; only those that occurred."""
    counts = np.bincount(samples["outcome"], minlength=len(RequestOutcome))
    return {o.name.lower(): int(counts[o]) for o in RequestOutcome if counts[o]}


def per_route(samples: Samples, routes: Sequence[str], timeout: Seconds) -> dict[str, RouteResult]:
    """The same per endpoint, for those that were asked for."""
    results: dict[str, RouteResult] = {}
    for index, name in enumerate(routes):
        mine = samples[samples["endpoint"] == index]
        if len(mine):
            response, service = response_and_service(mine, timeout)
            results[name] = RouteResult(
                response=response,
                service=service,
                statuses=statuses(mine),
                outcomes=outcomes(mine),
                failures=failures(mine),
                sizes=sizes(mine),
            )
    return results


def failures(samples: Samples) -> tuple[RouteFailure, ...]:
    """Those that failed by outcome and status, the most first, each with its first one; what was
    shed or cut off has not failed.
    """
    wrong = ~np.isin(samples["outcome"], (RequestOutcome.OK, *_AT_LEAST))
    failed = np.sort(samples[wrong], order="due")
    kinds, firsts, counts = np.unique(
        failed[["outcome", "status"]], return_index=True, return_counts=True
    )
    found = [
        RouteFailure(
            outcome=RequestOutcome(kind["outcome"]).name.lower(),
            status=int(kind["status"]),
            count=int(count),
            first=round(float(failed[at]["due"]), 6),
            took=round(float(failed[at]["service"]), 6),
        )
        for kind, at, count in zip(kinds, firsts, counts, strict=True)
    ]
    return tuple(sorted(found, key=lambda failure: -failure.count))


def statuses(samples: Samples) -> Mapping[int, int]:
    """Status code to count, of those that were answered."""
    codes = samples["status"][samples["status"] > 0]
    values, counts = np.unique(codes, return_counts=True)
    return {int(v): int(c) for v, c in zip(values, counts, strict=True)}


def sizes(samples: Samples) -> Mapping[int, int]:
    """Power of two (rounded down) of an answer's bytes to count, of successes with a content."""
    told = (samples["outcome"] == RequestOutcome.OK) & ~np.isin(samples["status"], _WITHOUT_CONTENT)
    held = samples["bytes"][told & (samples["bytes"] > 0)]
    values, counts = np.unique(np.frexp(held.astype(np.float64))[1] - 1, return_counts=True)
    return {int(v): int(c) for v, c in zip(values, counts, strict=True)}


def lag_percentiles(samples: Samples) -> tuple[Seconds | None, Seconds | None]:
    """Median and p99 of how late the generator was, without what the service made it wait."""
    sent = samples[samples["outcome"] != RequestOutcome.SHED]
    p50, p99 = percentiles(np.maximum(sent["lag"] - sent["wait"], 0.0), (0.5, 0.99))
    return p50, p99
