"""When a service that changed is said to leak."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.diagnosis.leak import drift_cautions, with_leak
from perfhunt.model.finding import Bottleneck, BottleneckClass, CautionCode
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Drift, DriftKind, Growing, NoKnee, NoKneeCode, Slope
from perfhunt.model.trial import Resources
from tests.unit.trials import HELD

MEBIBYTE = 2**20
GIL = Bottleneck(BottleneckClass.GIL, 0.7, ("The GIL was held.",))
NONE = NoKnee(NoKneeCode.BELOW_MAX_RATE, "every criterion held")
TRIALS = [replace(HELD, resources=Resources(10.0, memory_limit=512 * MEBIBYTE))] * 20


def memory(value: float, spread: float = 0.1) -> Slope:
    low, high = value * (1 - spread), value * (1 + spread)
    return Slope(Growing.RSS, Interval(value, low, high, 12, 0.99), 100.0 * MEBIBYTE)


def drift(kind: DriftKind | None, *slopes: Slope) -> Drift:
    return Drift(kind, 50.0, Interval(2.0, 1.5, 2.6, 9, 0.99), "the service gets slower", slopes)


def test_slower_while_memory_grows_is_a_leak() -> None:
    found = with_leak(GIL, drift(DriftKind.SLOWER, memory(MEBIBYTE)), TRIALS)
    assert (found.category, found.runner_up) == (BottleneckClass.LEAK, BottleneckClass.GIL)
    assert found.evidence[0] == "The service gets slower."
    assert "grows by 1 MiB with every 1,000 requests" in found.evidence[1]
    assert GIL.evidence[0] in found.evidence


@pytest.mark.parametrize(
    "changed",
    [
        None,
        drift(DriftKind.STEADY, memory(MEBIBYTE)),
        drift(DriftKind.SLOWER),
        drift(DriftKind.SLOWER, memory(MEBIBYTE, spread=1.5)),
        drift(DriftKind.SLOWER, memory(1024.0)),
    ],
    ids=["not looked for", "steady", "nothing grows", "by chance", "by a trifle"],
)
def test_anything_else_is_not(changed: Drift | None) -> None:
    assert with_leak(GIL, changed, TRIALS) == GIL


def test_growth_is_told_though_latency_stands_still() -> None:
    (caution,) = drift_cautions(drift(DriftKind.STEADY, memory(MEBIBYTE)), TRIALS, NONE)
    assert caution.code is CautionCode.GROWTH
    # 412 MiB are left, a MiB goes every 20 s at 50/s: 2.3 hours.
    assert "At 50/s its limit of 512 MiB is reached in 2.3 h (2.1 to 2.5)" in caution.sentence


@pytest.mark.parametrize(
    ("kind", "next_step"),
    [
        (DriftKind.SLOWER, "Mend what grows first"),
        (DriftKind.QUICKER, "--warm-up"),
        (None, "larger budget"),
    ],
)
def test_a_service_that_changed_is_a_doubt(kind: DriftKind | None, next_step: str) -> None:
    (caution,) = drift_cautions(drift(kind), TRIALS, NONE)
    assert caution.code is CautionCode.DRIFT
    assert next_step in caution.next


def test_a_steady_service_is_none() -> None:
    assert not list(drift_cautions(drift(DriftKind.STEADY), TRIALS, NONE))
    assert not list(drift_cautions(None, TRIALS, NONE))


def test_numbers_that_the_reason_has_are_not_told_again() -> None:
    changed = NoKnee(NoKneeCode.NEVER_STATIONARY, "the service gets slower")
    (again,) = drift_cautions(drift(DriftKind.SLOWER), TRIALS, changed)
    (first,) = drift_cautions(drift(DriftKind.SLOWER), TRIALS, NONE)
    assert "the service gets slower" not in again.sentence.lower()
    assert first.sentence.startswith("The service gets slower.")
