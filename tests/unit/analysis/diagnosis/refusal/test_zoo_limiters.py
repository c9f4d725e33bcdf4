"""The services of the zoo that refuse, read without any load."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perfhunt.analysis.diagnosis.answer.refusal.deciding import Refusal, refusal_in

ZOO = Path(__file__).parents[4] / "live" / "zoo"
REFUSING = [p for p in sorted(ZOO.rglob("*.py")) if re.search(r"\b503\b", p.read_text())]
SERVICE = ZOO.parent / "services" / "limiter.py"


def test_there_are_some() -> None:
    assert {path.stem for path in REFUSING} >= {"asgi_limiter", "wsgi_limiter"}


@pytest.mark.parametrize("path", REFUSING, ids=lambda path: path.stem)
def test_the_culprit_is_named(path: Path) -> None:
    culprit = re.search(r"Culprits?: (\w+)", path.read_text())
    assert culprit is not None
    files = (path, ZOO / "work.py")
    found = refusal_in({str(p): p.read_text() for p in files}, 503, ("/",))
    assert isinstance(found, Refusal) and found.function == (culprit[1], str(path))
    assert refusal_in({str(p): p.read_text() for p in files}, 429, ("/",)) is None


def test_the_service_of_the_live_test_is_refused_by_its_bucket() -> None:
    found = refusal_in({str(SERVICE): SERVICE.read_text()}, 503, ("/",))
    assert isinstance(found, Refusal) and found.function == ("Bucket.take", str(SERVICE))
