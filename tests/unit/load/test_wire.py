"""What senders count of the wire, merged and kept: by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfhunt.load.wire import (
    WireAccount,
    duration_of,
    merged_accounts,
    percentile,
    step_of,
    wire_of,
)
from perfhunt.model.latency import SAMPLE, RequestOutcome

APART, HELD, CONNECT, SLOW = 0.0001, 0.041, 0.0002, 1.01


@pytest.mark.parametrize("seconds", [2e-6, 1e-4, 0.04, 1.0, 9.9])
def test_a_duration_is_known_to_one_percent(seconds: float) -> None:
    assert duration_of(step_of(seconds)) == pytest.approx(seconds, rel=0.0101)


def test_no_time_at_all_is_the_first_step() -> None:
    assert step_of(0.0) == step_of(1e-7) == 0
    assert duration_of(0) < 2e-6


def test_a_percentile_is_the_nearest_rank_of_durations_that_occurred_several_times() -> None:
    durations = {0.1: 98, 0.2: 1, 0.3: 1}
    assert [percentile(durations, share) for share in (0.5, 0.98, 0.99, 1.0)] == [
        0.1,
        0.1,
        0.2,
        0.3,
    ]
    assert percentile({}, 0.5) is None


def test_a_trial_keeps_what_came_in_pieces_and_how_connections_were_made() -> None:
    samples = np.zeros(4, dtype=SAMPLE)
    samples["bytes"] = (100, 100, 400, 0)
    samples["outcome"][3] = RequestOutcome.TIMEOUT
    wire = wire_of(
        WireAccount(
            apart={step_of(HELD): 2, step_of(APART): 1},
            hurried={step_of(APART): 5},
            head_first=3,
            connects={step_of(CONNECT): 6, step_of(SLOW): 1},
            new=2,
            encodings=("gzip",),
            resolution=0.02,
        ),
        samples,
    )
    assert wire is not None
    assert (wire.answers, wire.size_mean, wire.size_p99) == (3, 200.0, 400.0)
    assert (wire.in_pieces, wire.held, wire.head_first, wire.hurried) == (3, 2, 3, 5)
    assert wire.held_total == pytest.approx(2 * (HELD - APART), rel=0.02)
    assert wire.gap_total == pytest.approx(2 * HELD + APART, rel=0.02)
    assert wire.gap_p50 == pytest.approx(HELD, rel=0.02)
    assert (wire.connects, wire.new_connections, wire.slow_connects) == (7, 2, 1)
    assert wire.connect_p50 == pytest.approx(CONNECT, rel=0.02)
    assert (wire.encodings, wire.resolution) == (("gzip",), 0.02)


def test_nothing_is_kept_where_the_sender_does_not_look() -> None:
    assert wire_of(None, np.zeros(4, dtype=SAMPLE)) is None
    assert merged_accounts([None, None]) is None


def test_several_senders_count_as_one() -> None:
    first = WireAccount(apart={1: 2}, connects={5: 1}, new=1, encodings=("identity",))
    second = WireAccount(apart={1: 1, 3: 4}, head_first=2, encodings=("gzip",), resolution=0.1)
    assert merged_accounts([first, None, second]) == WireAccount(
        apart={1: 3, 3: 4},
        head_first=2,
        connects={5: 1},
        new=1,
        encodings=("gzip", "identity"),
        resolution=0.1,
    )
    assert math.isclose(duration_of(3) / duration_of(1), math.exp(2 / 50))
