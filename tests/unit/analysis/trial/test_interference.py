"""When other work decided a trial, and what is said of a run that had some."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.trial.interference import disturbance, disturbed
from perfhunt.model.trial import SET_ASIDE, Interference, Neighbour, Phase, Trial
from tests.unit.trials import HELD

# As read on two virtual cores without other work, of a service that used two thirds of one.
QUIET = Interference(
    10.0,
    cores=2.0,
    target_ran=0.66,
    target_waited=0.002,
    generator_ran=0.045,
    generator_waited=0.002,
    others=0.02,
    steal=0.009,
    speed=0.61,
)
BUSY = replace(
    QUIET, target_waited=0.47, others=1.2, busiest=(Neighbour("node", 0.9), Neighbour("cc", 0.3))
)


def trial(phase: Phase = Phase.PASS, seen: Interference | None = QUIET, invalid: str = "") -> Trial:
    step = replace(HELD.step, phase=phase)
    return replace(HELD, step=step, interference=seen, invalid=invalid)


def test_a_quiet_host_and_one_that_nobody_looked_at_disturb_nothing() -> None:
    assert disturbed(QUIET) == "" and disturbed(None) == "" and disturbed(Interference(10.0)) == ""


def test_waiting_for_others_is_named_with_who_had_the_cores() -> None:
    assert "(node, cc) kept the target's threads" in disturbed(BUSY)
    late = replace(QUIET, generator_waited=0.2)
    assert "the generator's threads" in disturbed(late) and "81.6 %" in disturbed(late)


@pytest.mark.parametrize(
    "change",
    [
        {"target_waited": 0.019, "target_ran": 0.0},  # of next to nothing
        {"target_waited": 0.10, "target_ran": 8.0},  # little of much
        {"others": 1.9},  # on cores that nobody here wanted
        {"speed": 0.3},
        {"steal": 0.049},
    ],
)
def test_what_is_too_little_to_decide_a_trial_is_not_called_a_disturbance(
    change: dict[str, float],
) -> None:
    assert disturbed(replace(QUIET, **change)) == ""  # type: ignore[arg-type]


def test_time_that_the_hypervisor_took_is_a_disturbance() -> None:
    assert "12 % of the host's time" in disturbed(replace(QUIET, steal=0.12))


def test_a_run_without_disturbed_trials_of_its_search_has_nothing_to_say() -> None:
    assert disturbance([trial(), trial(Phase.HOLD, BUSY), trial(seen=None)]) is None


def test_trials_set_aside_are_counted_and_the_busiest_named() -> None:
    seen = disturbance([trial(), trial(seen=BUSY, invalid=f"{SET_ASIDE}node"), trial()])
    assert seen is not None
    assert (seen.trials, seen.set_aside, seen.used, seen.names) == (3, 1, 0, ("node", "cc"))


def test_how_busy_the_host_was_is_told_of_the_trials_that_were_used() -> None:
    calmer = replace(BUSY, others=0.4, seconds=30.0)
    seen = disturbance([trial(seen=BUSY), trial(seen=calmer), trial(invalid="late")])
    assert seen is not None and (seen.set_aside, seen.used) == (0, 2)
    assert seen.busy == pytest.approx((1.2 * 10 + 0.4 * 30) / (2 * 40))
