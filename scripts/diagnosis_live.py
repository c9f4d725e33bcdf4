"""A service of the zoo, looked at: its capacity, what an investigation sees of it, what other
profilers do, and its capacity without the culprit.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from diagnosis_peers import peers
from diagnosis_record import Peer, Seen, overheard

from perfhunt import lab
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.jobs.investigate import run_investigation
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.model.knee import Capacity, Knee, KneeLabel
from perfhunt.model.question import Question
from perfhunt.model.trial import Phase
from perfhunt.stories import investigation
from tests.live.zoo.animals import Animal
from tests.live.zoo.keeper import Service, capacity, living

# Of the SLO: times the mean latency of a service with two users, and no less than this.
LIMIT_TIMES, LEAST_LIMIT = 5.0, 0.05
SLOWEST, FASTEST = 2.0, 1500.0  # rates; above, the generator would have to be looked at as well
# Seconds of a short look: the baseline profile, and each quiet span beside the hold.
PROFILE, QUIET = 3.0, 2.0
# Load that a search may send; a limiter's start rate lies far below where it refuses.
BUDGET, LONG = "40s", "120s"
MORE_USERS = 4  # times the usual number, to see what a mended service holds
QUESTION = """
schema = 1
[target]
url = "{url}"
process = {{ pid = {pid} }}
{traffic}
[slo]
latency = {{ p99 = "<= {limit:.0f}ms" }}
errors = {{ http_5xx = "< 1%" }}
min_samples = 10
[ramp]
start = "{start:.1f}/s"
baseline = "{baseline}"
hold = "{hold}"
budget = "{budget}"
"""


def look(animal: Animal, *, short: bool, with_peers: bool) -> Seen:
    """What is seen of a service, from its start to its mended form. Raises PerfhuntError and
    OSError.
    """
    began, short = time.monotonic(), short and not animal.searched
    with living(animal) as service, tempfile.TemporaryDirectory(prefix="bench-diagnosis-") as home:
        burst = service.capacity()
        given, named, rate = investigated(service, Path(home), burst["completed"], short=short)
        others: dict[str, Peer] = peers(service, rate) if with_peers else {}
    with living(animal, animal.culprits[0]) as service:
        # A mended service may answer so fast that the usual users are too few to fill it.
        bursts = [service.capacity(times) for times in (1, MORE_USERS)]
        mended = max(bursts, key=lambda burst: burst["completed"])
    return Seen(
        name=animal.name,
        mode="short" if short else "whole",
        capacity=burst["completed"],
        busy=burst["busy"],
        mended=mended["completed"],
        mended_busy=mended["busy"],
        given=given,
        named=named,
        peers=others,
        seconds=time.monotonic() - began,
    )


def investigated(
    service: Service, home: Path, most: float, *, short: bool
) -> tuple[tuple[Any, ...], dict[str, Any], float]:
    """What an investigation gave to `diagnose`, and the rate it held."""
    animal = service.animal
    (home / "perfhunt.toml").write_text(
        QUESTION.format(
            url=service.url,
            pid=service.pid,
            traffic="\n".join(f'[[traffic]]\nrequest = "GET {path}"' for path in animal.paths),
            limit=1e3 * (animal.limit or max(LIMIT_TIMES * service.unloaded, LEAST_LIMIT)),
            start=min(max(SLOWEST, 0.1 * most), FASTEST),
            baseline="3s" if short else "5s",
            hold="10s" if short else "15s",
            budget=LONG if animal.searched else BUDGET,
        )
    )
    request = InvestigateRequest(
        file=home / "perfhunt.toml", store=home / "store", allow_busy=True, seed=1
    )
    usual = known_knee(animal.load * most, most) if short else nullcontext()
    with overheard() as heard, usual:
        run = run_investigation(request)
    held = [trial.step.rate for trial in run.trials if trial.step.phase is Phase.HOLD]
    if not heard or not held:
        raise LookupError(f"nothing was held, so nothing diagnosed: {run.ended}")
    return *heard[-1], held[-1]


@contextmanager
def known_knee(rate: float, most: float) -> Iterator[None]:
    """Investigations that search for no knee while the block lasts: it is a part of the capacity
    that was measured before, and they go straight to it, hold it for less long, and ask for no
    baseline again that other work disturbed.
    """

    def climbed(
        question: Question, bench: lab.Lab, floor: investigation.Floor, *_: Any
    ) -> SearchResult:
        knee = Knee(
            rate=rate,
            low=rate,
            high=rate,
            confidence=0.9,
            criterion=bench.criteria[0].name,
            limit=bench.criteria[0].limit,
            sharpness=None,
            label=KneeLabel.BRACKET,
        )
        return SearchResult(knee, (knee,), Capacity(most, most, most, most), (floor.trial,), ())

    with (
        patch.object(investigation, "climb_to_knee", climbed),
        patch.object(
            investigation, "judge_at_load", lambda question, bench, climb, floor, _: floor
        ),
        patch.object(investigation, "BASELINE_PROFILE", PROFILE),
        patch.object(investigation, "QUIET", QUIET),
        patch.object(lab, "ASKED_AGAIN", 0),
    ):
        yield


def check(animal: Animal) -> dict[str, float]:
    """Answers per second: as it is, without the culprit, and without the decoy."""
    found = {}
    for name, mended in (("now", ""), ("culprit", animal.culprits[0]), ("decoy", "render_page")):
        found[name] = capacity(animal, mended)
    return found
