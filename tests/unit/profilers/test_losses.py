"""No evidence goes missing unsaid: whatever profiler fails, the run has a doubt with its size."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.cautions import THRESHOLDS, cautions, loss_cautions
from perfhunt.errors import AttachFailed
from perfhunt.model.finding import Bottleneck, BottleneckClass, CautionCode
from perfhunt.model.profile import (
    EvidenceKind,
    Instants,
    Loss,
    Profile,
    ProfileMode,
    ProfilePolicy,
)
from perfhunt.model.run import TargetProcess
from perfhunt.model.states import States
from perfhunt.profilers import probes as probing
from perfhunt.profilers.choose import AttachPlan
from perfhunt.profilers.probes import LiveProbes
from perfhunt.profilers.profiler import Capture
from perfhunt.profilers.table import PROFILERS, cpython_looker
from perfhunt.target.process import process_of
from tests.sample_run import sample_run

RUN = sample_run()
HERE = os.getpid()


def ourselves() -> TargetProcess:
    process = process_of(HERE)
    assert process is not None
    return TargetProcess(HERE, (process,), (), (HERE,), "cpython", "3.12.1")


class EndsWithNothing:
    """A capture whose target was gone when it looked."""

    def stop(self) -> None: ...

    def wait(self) -> Profile:
        raise AttachFailed("the process was gone", "Look again.")


def refuses(*_: object, **__: object) -> Capture:
    raise AttachFailed("it may not look", "sudo perfhunt doctor")


def gives_nothing(*_: object) -> Capture:
    return EndsWithNothing()


def said(span: Span) -> dict[CautionCode, list[str]]:
    bottleneck = Bottleneck(BottleneckClass.CPU, 1.0, ("seen",))
    made = cautions(read_evidence(Evidence(span)), RUN.knee, (), bottleneck, None, ())
    sentences: dict[CautionCode, list[str]] = {}
    for caution in made:
        sentences.setdefault(caution.code, []).append(caution.sentence)
    return sentences


@pytest.mark.parametrize("attach", [refuses, gives_nothing])
@pytest.mark.parametrize("name", list(PROFILERS))
def test_a_profiler_that_fails_is_a_doubt_in_its_own_words(
    name: str, attach: Callable[..., Capture], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(type(PROFILERS[name]), "attach", attach)
    probes = LiveProbes(ourselves(), tmp_path, time.monotonic)
    probes._plan = AttachPlan(PROFILERS[name])
    with probes.during("knee", 5.0, on_cpu=True, waits=False) as attached:
        pass
    (loss,) = attached.losses
    assert loss.what is EvidenceKind.ON_CPU and loss.share == 1.0
    span = attached.span_of(RUN.trials[0])
    first, (sentence,) = next(iter(said(span).items()))
    assert first is CautionCode.NO_PROFILE  # before any other doubt
    assert "it may not look" in sentence or "the process was gone" in sentence
    # With instants there is a profile of some kind, and the loss is told for itself.
    (other,) = said(Span.of(RUN.trials[0], instants=Instants(1.0, ()), losses=span.losses))[
        CautionCode.EVIDENCE_LOST
    ]
    assert other.startswith("All of the stacks on the CPU are missing: ")


def test_instants_that_cannot_begin_are_a_loss_of_the_waits_and_end_no_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(probing, "InstantsCapture", refuses)
    probes = LiveProbes(ourselves(), tmp_path, time.monotonic)
    probes._plan = AttachPlan(
        None, ProfileMode.CPU, looks=cpython_looker, reasons=("nothing fits",)
    )
    assert probes.idle() is None
    with probes.during("knee", 5.0, on_cpu=True, waits=True) as attached:
        pass
    assert {loss.what: loss.why for loss in attached.losses} == {
        EvidenceKind.IDLE: "it may not look",
        EvidenceKind.ON_CPU: "nothing fits",
        EvidenceKind.WAITS: "it may not look",
    }
    with probes.during("knee", 5.0, on_cpu=False, waits=False) as again:
        pass
    assert again.losses == ()  # each is told once


def test_a_run_that_requires_profiles_ends_with_the_first_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(probing, "InstantsCapture", refuses)
    probes = LiveProbes(ourselves(), tmp_path, time.monotonic, ProfilePolicy.REQUIRED)
    probes._plan = AttachPlan(looks=cpython_looker)
    with pytest.raises(AttachFailed, match="may not look"):
        probes.idle()


@pytest.mark.parametrize("kind", EvidenceKind)
def test_each_kind_of_loss_has_its_size_in_the_sentence_once_it_can_move_a_share(
    kind: EvidenceKind,
) -> None:
    def sentences(share: float | None) -> list[str]:
        loss = Loss(kind, share, "the dog ate it", "Feed it.")
        span = Span(10.0, losses=(loss, loss))
        return [caution.sentence for caution in loss_cautions(span, " at the floor")]

    name = kind.removeprefix("the ") + ("" if kind is EvidenceKind.IDLE else " at the floor")
    assert sentences(0.31) == [f"31 % of the {name} are missing: the dog ate it."]
    assert sentences(1.0) == [f"All of the {name} are missing: the dog ate it."]
    (unknown,) = sentences(None)
    assert unknown.startswith("An unknown part of the ")
    assert sentences(THRESHOLDS.lossy / 2) == []


def test_states_that_the_kernel_would_not_tell_are_a_loss() -> None:
    def lost(source: str, *notes: str) -> list[str]:
        states = States("knee", 1.0, (), 10, source=source, notes=notes)
        return [caution.sentence for caution in loss_cautions(Span(10.0, states=states))]

    (sentence,) = lost("schedstat", "what threads of pid 7 wait for may not be read")
    assert sentence.startswith("All of the states of threads are missing: what threads of pid 7")
    assert lost("syscall") == []


def test_what_is_missing_for_one_reason_at_floor_and_knee_is_said_once() -> None:
    lost = Loss(EvidenceKind.ON_CPU, 0.3, "workers came and went")
    other = Loss(EvidenceKind.ON_CPU, 0.4, "the disk was full")
    states = States("knee", 1.0, (), 10, source="schedstat", notes=("may not be read",))
    knee, floor = Span(9.0, losses=(lost,), states=states), Span(9.0, losses=(lost, other))
    bottleneck = Bottleneck(BottleneckClass.CPU, 1.0, ("seen",))
    evidence = Evidence(
        replace(knee, instants=Instants(1.0, ())), baseline=replace(floor, states=states)
    )
    made = cautions(read_evidence(evidence), RUN.knee, (), bottleneck, None, ())
    assert [c.sentence for c in made if c.code is CautionCode.EVIDENCE_LOST] == [
        "30 % of the stacks on the CPU are missing: workers came and went.",
        "All of the states of threads are missing: may not be read.",
        "40 % of the stacks on the CPU at the floor are missing: the disk was full.",
    ]
