"""The other programs that make load, as seen from outside: what each is for, how to get it, and
what its figures are worth.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from perfhunt.errors import UsageError
from perfhunt.model.question import Question
from perfhunt.model.units import PerSecond, Seconds, Share

# Of a program's load what our own client sends, to say how long requests take without asking the
# program: one in twenty, but enough for a p99 within half a minute, no more than a service would
# notice, and never most of it.
PROBE_SHARE: Share = 0.05
PROBE_LEAST: PerSecond = 50.0
PROBE_MOST: PerSecond = 200.0
PROBE_PART: Share = 0.5
# A script's setup, for which k6 itself waits a minute; and what an iteration may sleep or compute.
PREPARES_WITHIN: Seconds = 75.0
LONGEST_PAUSE: Seconds = 60.0
PROGRAM_TAKES: Seconds = PREPARES_WITHIN + LONGEST_PAUSE  # more than our own client
_ANSWERS_WITHIN: Seconds = 10.0  # the question which version it is


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """A program: `install` says how to get it, `asks` what prints its version, `versions` the major
    ones that are spoken here, `label` what to know of its figures.
    """

    name: str
    help: str
    install: str
    asks: tuple[str, ...]
    versions: tuple[int, ...]
    label: str


FACTS: Mapping[str, ProgramFacts] = {
    facts.name: facts
    for facts in (
        ProgramFacts(
            name="k6",
            help="k6: a k6 script as it is, or [[traffic]]; HTTP/2, gRPC and WebSocket by scripts",
            install="To get it: go install go.k6.io/k6@latest, or a package of k6's",
            asks=("version",),
            versions=(1, 2),
            label="evenly spaced; latency from when an iteration was due, less what the script"
            " slept; iterations that k6 dropped count as shed",
        ),
        ProgramFacts(
            name="vegeta",
            help="vegeta: [[traffic]] at a constant rate",
            install="To get it: go install github.com/tsenart/vegeta/v12@latest",
            asks=("-version",),
            versions=(12,),
            label="evenly spaced; latency from when a request was due, since vegeta's own counts"
            " from when it was sent",
        ),
    )
}


# Programs that people have and perfhunt does not drive: why.
NOT_DRIVEN: Mapping[str, str] = {
    "oha": "oha says nothing of its requests until it has ended, and not which of them failed",
    "wrk2": "wrk2 says no times of single requests, and not which of them failed",
    **{
        name: f"{name} waits for an answer before it sends more, and so hides what others wait"
        for name in ("wrk", "hey", "ab")
    },
}


def probe_rate(rate: PerSecond, question: Question) -> PerSecond:
    """Of a step's rate what our own client sends; none where the test file has no [[traffic]]."""
    if not question.traffic:
        return 0.0
    return min(max(PROBE_SHARE * rate, PROBE_LEAST), PROBE_MOST, PROBE_PART * rate)


def program_rate(rate: PerSecond, question: Question) -> PerSecond:
    """Of a step's rate what the program sends."""
    return rate - probe_rate(rate, question)


def missing(name: str) -> str:
    """Why a program cannot be used here; "" when it can."""
    facts = FACTS[name]
    if shutil.which(name) is None:
        return f"{name} is not installed"
    version = version_of(name)
    major = re.match(r"[0-9]+", version)
    if major is not None and int(major[0]) not in facts.versions:
        spoken = " and ".join(map(str, facts.versions))
        return f"{name} {version} is not known here, {spoken} are"
    return ""


def version_of(name: str) -> str:
    """The version that a program says it has; "" when it says none, as when it was built from
    source.
    """
    try:
        said = subprocess.run(
            (name, *FACTS[name].asks),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWERS_WITHIN,
            check=False,
        ).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.match(r"\S+[ \t]+v?([0-9]+\.[0-9]+(?:\.[0-9]+)?)", said)
    return found[1] if found is not None else ""


def require_program(name: str, *, alone: bool) -> None:
    """Raises UsageError when the program cannot be used here, or not `alone`, with workers of
    ours.
    """
    if not alone:
        raise UsageError(
            f"--workers and --bind share the load of the locust engine, and {name} sends its own",
            "Leave them out, or --engine.",
        )
    if why := missing(name):
        raise UsageError(
            why, f"{FACTS[name].install}; or leave --engine out: the locust engine is always there."
        )
