"""All that is known when the question is asked: what stops this service? Every piece is optional
but the knee itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from perfhunt.analysis.trial.there import There
from perfhunt.model.interval import sampling_error
from perfhunt.model.profile import Instants, Loss, Profile
from perfhunt.model.run import Application
from perfhunt.model.states import Peer, States
from perfhunt.model.trial import Resources, Trial
from perfhunt.model.units import Cores, PerSecond, Seconds

# Requests sent and unanswered at moments of time.monotonic; None where no request counted.
RequestsAt = Callable[[Sequence[Seconds]], Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class Span:
    """What was captured during one span of steady load.

    `completed` is answers per second in the span; `service` the mean latency from the actual send,
    when a generator measured it. `profile` holds on-CPU (or GIL-holding) stacks, `instants` every
    thread at a few moments each second. `peers` are the processes at the other end of the target's
    connections; None when nobody looked. `losses` says what else was looked for and not got.
    `in_service` are the requests sent and unanswered at each of `instants`; empty: not known.
    `unread` are looks at the target's sockets, from which `resources` has its mean: when, and how
    many connections held a request that no thread had read.
    """

    completed: PerSecond
    service: Seconds | None = None
    trial: Trial | None = None
    profile: Profile | None = None
    instants: Instants | None = None
    states: States | None = None
    resources: Resources | None = None
    peers: tuple[Peer, ...] | None = None
    losses: tuple[Loss, ...] = ()
    in_service: tuple[int, ...] = ()
    unread: tuple[tuple[Seconds, int], ...] = ()
    # The pass that `instants` are of, where `service` and the rest are of another.
    waits: Span | None = None

    @property
    def requests(self) -> float | None:
        """Requests sent and unanswered, on average (Little's law); None where nobody timed them."""
        return None if self.service is None else self.completed * self.service

    def while_requests_counted(self, requests_at: RequestsAt) -> Span:
        """The same with no look from before the requests counted, when queues filled, or after the
        load; and with the requests that were there at each look.
        """
        return self._unread_while_counted(requests_at)._looks_while_counted(requests_at)

    def _unread_while_counted(self, requests_at: RequestsAt) -> Span:
        """The same with the mean of what lay unread for the requests that there were."""
        requests = requests_at([at for at, _ in self.unread])
        seen = [
            (there, count)
            for there, (_, count) in zip(requests, self.unread, strict=False)
            if there is not None
        ]
        if self.resources is None or not seen:
            return self
        counts = np.asarray([count for _, count in seen], dtype=np.float64)
        there = There.of([n for n, _ in seen], len(seen), self.requests)
        resources = replace(
            self.resources,
            unread=there.mean(counts),
            unread_error=sampling_error(there.beside(counts).tolist()),
        )
        return replace(self, resources=resources)

    def _looks_while_counted(self, requests_at: RequestsAt) -> Span:
        looks = self.instants.instants if self.instants is not None else ()
        requests = requests_at([look.at for look in looks])
        if self.instants is None or not any(count is not None for count in requests):
            return self
        counted = [(i, n) for i, n in zip(looks, requests, strict=True) if n is not None]
        return replace(
            self,
            instants=replace(
                self.instants,
                seconds=self.instants.seconds * len(counted) / len(looks),
                instants=tuple(look for look, _ in counted),
            ),
            in_service=tuple(n for _, n in counted),
        )

    @staticmethod
    def of(
        trial: Trial,
        profile: Profile | None = None,
        instants: Instants | None = None,
        states: States | None = None,
        resources: Resources | None = None,
        peers: tuple[Peer, ...] | None = None,
        losses: tuple[Loss, ...] = (),
        unread: tuple[tuple[Seconds, int], ...] = (),
    ) -> Span:
        """The span of a trial; `resources` default to the trial's own."""
        return Span(
            completed=trial.completed,
            service=trial.service.mean,
            trial=trial,
            profile=profile,
            instants=instants,
            states=states,
            resources=resources or trial.resources,
            peers=peers,
            losses=losses,
            unread=unread,
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """The span at the knee, the span at baseline, and instants of the target with no load at all
    (`idle`); `above` is a short one where the service breaks, which the knee's may not show.

    `cpu_limit` is the cores the target may use; `runtime` is cpython, ruby, node, jvm, go, native;
    `application` says which of what is installed is the application; `sources` are the texts of the
    application's files, by path. `trials` are all of the run;
    it was `watched` unless profiles were not asked for. `imported` are the texts of the files
    that those import, where they were asked for (None: could not be read); `paths` are what was
    requested, by the name of its route; `server_limits` options of the command with which its
    server refuses by itself. `parents` are those of the target's processes, by pid.
    """

    knee: Span
    baseline: Span | None = None
    above: Span | None = None
    idle: Instants | None = None
    runtime: str = "cpython"
    version: str = ""  # of the runtime
    cpu_limit: Cores | None = None
    application: Application = field(default_factory=Application)
    sources: Mapping[str, str] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    watched: bool = True
    imported: Mapping[str, str | None] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    server_limits: tuple[str, ...] = ()
    parents: Mapping[int, int] = field(default_factory=dict)

    @property
    def of_waits(self) -> Evidence:
        """The same with the profile at the knee and else nothing but the pass in which threads were
        looked at: each profiler slows a service in its own way, so that the latency of one pass is
        not made of what another saw. Nor is it of the requests that do not count.
        """
        knee, waits = self.knee, self.knee.waits
        if waits is not None:
            knee = replace(waits, profile=waits.profile or knee.profile)
        return replace(self, knee=knee)

    @property
    def cores(self) -> Cores | None:
        """The cores the target may use, from whichever piece says so."""
        resources = self.knee.resources
        return self.cpu_limit or (resources.cpu_limit if resources else None)
