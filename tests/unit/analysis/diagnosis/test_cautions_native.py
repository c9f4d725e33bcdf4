"""CPU time that no stack accounts for is said so, however the stacks were sampled."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.states import States, ThreadTime
from perfhunt.model.trial import Resources
from tests.sample_run import sample_run

RUN = sample_run()


def said(mode: ProfileMode, cpu: float, threads: float | None = None) -> str:
    """The caution about what no stack explains, where `threads` are the cores that were seen to be
    used by threads that were there to be looked at; "" for none.
    """
    seen = ThreadTime(7, 7, "worker", {"on_cpu": threads or 0.0})
    states = States("knee", 10.0, (seen,), 1000) if threads is not None else None
    profile = Profile(
        "py-spy", "0.4", mode, 100.0, 10.0, {(Frame("f"),): 400.0}, ticks=1000
    )  # 0.4 cores explained
    span = Span.of(
        RUN.trials[0],
        profile,
        states=states,
        resources=Resources(10.0, cpu=cpu, cpu_seconds=10 * cpu),
    )
    found = cautions(
        read_evidence(Evidence(knee=span)),
        RUN.knee,
        (),
        Bottleneck(BottleneckClass.CPU, 1.0, ("seen",)),
        None,
        (),
    )
    return next((c.sentence for c in found if c.code == "native-share"), "")


@pytest.mark.parametrize(("cpu", "expected"), [(0.45, False), (1.8, True)])
def test_cpu_that_the_holder_of_the_gil_does_not_explain_is_native_code(
    cpu: float, expected: bool
) -> None:
    assert bool(said(ProfileMode.GIL, cpu)) is expected
    assert "native code" in said(ProfileMode.GIL, 1.8, threads=1.6)


def test_cpu_of_commands_that_a_service_runs_is_not_said_to_be_of_its_threads() -> None:
    sentence = said(ProfileMode.GIL, 1.43, threads=0.45)
    assert sentence.startswith("Of the 1.43 cores that it used, 0.98 went to processes")
    assert "native" not in sentence


def test_a_wall_clock_profile_explains_no_cpu_and_is_not_blamed_for_it() -> None:
    assert not said(ProfileMode.WALL, 1.8)


@pytest.mark.parametrize(
    ("samples", "words"),
    [(1, "holds 1 sample of"), (12, "too few for any share"), (90, "enough for large shares only")],
)
def test_a_handful_of_samples_is_not_enough_for_large_shares(samples: int, words: str) -> None:
    profile = Profile("py-spy", "0.4", ProfileMode.GIL, 100.0, 10.0, {(Frame("f"),): samples})
    span = Span.of(RUN.trials[0], profile)
    found = cautions(read_evidence(Evidence(knee=span)), RUN.knee, (), None, None, ())
    (said_of_it,) = (c.sentence for c in found if c.code == "profile-short")
    assert words in said_of_it
    assert ("large shares" in said_of_it) is (samples > 25)
