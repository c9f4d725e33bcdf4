"""The verdict on real processes: identical builds and changed ones, restarted, loaded and judged as `perfhunt verify` does."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from perfhunt.demo.workspace import PATCH, SERVICE
from perfhunt.errors import PerfhuntError
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Endpoint, Feed, Question, Ramp, Target
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.verdict import Verdict
from perfhunt.safety.launch import ServiceCommand
from perfhunt.store.testfile import read_question
from perfhunt.verify import CommandStarter, PairBench, survey, verify_paired

TARGETS = Path(__file__).parent / "verdict_targets"
BUDGET = 600.0


@dataclass(frozen=True)
class Scenario:
    """A service with a change; `faster` is what the change does to its speed, as its author made it (None: not known)."""

    name: str
    question: Question
    base: ServiceCommand
    head: ServiceCommand
    faster: float | None


def run(experiments: int, seed: int) -> dict[str, Any]:
    """So many comparisons of identical builds, and as many with the change, for each scenario."""
    found: dict[str, Any] = {}
    print("| service | change | words (identical builds) | words (changed) | minutes (identical, changed) |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-verdict-") as scratch:
        for scenario in scenarios(Path(scratch)):
            found[scenario.name] = _row(scenario, experiments, seed, Path(scratch))
    return found


def scenarios(scratch: Path) -> list[Scenario]:
    """The demo with its patch, a service that computes with 10 % less of it to do, one that waits 10 % less."""
    words = _gunicorn("render:app", threads=1), _gunicorn("pool:app", threads=32)
    return [
        demo(scratch),
        Scenario("render", _plain(scratch), *_versions("render", words[0], "WORK", (220, 200)), 0.10),
        Scenario("pool", _plain(scratch), *_versions("pool", words[1], "WAIT", (8800, 8000)), 0.10),
    ]


def demo(scratch: Path) -> Scenario:
    """The bundled shop, and the shop with the patch that its README tells people to apply."""
    places = {}
    for version in ("base", "head"):
        places[version] = scratch / f"shop-{version}"
        shutil.copytree(SERVICE, places[version], ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*"))
    subprocess.run(["patch", "-p1", "-s", "-i", SERVICE / PATCH], cwd=places["head"], check=True)
    words = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "shop.app:application")
    question = read_question(SERVICE / "perfhunt.toml", SERVICE, {})
    commands = [ServiceCommand(version, words, places[version]) for version in ("base", "head")]
    return Scenario("demo", question, commands[0], commands[1], None)


def _gunicorn(app: str, threads: int) -> tuple[str, ...]:
    kind = ("-k", "gthread", "--threads", str(threads)) if threads > 1 else ("-k", "gthread", "--threads", "1")
    return (sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:$PORT", "--keep-alive", "75", "--log-level", "warning", *kind, app)


def _versions(name: str, words: tuple[str, ...], knob: str, values: tuple[int, int]) -> tuple[ServiceCommand, ServiceCommand]:
    base, head = (ServiceCommand(v, words, TARGETS, {knob: str(x)}) for v, x in zip(("base", "head"), values, strict=True))
    return base, head


def _plain(scratch: Path) -> Question:
    """Requests whose cost is in the request: a size of 1 to 10 from a feed, mostly small."""
    feed = scratch / "sizes.csv"
    rows = [1] * 50 + [2] * 25 + [3] * 12 + [5] * 8 + [10] * 5
    feed.write_text("size\n" + "\n".join(map(str, rows)) + "\n")
    endpoint = Endpoint(
        "page", "GET", "/?size={size}", feed=Feed(str(feed), ("size",), hashlib.sha256(feed.read_bytes()).hexdigest())
    )
    slo = Slo((Objective(Measure.LATENCY, "p99", "<=", 0.15),))
    return Question(Target("http://127.0.0.1:8000"), (endpoint,), slo, Ramp(start=20.0))


def _row(scenario: Scenario, experiments: int, seed: int, scratch: Path) -> dict[str, Any]:
    same = [_judge(scenario, False, seed + i, scratch) for i in range(experiments)]
    changed = [_judge(scenario, True, seed + i, scratch) for i in range(experiments)]
    words = [[str(v.word) for v in verdicts] for verdicts in (same, changed)]
    counts = [", ".join(f"{w} {ws.count(w)}" for w in dict.fromkeys(ws)) for ws in words]
    minutes = [round(median(v.minutes for v in verdicts), 1) for verdicts in (same, changed)]
    change = f"{scenario.faster:+.0%} speed" if scenario.faster else "its patch"
    print(f"| {scenario.name} | {change} | {counts[0]} | {counts[1]} | {minutes[0]}, {minutes[1]} |", flush=True)
    key = f"{(scenario.faster or 0) * 100:g}" if scenario.faster else "patch"
    return {
        "aa_false": sum(w in ("KEEP", "REVERT", "MIXED") for w in words[0]) / experiments,
        "power": {key: words[1].count("KEEP") / experiments},
        "wrong_sign": words[1].count("REVERT") / experiments,
        "minutes": {"0": minutes[0], key: minutes[1]},
        "words": {"0": words[0], key: words[1]},
        "n": experiments,
    }


def _judge(scenario: Scenario, changed: bool, seed: int, scratch: Path) -> Verdict:
    """One whole experiment: survey of the base version, then rounds until a look decides."""
    where = scratch / f"{scenario.name}-{changed}-{seed}"
    head = scenario.head if changed else scenario.base
    starter = CommandStarter({"base": scenario.base, "head": head}, where)
    bench = PairBench(starter, LocustEngine, time.monotonic, where, watch=_watch)
    try:
        verdict = verify_paired(survey(replace(scenario.question, seed=seed), bench), bench, BUDGET)
    except PerfhuntError as error:
        print(f"  {scenario.name}: {error.message} {error.hint}", file=sys.stderr)
        raise
    finally:
        bench.close()
        shutil.rmtree(where, ignore_errors=True)
    print(
        f"  {scenario.name}, {'changed' if changed else 'identical'}, seed {seed}: {verdict.word}. {verdict.reason}",
        file=sys.stderr,
    )
    return verdict


def _watch(event: object) -> None:
    sentence = getattr(event, "sentence", "")
    if sentence:
        print(f"    {sentence}", file=sys.stderr, flush=True)
