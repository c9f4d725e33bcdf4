"""Real services with a known culprit each: the culprit is ranked first and the class of bottleneck
names its kind.

A few of them by default; all of them, each about 25 s, with PERFHUNT_ZOO=all. Which function stops
a service is a fact of the host as well: the few are asked first what mending each would bring
(`capacity`), and judged where one clearly brings the most.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.classify import classify
from perfhunt.analysis.diagnosis.ranking import rank
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.profilers.table import PROFILERS
from tests.live.zoo.animals import ZOO, Animal
from tests.live.zoo.keeper import capacity, capture

pytestmark = pytest.mark.live
EVERY_TIME = {"lock", "loop-cpu"}
assert {animal.name for animal in ZOO} >= EVERY_TIME
CLEAR = 1.5  # times what mending the decoy brings; the interval of a capture this short is as wide
ALL = os.environ.get("PERFHUNT_ZOO") == "all"
NEEDED = ("gunicorn", "uvicorn", "starlette")


def missing() -> str:
    """Why the zoo cannot be visited here; "" when it can."""
    packages = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(packages)}" if packages else PROFILERS["py-spy"].available()


@pytest.mark.skipif(bool(missing()), reason=missing() or "all there")
@pytest.mark.parametrize(
    "animal", [a for a in ZOO if ALL or a.name in EVERY_TIME], ids=lambda animal: animal.name
)
def test_the_culprit_is_ranked_first_and_its_kind_is_named(animal: Animal, tmp_path: Path) -> None:
    if animal.name in EVERY_TIME:
        (culprit,) = animal.culprits
        mended = {name: capacity(animal, name) for name in (culprit, "render_page")}
        if mended[culprit] < CLEAR * mended["render_page"]:
            pytest.skip(f"no clear culprit on this host now; answers/s when mended: {mended}")
    evidence = capture(animal, tmp_path) if ALL else capture(animal, tmp_path, base=3.0, knee=7.0)
    reading = read_evidence(evidence)
    suspects = suspects_of(reading)
    findings = rank(reading, suspects)
    assert findings, "nothing was found"
    ranked = [f"{f.function} {f.blamed.value * 1e3:.1f} ms" for f in findings[:4]]
    assert findings[0].function.rsplit(".", 1)[-1] in animal.culprits, ranked
    bottleneck = classify(reading, suspects)
    assert bottleneck.category in animal.classes, bottleneck
