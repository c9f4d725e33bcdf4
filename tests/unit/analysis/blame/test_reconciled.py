"""States that were read a moment too late are put right by what is beyond doubt elsewhere."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.analysis.blame.reconciled import reconciled
from perfhunt.model.profile import Instant, Instants, ThreadSample
from tests.unit.scenes import thread


def capture(*threads: ThreadSample) -> Instants:
    """One thread per instant."""
    return Instants(1.0, tuple(Instant(n / 10, (t,)) for n, t in enumerate(threads)))


def still(text: str) -> ThreadSample:
    return replace(thread(text, 1), still=True)


def states(instants: Instants, function: str) -> list[str]:
    return [
        t.state
        for i in reconciled(instants, lambda _: False)
        for t in i.threads
        if t.stack[-1].function == function
    ]


def test_a_wait_that_still_threads_never_had_there_is_replaced_by_the_one_they_had() -> None:
    late = thread("serve>view>take sleep", 1)
    assert states(capture(*[still("serve>view>take lock@A")] * 8, late), "take") == ["lock"] * 9


def test_a_short_wait_is_known_by_being_commoner_there_than_anywhere_else() -> None:
    waiting = [still("serve>view>take lock@A")] * 80
    holding = [thread("serve>view>emit sleep", 1)] * 4 + [thread("serve>view>emit lock@A", 1)] * 6
    assert states(capture(*waiting, *holding), "emit") == ["sleep"] * 10


def test_a_place_where_no_wait_is_commoner_than_elsewhere_was_running() -> None:
    waiting = [still("serve>view>take lock@A")] * 80
    computing = [thread("serve>view>render gil", 1)] * 3 + [
        thread("serve>view>render lock@A", 1)
    ] * 5
    assert states(capture(*waiting, *computing), "render") == ["gil"] * 8


def test_what_stood_still_is_never_changed() -> None:
    odd = still("serve>view>take disk@/srv/x")
    assert states(capture(*[still("serve>view>take lock@A")] * 30, odd), "take")[-1] == "disk"


def test_a_capture_that_cannot_tell_is_left_alone() -> None:
    instants = capture(
        *[thread("serve>view>take lock@A", 1)] * 5, thread("serve>view>take sleep", 1)
    )
    assert reconciled(instants, lambda _: False) == instants
