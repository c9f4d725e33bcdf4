"""A trial and a second that nothing is wrong with; tests replace what they are about."""

from __future__ import annotations

from perfhunt.model.latency import Latency
from perfhunt.model.trial import Generator, Phase, SecondRow, Step, Trial

CALM_SECOND = SecondRow(
    second=0,
    due=100,
    sent=100,
    done=100,
    failed=0,
    shed=0,
    exceed=(0,),
    in_flight=5.0,
    p50=0.05,
    p99=0.1,
    lag_p99=0.0,
    generator_cpu=0.1,
)
QUICK = Latency(n=1000, p50=0.01, p90=0.02, p95=0.03, p99=0.1, mean=0.012, max=0.2)
HELD = Trial(
    step=Step(Phase.HOLD, 100.0, 10.0, seed=1),
    seconds=10.0,
    achieved=100.0,
    completed=100.0,
    counts={},
    response=QUICK,
    service=QUICK,
    outcomes={"ok": 1000},
    generator=Generator(lag_p50=0.0, lag_p99=0.001, cpu=0.1),
)
