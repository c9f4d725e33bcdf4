"""The verdict on real processes: identical builds and changed ones, restarted, loaded and judged as
`perfhunt verify` does.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from perfhunt.demo.workspace import PATCH, SERVICE
from perfhunt.errors import PerfhuntError
from perfhunt.jobs.verify.starter import CommandStarter
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.question import Question, Ramp, RequestTemplate, Target
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.traffic.parts import Feed
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.store.testfile import read_question
from perfhunt.stories.pair_bench import PairBench
from perfhunt.stories.paired_question import PairedQuestion, survey
from perfhunt.stories.verification import verify_paired
from perfhunt.target.launch import ServiceCommand

TARGETS = Path(__file__).parent / "verdict_targets"
BUDGET = 600.0


@dataclass(frozen=True)
class Scenario:
    """A service with a change; `faster` is what the change does to its speed, as its author made it
    (None: not known).
    """

    name: str
    question: Question
    base: ServiceCommand
    head: ServiceCommand
    faster: float | None


def run(
    experiments: int, seed: int, only: Sequence[str] = (), diary: Path | None = None
) -> dict[str, Any]:
    """So many comparisons of identical builds, and as many with the change, for each scenario.

    Each that ends is a line of `diary` at once; one that is in there already is not made again.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-verdict-") as scratch:
        for scenario in scenarios(Path(scratch)):
            if not only or scenario.name in only:
                found[scenario.name] = _row(scenario, experiments, seed, Path(scratch), diary)
    return found


def scenarios(scratch: Path) -> list[Scenario]:
    """The demo with its patch, a service that computes, with a tenth less of it to do, one that
    waits, a tenth less.
    """
    words = _gunicorn("render:app", threads=1), _gunicorn("pool:app", threads=32)
    return [
        demo(scratch),
        Scenario(
            "render", _plain(scratch), *_versions("render", words[0], "WORK", (6600, 6000)), 0.10
        ),
        Scenario("pool", _plain(scratch), *_versions("pool", words[1], "WAIT", (8800, 8000)), 0.10),
    ]


def demo(scratch: Path) -> Scenario:
    """The bundled shop, and the shop with the patch that its README tells people to apply."""
    places = {}
    for version in ("base", "head"):
        places[version] = scratch / f"shop-{version}"
        shutil.copytree(
            SERVICE, places[version], ignore=shutil.ignore_patterns("__pycache__", "*.sqlite*")
        )
    subprocess.run(["patch", "-p1", "-s", "-i", SERVICE / PATCH], cwd=places["head"], check=True)
    words = (sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "shop.app:application")
    question = read_question(SERVICE / "perfhunt.toml", SERVICE, {})
    commands = [ServiceCommand(version, words, places[version]) for version in ("base", "head")]
    return Scenario("demo", question, commands[0], commands[1], None)


def _gunicorn(app: str, threads: int) -> tuple[str, ...]:
    kind = (
        ("-k", "gthread", "--threads", str(threads))
        if threads > 1
        else ("-k", "gthread", "--threads", "1")
    )
    return (
        sys.executable,
        "-m",
        "gunicorn",
        "-b",
        "127.0.0.1:$PORT",
        "--keep-alive",
        "75",
        "--log-level",
        "warning",
        *kind,
        app,
    )


def _versions(
    name: str, words: tuple[str, ...], knob: str, values: tuple[int, int]
) -> tuple[ServiceCommand, ServiceCommand]:
    base, head = (
        ServiceCommand(v, words, TARGETS, {knob: str(x)})
        for v, x in zip(("base", "head"), values, strict=True)
    )
    return base, head


def _plain(scratch: Path) -> Question:
    """Requests whose cost is in the request: a size of 1 to 10 from a feed, mostly small."""
    feed = scratch / "sizes.csv"
    rows = [1] * 50 + [2] * 25 + [3] * 12 + [5] * 8 + [10] * 5
    feed.write_text("size\n" + "\n".join(map(str, rows)) + "\n")
    endpoint = RequestTemplate(
        "page",
        "GET",
        "/?size={size}",
        feed=Feed(str(feed), ("size",), hashlib.sha256(feed.read_bytes()).hexdigest()),
    )
    slo = Slo((Objective(Measure.LATENCY, "p99", "<=", 0.15),))
    return Question(Target("http://127.0.0.1:8000"), (endpoint,), slo, Ramp(start=20.0))


def _row(
    scenario: Scenario, experiments: int, seed: int, scratch: Path, diary: Path | None
) -> dict[str, Any]:
    """Identical and changed in turn, so that a run cut short has both."""
    done = _diary(diary)
    paired: PairedQuestion | None = None
    lines: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for i in range(experiments):
        for changed in (False, True):
            known = next(
                (
                    d
                    for d in done
                    if (d["service"], d["changed"], d["seed"]) == (scenario.name, changed, seed + i)
                ),
                None,
            )
            if known is None:
                paired = paired or _survey(scenario, seed, scratch)
                verdict = _judge(scenario, changed, paired, seed + i, scratch)
                known = _line(scenario, changed, seed + i, verdict)
                if diary:
                    with diary.open("a") as out:
                        out.write(json.dumps(known) + "\n")
            lines[changed].append(known)
    return _summary(scenario, lines[False], lines[True])


def _summary(
    scenario: Scenario, same: list[dict[str, Any]], other: list[dict[str, Any]]
) -> dict[str, Any]:
    words = [[d["word"] for d in some] for some in (same, other)]
    minutes = [round(median(d["minutes"] for d in some), 1) for some in (same, other)]
    change = f"{scenario.faster:+.0%} speed" if scenario.faster else "its patch"
    for about, some in (("identical builds", same), (change, other)):
        print(
            f"\n{scenario.name}, {about}:\n\n| seed | verdict | minutes | rounds | as speed:"
            " estimate (95 % interval) |"
        )
        print("|---|---|---|---|---|")
        for d in some:
            print(
                f"| {d['seed']} | {d['word']} | {d['minutes']:.1f} | {d['rounds']} |"
                f" {'; '.join(d['speed'])} |"
            )
    print(flush=True)
    key = f"{scenario.faster * 100:g}" if scenario.faster else "patch"
    return {
        "aa_false": sum(w in ("KEEP", "REVERT", "MIXED") for w in words[0]) / len(same),
        "power": {key: words[1].count("KEEP") / len(other)},
        "wrong_sign": words[1].count("REVERT") / len(other),
        "minutes": {"0": minutes[0], key: minutes[1]},
        "words": {"0": words[0], key: words[1]},
        "n": len(same),
    }


def _diary(path: Path | None) -> list[dict[str, Any]]:
    return (
        [json.loads(text) for text in path.read_text().splitlines()]
        if path and path.exists()
        else []
    )


def _line(scenario: Scenario, changed: bool, seed: int, verdict: Verdict) -> dict[str, Any]:
    speed = [
        f"{e.endpoint} {100 * e.speed.value:+.1f} % ({100 * e.speed.low:+.1f} to"
        f" {100 * e.speed.high:+.1f})"
        for e in verdict.effects
    ]
    what = {
        "service": scenario.name,
        "changed": changed,
        "seed": seed,
        "word": str(verdict.word),
        "reason": verdict.reason,
    }
    return {**what, "minutes": verdict.minutes, "rounds": verdict.pairs, "speed": speed}


def _survey(scenario: Scenario, seed: int, scratch: Path) -> PairedQuestion:
    """The knee of the base version, found once for all of a service's experiments, as one stored
    run serves many verdicts.
    """
    with _bench(scenario, False, scratch / f"{scenario.name}-survey") as bench:
        return survey(replace(scenario.question, seed=seed), bench)


def _judge(
    scenario: Scenario, changed: bool, paired: PairedQuestion, seed: int, scratch: Path
) -> Verdict:
    """One experiment: rounds until a look decides."""
    seeded = replace(
        paired, question=replace(paired.question, seed=seed), plan=replace(paired.plan, seed=seed)
    )
    with _bench(scenario, changed, scratch / f"{scenario.name}-{changed}-{seed}") as bench:
        verdict = verify_paired(seeded, bench, BUDGET)
    about = "changed" if changed else "identical"
    print(
        f"  {scenario.name}, {about}, seed {seed}: {verdict.word}. {verdict.reason}",
        file=sys.stderr,
        flush=True,
    )
    return verdict


@contextmanager
def _bench(scenario: Scenario, changed: bool, where: Path) -> Iterator[PairBench]:
    starter = CommandStarter(
        {"base": scenario.base, "head": scenario.head if changed else scenario.base}, where
    )
    bench = PairBench(
        starter=starter,
        engine=LocustEngine,
        clock=time.monotonic,
        directory=where,
        watch=_watch,
    )
    try:
        yield bench
    except PerfhuntError as error:
        print(f"  {scenario.name}: {error.message} {error.hint}", file=sys.stderr)
        raise
    finally:
        bench.close()
        shutil.rmtree(where, ignore_errors=True)


def _watch(event: object) -> None:
    sentence = getattr(event, "sentence", "")
    if sentence:
        print(f"    {sentence}", file=sys.stderr, flush=True)
