"""Services whose knee is known: the four of the fact sheet, five with other troubles, three of
which a part breaks first, and two that remember what was asked before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Step
from perfhunt.testing import (
    Cache,
    Cliff,
    Lane,
    QueueEngine,
    Service,
    constant,
    exponential,
    lognormal,
    mixture,
)

ENGINES, SECONDS, FILL = 24, 600.0, 30.0  # behind each truth: four hours per rate


@dataclass(frozen=True)
class Scenario:
    """A simulated service, its limit for the p99, and its true knee (requests/s), found by
    `truth`.

    `ages`: it has no steady knee; its lowest and highest while a search lasts. `knee` is that of
    the fresh service.
    """

    name: str
    about: str
    service: Service
    limit: float
    knee: float
    start: float = 10.0
    ages: tuple[float, float] | None = None

    @property
    def criterion(self) -> Criterion:
        return Criterion("latency.p99", self.limit, 0.01)

    @property
    def fresh(self) -> Service:
        """The service as it is before it has aged or was overloaded: the knee is its."""
        return replace(self.service, leak=0.0, warmup=0.0, cliff=None, neighbour=1.0)


_LOOP = mixture((0.98, lognormal(0.003, 0.5)), (0.02, lognormal(0.040, 0.3)))

SCENARIOS = (
    Scenario("S1", "M/M/1, 6 ms", Service(exponential(0.006)), 0.100, 120.6),
    Scenario("S2", "M/G/1, lognormal cv 2: soft", Service(lognormal(0.006, 2)), 0.150, 66.8),
    Scenario(
        "S3",
        "4 workers, cv 1, 50 ms pauses",
        Service(lognormal(0.0238, 1), 4, pause=0.05, period=2.0),
        0.250,
        142.4,
    ),
    Scenario(
        "S4",
        "4 workers, cv 2, 50 ms pauses",
        Service(lognormal(0.0238, 2), 4, pause=0.05, period=2.0),
        0.400,
        129.3,
    ),
    Scenario("K16", "16 workers, cv 1", Service(lognormal(0.040, 1), 16), 0.300, 375.7),
    Scenario(
        "LOOP",
        "event loop, 2 % of requests block it 40 ms",
        Service(_LOOP, delay=lognormal(0.02, 0.5)),
        0.150,
        197.6,
    ),
    Scenario(
        "LIMIT",
        "429 above 120/s, latency flat",
        Service(lognormal(0.012, 1), 4, refuse_above=120.0),
        0.250,
        114.8,
    ),
    Scenario(
        "DRIFT",
        "M/M/1 whose speed swings ±6 % in 2 min",
        Service(exponential(0.006), drift=0.06),
        0.100,
        118.0,
    ),
    Scenario(
        "TAIL",
        "2 % of requests take a slow lane of 80 ms",
        Service(lognormal(0.0005, 1), 4, lane=Lane(0.02, constant(0.08))),
        0.250,
        542.0,
    ),
    Scenario(
        "ROUTES",
        "one route of ten saturates at a tenth of the capacity",
        Service(lognormal(0.004, 1), 4, lane=Lane(0.1, exponential(0.1))),
        0.400,
        42.1,
    ),
    Scenario(
        "TWOSTEP",
        "3 % have two workers of their own, the rest follows at 1.5 times the rate",
        Service(lognormal(0.002, 1), 4, lane=Lane(0.03, constant(0.05), 2)),
        0.250,
        1252.0,
    ),
    Scenario(
        "NEIGHBOUR",
        "M/M/1, 6 ms, half as fast while a neighbour is on: half of the time, 20 s on average",
        Service(exponential(0.006), neighbour=2.0),
        0.100,
        120.6,
    ),
    Scenario(
        "CLIFF",
        "M/M/1, twice as slow from an overload until 20 s of quiet",
        Service(exponential(0.006), cliff=Cliff(patience=0.4)),
        0.100,
        120.6,
    ),
    Scenario(
        "CACHE",
        "4 workers, misses take 60 ms, and half of the requests miss at 10/s, 3 % at the knee",
        Service(lognormal(0.008, 1), 4, cache=Cache(keys=200, ttl=20.0, slow=lognormal(0.060, 1))),
        0.250,
        392.8,
    ),
    Scenario(
        "WARM",
        "M/M/1 that starts at half its speed and warms up for a minute",
        Service(exponential(0.006), warmup=1.0, warmup_tau=20.0),
        0.100,
        120.6,
    ),
    Scenario(
        "LEAK",
        "M/M/1 whose service times grow by 5 % per 1,000 requests (the knee: when fresh)",
        Service(exponential(0.006), leak=0.05),
        0.100,
        120.6,
        ages=(28.0, 120.6),  # after the 25,000 requests of a search of ten minutes
    ),
    Scenario("SLOW", "2 workers, 400 ms, cv 1", Service(lognormal(0.4, 1), 2), 4.0, 3.73, 0.5),
    Scenario(
        "UPLOAD", "the same, begun at 10/s: too much", Service(lognormal(0.4, 1), 2), 4.0, 3.73
    ),
    Scenario(
        "REPORT",
        "2 workers, 2.4 s, cv 1, begun at 10/s",
        Service(lognormal(2.4, 1), 2),
        24.0,
        0.621,
    ),
)


def truth(scenario: Scenario) -> tuple[float, float]:
    """The knee and its sharpness, from long runs at five rates around the one written down, by a
    log-linear fit. Of a service with a neighbour it is that of the quiet host.
    """
    shares = []
    shifts = np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
    if scenario.service.refuse_above:
        shifts = shifts / 4
    for shift in shifts:
        counts = []
        for seed in range(ENGINES):
            engine = QueueEngine(scenario.fresh, (scenario.criterion,), seed + 10_000)
            seconds = SECONDS * max(1.0, 100.0 / scenario.knee)
            step = Step(
                Phase.FIXED,
                scenario.knee * (1 + shift),
                seconds + FILL,
                seed + 20_000,
                FILL,
                stop_on_overload=False,
            )
            counts.append(engine.run(step).counts["latency.p99"])
        shares.append(sum(c.exceed for c in counts) / sum(c.n for c in counts))
    b, a = np.polyfit(shifts, np.log(shares), 1)
    z = (np.log(0.01) - a) / b
    return scenario.knee * (1 + z), b * (1 + z)
