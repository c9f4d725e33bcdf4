"""What happens between client and service, by servers that have one defect of it, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.question import ProcessSelector
from perfhunt.model.trial import Trial
from perfhunt.target.find import find_target
from perfhunt.target.resources.monitor import ResourceMonitor
from tests.live.load_targets.harness import announced, engine, python, step
from tests.unit.scenes import classified

pytestmark = pytest.mark.live

RATE = 80.0  # a second; a connection is used again before an acknowledgement's delay is over
SECONDS, SETTLE = 4.0, 1.0


def tried(tmp_path: Path, *server: str) -> Trial:
    """A trial of a server, with what it used meanwhile."""
    with announced(*python(*server)) as url, engine(url, tmp_path) as made:
        monitor = ResourceMonitor(find_target(ProcessSelector(port=urlsplit(url).port)))
        monitor.start()
        try:
            trial = made.run(step(RATE, SECONDS, settle=SETTLE))
            return replace(trial, resources=monitor.take())
        finally:
            monitor.close()


def stopped_by(trial: Trial) -> Bottleneck:
    return classified(Evidence(knee=Span.of(trial)))


def test_a_body_that_is_written_after_its_headers_waits_for_the_acknowledgement(
    tmp_path: Path,
) -> None:
    trial = tried(tmp_path, "apart.py", "apart")
    wire = trial.wire
    assert wire is not None and wire.head_first == wire.in_pieces
    assert wire.held > 0.5 * wire.answers
    assert 0.036 < wire.held_total / wire.held < 0.065
    assert wire.hurried_gap is not None and wire.hurried_gap < 0.01 and wire.hurried > 20
    assert trial.service.p50 is not None and trial.service.p50 > 0.036
    found = stopped_by(trial)
    assert (found.category, found.score) == (BottleneckClass.DELAYED_ACK, 1.0)


@pytest.mark.parametrize("how", ["nodelay", "whole", "streaming"])
def test_a_body_that_waits_for_nothing_is_not_held_back(how: str, tmp_path: Path) -> None:
    trial = tried(tmp_path, "apart.py", how)
    wire = trial.wire
    assert wire is not None and wire.held < 0.05 * wire.answers
    assert (how == "streaming") == (wire.in_pieces > 0.9 * wire.answers)
    assert stopped_by(trial).category is not BottleneckClass.DELAYED_ACK


def test_an_accept_queue_that_overflows_is_told_by_its_late_connections(tmp_path: Path) -> None:
    trial = tried(tmp_path, "full_queue.py", "1")
    wire, resources = trial.wire, trial.resources
    assert wire is not None and resources is not None
    assert wire.new_connections > 0.9 * wire.answers
    assert wire.slow_connects > 0
    assert resources.listen_overflows and resources.syn_retransmits
    assert resources.accept_backlog == 1
    assert stopped_by(trial).category is BottleneckClass.BACKLOG


def test_a_queue_with_room_and_a_connection_per_request_are_nothing_by_themselves(
    tmp_path: Path,
) -> None:
    trial = tried(tmp_path, "full_queue.py", "512")
    assert trial.wire is not None and trial.wire.new_connections > 0.9 * trial.wire.answers
    assert stopped_by(trial).category not in (BottleneckClass.BACKLOG, BottleneckClass.CONNECTIONS)
