"""Story two in virtual time: a host on which both versions are queues solved by arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from perfhunt.analysis.verdict.endpoints import Elasticities, answered
from perfhunt.analysis.verdict.pairs import SlicePlan
from perfhunt.analysis.verdict.sequential import LOOKS
from perfhunt.errors import QuestionError, Stopped, TargetDied
from perfhunt.load.seam import WorkerClock
from perfhunt.model.knee import Capacity, Knee, KneeLabel, NoKnee, NoKneeCode
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.run import Event, Noted, Run
from perfhunt.model.slo import Criterion, Measure, Objective, Slo
from perfhunt.model.trial import Drain, Drained, Phase, Resources, Step, Trial
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.stories.pair_bench import PairBench, StartedVersion
from perfhunt.stories.paired_question import PairedQuestion, paired_question_of, survey
from perfhunt.stories.verification import calibrate, verify_paired
from perfhunt.testing import Clock, QueueEngine, Service, exponential
from tests.sample_run import sample_run

MEAN = 0.006  # an M/M/1 of 6 ms breaks p99 <= 100 ms at 120.6/s
QUESTION = Question(
    Target("http://127.0.0.1:8000"), (), Slo((Objective(Measure.LATENCY, "p99", "<=", 0.1),))
)
PAIRED = PairedQuestion(
    QUESTION, SlicePlan(120.0, 220.0, seed=3), Elasticities(12.3, 2.7), "latency.p99"
)
START = 5.0


@dataclass
class Host:
    """Two slots; each start is a fresh queue, faster or slower by the version's factor and the
    restart's luck.
    """

    speed: dict[str, float]
    restart: float = 0.01
    clock: Clock = field(default_factory=Clock)
    lives: dict[str, VirtualVersion] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    spoil: Callable[[Trial], Trial] = lambda trial: trial
    dies: str = ""
    question: Question = QUESTION

    def start(self, version: str, slot: int) -> VirtualVersion:
        luck = np.random.default_rng([len(self.started), 99]).normal(0.0, self.restart)
        self.started.append((version, slot))
        life = VirtualVersion(
            self,
            version,
            f"http://127.0.0.1:{9000 + slot}",
            MEAN / (self.speed[version] * math.exp(luck)),
        )
        self.lives[life.url] = life
        self.running.add(version)
        return life

    def end(self, version: StartedVersion) -> None:
        self.running.discard(self.lives[version.url].version)

    def bench(self, stop: Callable[[], str] = lambda: "") -> PairBench:
        return PairBench(
            starter=self,
            engine=lambda: SlotEngine(self),
            clock=self.clock,
            directory=Path("unused"),
            stop=stop,
        )


@dataclass
class VirtualVersion:
    host: Host
    version: str
    url: str
    mean: float
    cpu: float = 0.0

    def __post_init__(self) -> None:
        self.queue = QueueEngine(
            Service(exponential(self.mean)), self.host.question.slo.criteria(), seed=5
        )

    def ready(self, stop: Callable[[], str]) -> None:
        if self.version == "base":
            self.host.clock.sleep(START)  # both start at once

    def resources(self) -> Resources:
        if self.version == self.host.dies:
            raise TargetDied(f"{self.version} ended under load with exit code 139")
        used, self.cpu = self.cpu, 0.0
        return Resources(1.0, cpu_seconds=used)


class SlotEngine:
    """Sends to whatever lives on its slot's port."""

    name, help, pinning = "slot", "", ""
    needs: tuple[str, ...] = ()
    clocks: tuple[WorkerClock, ...] = ()
    remarks: tuple[str, ...] = ()

    def __init__(self, host: Host) -> None:
        self.host, self.url = host, ""

    def open(
        self,
        question: Question,
        criteria: tuple[Criterion, ...],
        directory: Path,
        stop: object = None,
    ) -> None:
        self.url = question.target.url

    def run(self, step: Step, watch: object = None, stop: object = None) -> Trial:
        live = self.host.lives[self.url]
        before = live.queue.clock
        trial = live.queue.run(step)
        self.host.clock.sleep(live.queue.clock - before)
        live.cpu = answered(trial) * live.mean
        return self.host.spoil(trial)

    def requests_at(self, moments: Sequence[float]) -> tuple[int | None, ...]:
        return ()

    def drain(self, drain: Drain, stop: object = None) -> Drained:
        drained = self.host.lives[self.url].queue.drain(drain)
        self.host.clock.sleep(drained.seconds)
        return drained

    def close(self) -> None:
        self.url = ""


def verdict_of(speed: float, budget: float = 840.0) -> tuple[Verdict, Host]:
    host = Host({"base": 1.0, "head": speed})
    return verify_paired(PAIRED, host.bench(), budget), host


def test_a_build_ten_percent_faster_is_kept_within_five_minutes() -> None:
    verdict, _ = verdict_of(1.10)
    assert verdict.word is Word.KEEP
    assert verdict.minutes <= 5.0
    effect = verdict.effect("cpu")
    assert effect is not None
    assert effect.speed.low < 0.10 < effect.speed.high


def test_a_build_ten_percent_slower_is_reverted() -> None:
    assert verdict_of(1 / 1.10)[0].word is Word.REVERT


def test_the_same_build_is_never_kept_nor_reverted() -> None:
    assert verdict_of(1.0)[0].word in (Word.NO_CHANGE, Word.NOT_WORTH_IT, Word.INCONCLUSIVE)


def test_versions_change_slots_each_round_and_are_ended_each_time() -> None:
    verdict, host = verdict_of(1.3)
    assert host.started[:4] == [("base", 0), ("head", 1), ("base", 1), ("head", 0)]
    assert len(host.started) == 2 * verdict.pairs
    assert host.running == set()


@pytest.mark.parametrize(
    ("login", "opened"), [(None, [0, 1]), (RequestTemplate("l", "POST", "/l"), [0, 1, 0])]
)
def test_each_life_of_a_version_is_logged_in_to_and_engines_stay_where_they_are(
    login: RequestTemplate | None, opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    slots: list[int] = []
    monkeypatch.setattr(
        SlotEngine,
        "open",
        lambda _, question, criteria, slot, stop: slots.append(int(slot.name[-1])),
    )
    host = Host({"base": 1.0, "head": 1.0})
    question, bench = replace(QUESTION, login=login), host.bench()
    base, head = host.start("base", 0), host.start("head", 1)
    for version in (base, head, head, base, again := host.start("base", 0), again, head):
        assert bench.engine_at(question, version) is bench.engines[version.url]
    assert slots == opened
    assert len(bench.engines) == 2


def test_versions_that_cannot_live_side_by_side_take_turns_in_abba_order() -> None:
    host = Host({"base": 1.0, "head": 1.3})
    alone: list[int] = []

    def count_the_living(trial: Trial) -> Trial:
        alone.append(len(host.running))
        return trial

    host.spoil = count_the_living
    bench = host.bench()
    bench.together = False
    assert verify_paired(PAIRED, bench).word is Word.KEEP
    assert set(alone) == {1}
    order = [version for version, _ in host.started[:4]]
    assert order in (["base", "head", "head", "base"], ["head", "base", "base", "head"])


def test_no_stretch_begins_that_the_budget_cannot_pay_for() -> None:
    verdict, _ = verdict_of(1.015, budget=200.0)
    assert verdict.seconds <= 200.0 * 1.05
    assert verdict.pairs in LOOKS


def test_measuring_again_goes_on_from_the_rounds_there_are_and_takes_no_look_twice() -> None:
    host = Host({"base": 1.0, "head": 1.015})
    first = host.bench()
    assert verify_paired(PAIRED, first, budget=200.0).word is Word.INCONCLUSIVE
    again = host.bench()
    again.rounds = list(first.rounds)
    verdict = verify_paired(PAIRED, again, budget=200.0)
    assert verdict.pairs > len(first.rounds)
    assert [r.number for r in again.rounds] == list(range(len(again.rounds)))


def test_a_stop_ends_both_versions_at_once() -> None:
    host = Host({"base": 1.0, "head": 1.0})
    with pytest.raises(Stopped, match="killswitch"):
        verify_paired(PAIRED, host.bench(lambda: "killswitch" if host.clock() > 40 else ""))
    assert host.running == set()


def test_a_version_that_dies_under_load_is_named_and_the_other_is_ended() -> None:
    host = Host({"base": 1.0, "head": 1.0}, dies="head")
    with pytest.raises(TargetDied, match="head ended under load"):
        verify_paired(PAIRED, host.bench())
    assert host.running == set()


def test_rounds_whose_generator_was_late_never_become_a_verdict() -> None:
    host = Host(
        {"base": 1.0, "head": 1.5},
        spoil=lambda t: replace(t, invalid="late" if t.step.phase is Phase.FIXED else ""),
    )
    verdict = verify_paired(PAIRED, host.bench())
    assert verdict.word is Word.INVALID
    assert "late" in verdict.reason


def test_a_late_burst_spoils_nothing_because_it_is_late_on_purpose() -> None:
    host = Host(
        {"base": 1.0, "head": 1.3},
        spoil=lambda t: replace(t, invalid="late" if t.step.phase is Phase.CAPACITY else ""),
    )
    assert verify_paired(PAIRED, host.bench()).word is Word.KEEP


def test_calibrating_reads_the_noise_that_restarts_were_given() -> None:
    host = Host({"base": 1.0, "head": 1.0}, restart=0.03)
    found = calibrate(PAIRED, host.bench())
    cpu = next(n for n in found.noises if n.endpoint == "cpu")
    # CPU time here is exact, so its noise is the two restarts' alone: 3 % x sqrt(2)
    assert cpu.sd.low < 0.03 * math.sqrt(2) < cpu.sd.high


def stored(knee: Knee | NoKnee, capacity: Capacity | None = None) -> Run:
    return replace(sample_run(), question=QUESTION, knee=knee, capacity=capacity)


def test_the_stored_run_gives_rates_slopes_and_the_frozen_limit() -> None:
    knee = Knee(120.0, 115.0, 125.0, 0.95, "latency.p99", 0.1, 12.0, KneeLabel.SHARP)
    paired = paired_question_of(stored(knee, Capacity(160.0, 158.0, 162.0, 220.0)))
    assert paired.criterion == "latency.p99"
    assert paired.plan.knee == 120.0
    assert paired.plan.saturating == pytest.approx(216.0)
    assert paired.slopes.sharpness == 12.0


def test_a_stored_run_without_any_rate_is_refused() -> None:
    with pytest.raises(QuestionError, match="no knee to compare at"):
        paired_question_of(stored(NoKnee(NoKneeCode.MISSED_AT_BASELINE, "it missed at once")))


SLOW = replace(QUESTION, slo=Slo((Objective(Measure.LATENCY, "p99", "<=", 2.0),)))
SLOWER = 50.0  # times MEAN: 300 ms, so that ten a second bury it


def slow_host(head: float = 1.0) -> Host:
    return Host({"base": 1 / SLOWER, "head": head / SLOWER}, question=SLOW)


def test_a_slow_base_version_is_compared_at_a_rate_that_it_holds_in_longer_slices() -> None:
    paired = survey(SLOW, slow_host().bench())
    (rate,) = paired.plan.rates
    assert 0.1 < rate < 1 / (MEAN * SLOWER)
    assert rate * paired.plan.seconds >= 6
    assert paired.plan.seconds > SlicePlan(120.0, 220.0, seed=3).seconds


def test_a_slow_version_made_half_as_slow_is_kept_and_the_time_is_said_before() -> None:
    host, events = slow_host(head=2.0), list[Event]()
    bench = host.bench()
    paired = survey(SLOW, bench)
    bench.watch = events.append
    verdict = verify_paired(paired, bench, budget=60.0)
    assert verdict.word is Word.KEEP
    notes = [event.sentence for event in events if isinstance(event, Noted)]
    assert "the first look comes after" in notes[0]


def test_a_version_too_slow_at_any_rate_is_compared_where_its_requests_come_alone() -> None:
    missed = NoKnee(NoKneeCode.MISSED_AT_BASELINE, "one request alone takes 4 s", None, 0.1)
    stored = replace(sample_run(), knee=missed, knees=(missed,), capacity=None)
    plan = paired_question_of(stored).plan
    assert plan.knee == 0.1
    assert plan.rates[0] * plan.seconds >= 5
