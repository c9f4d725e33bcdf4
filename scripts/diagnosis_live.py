"""A service of the zoo, looked at: its capacity, what an investigation sees of it, what other
profilers do, and its capacity without the culprit.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from diagnosis_peers import peers
from diagnosis_record import Peer, Seen, overheard

from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.jobs.investigate import run_investigation
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from tests.live.zoo.animals import Animal
from tests.live.zoo.keeper import Service, captured, living

BASE, KNEE = 3.0, 9.0  # seconds of a short capture
# Of the SLO: times the mean latency of a service with two users, and no less than this.
LIMIT_TIMES, LEAST_LIMIT = 5.0, 0.05
SLOWEST, FASTEST = 2.0, 1500.0  # rates; above, the generator would have to be looked at as well
QUESTION = """
schema = 1
[target]
url = "{url}"
process = {{ pid = {pid} }}
{traffic}
[slo]
latency = {{ p99 = "<= {limit:.0f}ms" }}
errors = {{ http_5xx = "< 1%", transport = "<= 5%" }}
min_samples = 50
[ramp]
start = "{start:.1f}/s"
baseline = "5s"
hold = "12s"
budget = "25s"
"""


def look(animal: Animal, *, short: bool, with_peers: bool) -> Seen:
    """What is seen of a service, from its start to its mended form. Raises PerfhuntError and
    OSError.
    """
    began = time.monotonic()
    with living(animal) as service, tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as home:
        most = service.capacity()
        (given, named), rate = (_captured if short else _investigated)(
            service, Path(home), most["completed"]
        )
        others: dict[str, Peer] = peers(service, rate) if with_peers else {}
    with living(animal, animal.culprits[0]) as service:
        mended = service.capacity()
    return Seen(
        name=animal.name,
        mode="short" if short else "story",
        capacity=most["completed"],
        busy=most["busy"],
        mended=mended["completed"],
        mended_busy=mended["busy"],
        given=given,
        named=named,
        peers=others,
        seconds=time.monotonic() - began,
    )


Given = tuple[tuple[tuple[Any, ...], dict[str, Any]], float]


def _captured(service: Service, home: Path, capacity: float) -> Given:
    """The capture of a known load instead of a search; its knee is that load."""
    rate = service.animal.load * capacity
    evidence = captured(service, home, capacity, BASE, KNEE)
    knee = Knee(
        rate=rate,
        low=rate,
        high=rate,
        confidence=0.9,
        criterion="latency.p99",
        limit=service.animal.limit or LEAST_LIMIT,
        sharpness=None,
        label=KneeLabel.BRACKET,
    )
    most = Capacity(capacity, capacity, capacity, capacity)
    return ((evidence, SearchResult(knee, (knee,), most, (), ()), None, ()), {}), rate


def _investigated(service: Service, home: Path, capacity: float) -> Given:
    """A whole investigation with a small budget, and the rate it held."""
    animal, usual = service.animal, service.drive(1.0, "users", 2)["mean"]
    (home / "perfhunt.toml").write_text(
        QUESTION.format(
            url=service.url,
            pid=service.pid,
            traffic="\n".join(f'[[traffic]]\nrequest = "GET {path}"' for path in animal.paths),
            limit=1e3 * (animal.limit or max(LIMIT_TIMES * usual, LEAST_LIMIT)),
            start=min(max(SLOWEST, 0.1 * capacity), FASTEST),
        )
    )
    request = InvestigateRequest(
        file=home / "perfhunt.toml", store=home / "store", allow_busy=True, seed=1
    )
    with overheard() as heard:
        run = run_investigation(request)
    held = [trial.step.rate for trial in run.trials if trial.step.phase == "hold"]
    return heard[-1], held[-1] if held else animal.load * capacity


def check(animal: Animal) -> dict[str, float]:
    """Answers per second: as it is, without the culprit, and without the decoy."""
    found = {}
    for name, mended in (("", ""), ("culprit", animal.culprits[0]), ("decoy", "render_page")):
        with living(animal, mended) as service:
            found[name or "now"] = service.capacity()["completed"]
    return found
