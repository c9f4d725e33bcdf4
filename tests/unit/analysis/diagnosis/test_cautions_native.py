"""CPU time that no stack accounts for is said so, however the stacks were sampled."""

from __future__ import annotations

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.cautions import cautions
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.trial import Resources
from tests.sample_run import sample_run

RUN = sample_run()


def said(mode: ProfileMode, cpu: float) -> bool:
    profile = Profile(
        "py-spy", "0.4", mode, 100.0, 10.0, {(Frame("f"),): 400.0}, ticks=1000
    )  # 0.4 cores explained
    span = Span.of(RUN.trials[0], profile, resources=Resources(10.0, cpu=cpu, cpu_seconds=10 * cpu))
    found = cautions(
        read_evidence(Evidence(knee=span)),
        RUN.knee,
        (),
        Bottleneck(BottleneckClass.CPU, 1.0, ("seen",)),
        None,
        (),
    )
    return any(caution.code == "native-share" for caution in found)


@pytest.mark.parametrize(("cpu", "expected"), [(0.45, False), (1.8, True)])
def test_cpu_that_the_holder_of_the_gil_does_not_explain_is_native_code(
    cpu: float, expected: bool
) -> None:
    assert said(ProfileMode.GIL, cpu) is expected


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
