"""Lower bounds of predictions against services whose mended capacity and knee theory knows: what is
said to be held at least must be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log

import numpy as np
import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.whatif import with_what_if
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.finding import Finding
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.profile import ProfileMode
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Interference, Trial
from tests.simulation.threads import trial_with
from tests.unit.scenes import profile, series, used

SEEDS = range(60)
LIMIT = 0.1  # of p99, seconds
TAIL = log(100) / LIMIT  # what M/M/1 keeps free below its capacity for it, requests/s
HASH, REST = 6.4e-3, 1.6e-3  # CPU seconds of a request: the culprit's, and of what is left
SEND = 4e-4  # of the load generator
UNEVEN = 4.0  # squared variation of what is left, where it is not exponential


def culprit(
    evidence: Evidence, capacity: float, trials: tuple[Trial, ...] = (), room: float = TAIL
) -> Finding:
    """The finding of `hash`, of a service that was not seen to be full."""
    rate = capacity - room
    knee = Knee(rate, 0.95 * rate, 1.05 * rate, 0.95, "latency.p99", LIMIT, 8.0, KneeLabel.SHARP)
    note = "at least: the service kept up with all that was offered"
    burst = Capacity(1.1 * rate, 1.1 * rate, 1.1 * rate, 1.1 * rate, note)
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    climb = SearchResult(knee, (knee,), burst, (), ())
    findings = with_what_if(rank(reading, suspects), reading, suspects, climb, trials)
    return next(f for f in findings if f.function == "hash")


def few_samples(random: np.random.Generator) -> Finding:
    """One core, 150 samples on it."""
    rate = 1 / (HASH + REST) - TAIL
    hashes = random.binomial(150, HASH / (HASH + REST))
    seen = profile(hash=hashes, render=150 - hashes)
    return culprit(
        Evidence(Span(rate, profile=seen, resources=used(rate * (HASH + REST))), cpu_limit=8.0),
        1 / (HASH + REST),
    )


def samples_lost(random: np.random.Generator) -> Finding:
    """The same with many samples, of which half of those of the rest could not be read: its stacks
    change while they are.
    """
    rate = 1 / (HASH + REST) - TAIL
    hashes = random.binomial(2000, HASH / (HASH + REST))
    read = random.binomial(2000 - hashes, 0.5)
    seen = replace(profile(hash=hashes, render=read), errors=2000 - hashes - read)
    return culprit(
        Evidence(Span(rate, profile=seen, resources=used(rate * (HASH + REST))), cpu_limit=8.0),
        1 / (HASH + REST),
    )


def beside_the_gil(random: np.random.Generator) -> Finding:
    """Two cores, full of code that lets the GIL go, which only sixty looks at threads tell of."""
    capacity = 2 / (HASH + REST)
    rate = capacity - TAIL
    held, free = rate * REST, rate * HASH
    ticks = 1000
    seen = replace(
        profile(render=random.binomial(ticks, held)),
        mode=ProfileMode.GIL,
        ticks=ticks,
    )
    moments = [
        ["serve>view>render on_cpu*"] * (random.random() < held)
        + ["serve>view>hash on_cpu"] * random.binomial(3, free / 3)
        for _ in range(60)
    ]
    resources = used(rate * (HASH + REST))
    span = Span(rate, profile=seen, instants=series(*moments), resources=resources)
    return culprit(Evidence(span, cpu_limit=2.0), capacity)


def other_work(random: np.random.Generator) -> Finding:
    """Two cores, of which other work keeps a half for itself."""
    capacity = 1.5 / (HASH + REST)
    rate = capacity - TAIL
    hashes = random.binomial(4000, HASH / (HASH + REST))
    seen = profile(hash=hashes, render=4000 - hashes)
    host = Interference(8.0, cores=2.0, others=0.5)
    trials = tuple(
        replace(trial_with(share * rate, share * rate * (HASH + REST)), interference=host)
        for share in (0.3, 0.6, 0.9)
    )
    span = Span(rate, profile=seen, resources=used(rate * (HASH + REST)))
    return culprit(Evidence(span, runtime="go", cpu_limit=2.0), capacity, trials)


def beside_the_generator(random: np.random.Generator) -> Finding:
    """Two processes on two cores, of which the generator takes a part for each request."""
    capacity = 2 / (HASH + REST + SEND)
    rate = capacity - TAIL
    hashes = random.binomial(4000, HASH / (HASH + REST))
    seen = profile(hash=hashes, render=4000 - hashes)
    trials = tuple(
        replace(
            trial_with(share * rate, share * rate * (HASH + REST)),
            interference=Interference(8.0, cores=2.0, generator_ran=0.02 + share * rate * SEND),
        )
        for share in (0.3, 0.6, 0.9)
    )
    halves = {"on_cpu": rate * (HASH + REST) / 2}
    threads = tuple(ThreadTime(pid, pid, "worker", halves) for pid in (1, 2))
    states = States("knee", 10.0, threads, 500)
    span = Span(rate, profile=seen, states=states, resources=used(rate * (HASH + REST)))
    return culprit(Evidence(span, cpu_limit=2.0), capacity, trials)


def one_after_another(random: np.random.Generator) -> Finding:
    """One core, where hashing always takes as long and the rest does not (M/G/1): what is left
    queues longer than what was there.
    """
    room = TAIL * _spread((HASH, 0.0), (REST, UNEVEN))
    rate = 1 / (HASH + REST) - room
    hashes = random.binomial(4000, HASH / (HASH + REST))
    seen = profile(hash=hashes, render=4000 - hashes)
    span = Span(rate, profile=seen, resources=used(rate * (HASH + REST)))
    return culprit(Evidence(span, cpu_limit=8.0), 1 / (HASH + REST), room=room)


def _spread(*parts: tuple[float, float]) -> float:
    """How much more than M/M/1 such a service keeps free, in heavy traffic: half of one and the
    squared variation of its time (Kingman 1962), of parts with theirs.
    """
    mean = sum(each for each, _ in parts)
    return (1 + sum(squared * each**2 for each, squared in parts) / mean**2) / 2


@pytest.mark.parametrize(
    ("service", "left", "room"),
    [
        (few_samples, 1 / REST, TAIL),
        (samples_lost, 1 / REST, TAIL),
        (beside_the_gil, 1 / REST, TAIL),  # the one GIL
        (other_work, 1.5 / REST, TAIL),
        (beside_the_generator, 2 / (REST + SEND), TAIL),
        (one_after_another, 1 / REST, TAIL * _spread((REST, UNEVEN))),
    ],
)
def test_what_is_held_at_least_is_held(
    service: Callable[[np.random.Generator], Finding], left: float, room: float
) -> None:
    kept, told = 0, []
    for seed in SEEDS:
        finding = service(np.random.default_rng(seed))
        known = finding.what_if
        if known is None:
            assert finding.withheld
            continue
        assert known.at_least and known.saturated is not None
        kept += known.saturated <= left and known.rate <= left - room
        told.append(known.saturated / left)
    assert len(told) > len(SEEDS) / 2, "hardly anything is told"
    assert kept >= 0.95 * len(told), f"{kept} of {len(told)} held"
    # A bound far below the truth says nothing.
    assert np.median(told) > 0.5
