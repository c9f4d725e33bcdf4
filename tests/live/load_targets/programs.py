"""Engines that have another program send, and what the listener saw of it."""

import contextlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.load.engines import ENGINES
from perfhunt.load.seam import LoadEngine
from perfhunt.model.question import EngineName, Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Criterion, Slo
from perfhunt.model.units import Seconds
from tests.live.load_targets.harness import P99

HOME = RequestTemplate("home", "GET", "/", 3.0)
with_k6 = pytest.mark.skipif(shutil.which("k6") is None, reason="k6 is not installed")


@contextlib.contextmanager
def opened(
    name: EngineName,
    url: str,
    directory: Path,
    *endpoints: RequestTemplate,
    script: str = "",
    criteria: tuple[Criterion, ...] = (P99,),
    timeout: Seconds = 10.0,
) -> Iterator[LoadEngine]:
    """An engine that has another program send to a service of the test."""
    path = directory / "script.js"
    path.write_text(script)
    question = Question(
        Target(url),
        endpoints or (() if script else (HOME,)),
        Slo(()),
        Ramp(timeout=timeout),
        engine=name,
        k6_script=str(path) if script else None,
    )
    made = ENGINES[name](run="test")
    try:
        made.open(question, criteria, directory / "trials")
        yield made
    finally:
        made.close()


def seen(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/seen") as response:
        paths: dict[str, int] = json.load(response)["paths"]
        return paths
