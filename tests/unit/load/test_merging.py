"""Several workers count as one generator: by hand."""

import numpy as np
import pytest

from perfhunt.load.child.fleet import merging
from perfhunt.load.child.fleet.merging import (
    MergedRoutes,
    merged_done,
    merged_report,
    renumbered,
)
from perfhunt.load.messages import MalformedMessage, SecondReport, StepDone, WorkerDone
from perfhunt.model.latency import SAMPLE, TaskTime

FIRST = SecondReport(second=3, at=4.01, cpu=0.5, sent=200, unanswered=40, ticks=20)
SECOND = SecondReport(second=3, at=4.02, cpu=0.7, sent=199, unanswered=30, ticks=19)


def done(share: StepDone, invalid: str = "") -> WorkerDone:
    return WorkerDone(done=share, samples=b"", invalid=invalid)


def test_counts_add_and_the_busiest_worker_stands_for_the_cpu() -> None:
    assert merged_report([FIRST, SECOND], 3) == SecondReport(
        second=3, at=4.01, cpu=0.7, sent=399, unanswered=70, ticks=20
    )


def test_a_worker_that_has_said_nothing_yet_is_left_out() -> None:
    assert merged_report([None, SECOND], 3) == SECOND


def test_the_step_ends_with_its_first_worker_and_errors_add_by_their_text() -> None:
    merged = merged_done(
        [
            done(StepDone(seconds=10.0, opened=3, errors={"a": 1, "b": 2}, gc_pause=0.1)),
            done(StepDone(seconds=9.0, opened=4, resent=1, errors={"b": 5}, fds_share=0.2)),
        ],
        workers=2,
        lost="",
    )
    assert merged == StepDone(
        seconds=9.0,
        opened=7,
        resent=1,
        errors={"a": 1, "b": 7},
        gc_pause=0.1,
        fds_share=0.2,
        workers=2,
    )


def test_a_loss_is_said_before_what_a_worker_says() -> None:
    alone = done(StepDone(seconds=1.0), "a load worker heard nothing from its master, and stopped")
    assert merged_done([alone], 2, "worker 1 was lost").invalid == "worker 1 was lost"
    assert merged_done([alone], 2, "").invalid == alone.invalid
    assert merged_done([], 2, "all were lost").seconds == 0.0


def of_routes(*numbers: int) -> bytes:
    samples = np.zeros(len(numbers), SAMPLE)
    samples["endpoint"], samples["due"] = numbers, range(len(numbers))
    return samples.tobytes()


def test_routes_that_workers_number_each_in_its_own_way_have_one_numbering() -> None:
    routes = MergedRoutes()
    first, second = routes.add(["GET /a", "GET /b"]), routes.add(["GET /b", "GET /c"])
    second += routes.add(["GET /a"])
    assert routes.names == ("GET /a", "GET /b", "GET /c")
    assert renumbered(of_routes(0, 1, 0), first) == of_routes(0, 1, 0)
    assert renumbered(of_routes(0, 1, 2), second) == of_routes(1, 2, 0)
    assert renumbered(b"", []) == b""


def test_a_sample_of_a_route_without_a_name_is_no_sample() -> None:
    for numbers in ([], [0]):
        with pytest.raises(MalformedMessage, match="route 1, which has no name"):
            renumbered(of_routes(0, 1), numbers)


def test_names_of_routes_are_bounded_and_drive_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(merging, "MOST_ROUTES", 3)
    routes = MergedRoutes()
    routes.add(["GET /\x1b[31m", "x" * 9999])
    assert routes.names[0].isprintable()
    assert len(routes.names[1]) < 400
    with pytest.raises(MalformedMessage, match="more than 3 names"):
        routes.add(["b", "c"])


def test_users_of_all_workers_are_counted_and_a_loss_is_told_as_one() -> None:
    shares = [done(StepDone(seconds=1.0, users=3)), done(StepDone(seconds=1.0, users=2))]
    merged = merged_done(shares, 2, "", routes=("GET /a",))
    assert (merged.users, merged.routes, merged.lost) == (5, ("GET /a",), False)
    assert merged_done(shares[:1], 2, "one was lost").lost


def test_what_tasks_took_adds_by_their_name() -> None:
    first = TaskTime("U.t", n=2, seconds=1.0, requests=4, asked=0.25)
    other = TaskTime("U.u", n=1, seconds=0.5, requests=1, asked=0.5)
    shares = [StepDone(seconds=1.0, tasks=(first, other)), StepDone(seconds=1.0, tasks=(first,))]
    merged = merged_done([done(share) for share in shares], 2, "")
    assert merged.tasks == (TaskTime("U.t", n=4, seconds=2.0, requests=8, asked=0.5), other)
    assert merged.tasks[0].own == 0.75
