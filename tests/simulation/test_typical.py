"""The chosen arrivals: a pure choice, the same on average as any, and less scattered in what they
make late.
"""

import numpy as np
import pytest

from perfhunt.analysis.knee.typical import APART, CANDIDATES, typical_seed
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Phase, Step, arrivals
from perfhunt.testing import QueueEngine, Service, exponential, lognormal

LIMIT = Criterion("latency.p99", 0.1, 0.01)


def late(service: Service, seed: int, order: int) -> float:
    engine = QueueEngine(service, (LIMIT,), order)
    count = engine.run(Step(Phase.PASS, 130.0, 13.0, seed, 1.0, stop_on_overload=False)).counts[
        "latency.p99"
    ]
    return count.exceed / count.n


def test_the_choice_is_pure_and_one_of_the_candidates() -> None:
    chosen = typical_seed(7, 130.0, 13.0, 1.0, "poisson", 166.0, 0.02)
    assert chosen == typical_seed(7, 130.0, 13.0, 1.0, "poisson", 166.0, 0.02)
    assert chosen in [7 + APART * i for i in range(CANDIDATES)]
    assert len(arrivals(chosen, 130.0, 13.0)) > 0


@pytest.mark.parametrize(
    "service",
    [Service(exponential(0.006)), Service(lognormal(0.024, 1), 4)],
    ids=["M/M/1", "4 workers"],
)
def test_what_the_arrivals_alone_bring_about_scatters_less_and_not_around_another_mean(
    service: Service,
) -> None:
    seeds = range(1000, 1060)
    first = np.array(
        [np.mean([late(service, seed, times) for times in range(24)]) for seed in seeds]
    )
    chosen = [typical_seed(seed, 130.0, 13.0, 1.0, "poisson", 166.0, 0.03) for seed in seeds]
    typical = np.array(
        [np.mean([late(service, seed, times) for times in range(24)]) for seed in chosen]
    )
    assert typical.var() < 0.7 * first.var()
    assert abs(typical.mean() - first.mean()) < 4 * np.hypot(first.std(), typical.std()) / np.sqrt(
        len(seeds)
    )


@pytest.mark.parametrize(
    ("rate", "seconds", "law", "capacity"),
    [
        (130.0, 13.0, "uniform", 166.0),
        (130.0, 13.0, "poisson", None),
        (30.0, 13.0, "poisson", 166.0),
        (9e3, 13.0, "poisson", 1e4),
    ],
    ids=["even arrivals", "no capacity", "hardly any load", "luck has evened out"],
)
def test_there_is_nothing_to_choose(
    rate: float, seconds: float, law: str, capacity: float | None
) -> None:
    assert typical_seed(7, rate, seconds, 1.0, law, capacity, 0.02) == 7
