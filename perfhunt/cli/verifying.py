"""What `perfhunt verify` does: git first, then the running code, then the load, then the word."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from perfhunt import verify
from perfhunt.analysis.attribution import against_prediction, attribute
from perfhunt.analysis.verdict import Looking
from perfhunt.change.git import Repository, find_repository
from perfhunt.change.read import read_change
from perfhunt.change.rule import require_one
from perfhunt.change.running import differences, stale
from perfhunt.change.worktree import checkout
from perfhunt.cli import console
from perfhunt.cli.noise import load_calibration
from perfhunt.cli.watchers import watching
from perfhunt.cli.workbench import Asked, clear_question, target_of, workbench
from perfhunt.errors import ChangeRefused, UsageError
from perfhunt.investigate import Options, investigate
from perfhunt.load.locust_engine import LocustEngine
from perfhunt.model.attribution import Attribution, Measured
from perfhunt.model.change import Kind, OneChange
from perfhunt.model.event import Watch
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Knee
from perfhunt.model.plain import to_plain
from perfhunt.model.question import Question
from perfhunt.model.run import Run
from perfhunt.model.units import Seconds, UnitError, parse_duration
from perfhunt.model.verdict import Verdict, Word
from perfhunt.reports.verdict_text import verdict_lines
from perfhunt.safety.killswitch import KillswitchWatch
from perfhunt.safety.launch import ServiceCommand
from perfhunt.safety.lock import Owner, target_lock
from perfhunt.safety.watchdog import Watchdog
from perfhunt.store import ledger
from perfhunt.store.files import write_atomic
from perfhunt.store.listing import find
from perfhunt.store.rundir import fresh_id, read_directory
from perfhunt.store.testfile import read_question


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line said about a verification."""

    run: str = "last"
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    file: Path | None = None
    base: str = ""
    head: str = ""
    prepare: tuple[str, ...] = ()
    budget: str = "12m"
    compound: str = ""
    revert: bool = False
    as_json: bool = False
    quiet: bool = False
    store: Path = Path(".perfhunt")


def verify_process(wanted: Wanted) -> Verdict:
    """The verdict on a restarted service, from one new run of the stored question. Raises ChangeRefused (exit 92)."""
    stored = stored_run(wanted)
    asked = Asked(wanted.pid, wanted.port, wanted.url, wanted.file, wanted.store, allow_busy=False)
    question, target = target_of(asked, stored.question)
    repository = Repository(Path(target.git_root)) if target.git_root else find_repository(Path.cwd())
    change = read_change(repository, wanted.base or stored.environment.git_revision or "HEAD", wanted.head)
    one = require_one(change, _stacks(stored), wanted.compound)
    if doubts := stale(change, target):
        raise ChangeRefused(
            "the running process is not the changed code: " + "; ".join(doubts), "Restart the service, then verify its new pid."
        )
    with watching(as_json=wanted.as_json, quiet=wanted.quiet) as watch, ExitStack() as held:
        lab = held.enter_context(workbench(asked, question, target, "verify", watch))
        moved = differences(change, stored.environment, lab.environment, stored.target, target)
        if moved:
            verdict, new = Verdict(Word.INVALID, "the change is not the only difference: " + "; ".join(moved), "rerun"), None
        else:
            verdict, new = verify.verify_rerun(
                stored, lambda asking: investigate(replace(asking, target=question.target), lab, Options()),
                load_calibration(wanted.store), _explained(one),
            )  # fmt: skip
    verdict = replace(verdict, attributable=one.attributable)
    found = _attribution(one, stored, new) if new is not None else None
    if new is not None:
        keep(wanted.store / "runs" / new.id, verdict, one, found)
    tell(verdict, one, found, wanted)
    return verdict


def verify_command(wanted: Wanted, words: tuple[str, ...]) -> Verdict:
    """The verdict on two versions from git, started side by side. Raises ChangeRefused (exit 92), UsageError."""
    repository = find_repository(Path.cwd())
    stored = _stored_or_none(wanted)
    question = read_question(wanted.file, Path.cwd(), os.environ)
    base = wanted.base or (stored.environment.git_revision if stored else "") or "HEAD"
    change = read_change(repository, base, wanted.head)
    one = require_one(change, _stacks(stored) if stored else None, wanted.compound)
    calibration = load_calibration(wanted.store)
    if calibration is not None and calibration.refused:
        raise UsageError(f"no verdict can be trusted on this host: {calibration.refused}", "; ".join(calibration.advice))
    looking = Looking(calibration.priors(), noise=calibration.sentence()) if calibration else Looking()
    with watching(as_json=wanted.as_json, quiet=wanted.quiet) as watch, ExitStack() as held:
        older = held.enter_context(checkout(repository, base, wanted.prepare))
        newer = held.enter_context(checkout(repository, wanted.head, wanted.prepare))
        here = Path.cwd().resolve().relative_to(repository.root.resolve())
        commands = {
            verify.BASE: ServiceCommand("base", words, older.path / here),
            verify.HEAD: ServiceCommand("head", words, newer.path / here),
        }
        directory = wanted.store / "verify" / fresh_id()
        bench = held.enter_context(paired_bench(question, commands, directory, watch))
        same = stored is not None and stored.question.fingerprint() == question.fingerprint() and isinstance(stored.knee, Knee)
        asking = verify.asked_of(stored) if stored is not None and same else verify.survey(question, bench)
        verdict = verify.verify_paired(asking, bench, _duration(wanted.budget), looking)
    verdict = replace(verdict, attributable=one.attributable)
    found = _paired_attribution(one, stored, verdict) if stored is not None else None
    keep(directory, verdict, one, found)
    tell(verdict, one, found, wanted)
    return verdict


@contextmanager
def paired_bench(
    question: Question, commands: Mapping[str, ServiceCommand], directory: Path, watch: Watch
) -> Iterator[verify.PairBench]:
    """A bench for versions started by command: cleared, locked and stoppable, with logs and samples under `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        switch = held.enter_context(KillswitchWatch(question.safety.killswitch, Path.cwd()))
        local = replace(question, target=replace(question.target, url="http://127.0.0.1:80", environment="local"))
        cleared = clear_question(local, switch)
        stamp = datetime.now(UTC).isoformat(timespec="seconds")
        # Ports are chosen by the starter, so the lock is on the pair bench of this host as such: they would disturb each other.
        held.enter_context(target_lock(cleared.addresses, 0, Owner(os.getpid(), directory.name, "paired versions", stamp)))
        watchdog = held.enter_context(Watchdog(switch.tripped, max_duration=question.safety.max_duration, clock=time.monotonic))
        starter = verify.CommandStarter(commands, directory)
        starter.prepare()
        bench = verify.PairBench(
            starter, lambda: LocustEngine(directory.name), time.monotonic, directory, watchdog.stop, watch
        )  # fmt: skip
        held.callback(bench.close)
        yield bench


def stored_run(wanted: Wanted) -> Run:
    """The investigation to compare with. Raises UsageError when it was cut short or is of another kind."""
    if wanted.run in ("last", "latest"):
        rows = ledger.history(wanted.store, kind="investigate", limit=1)
        if not rows:
            raise UsageError("there is no investigation to compare with", "Make one first: perfhunt investigate --pid PID")
        run = read_directory(wanted.store / rows[0].path)
    else:
        run = read_directory(find(wanted.store, wanted.run))
    if run.ended != "complete":
        raise UsageError(f"run {run.id} was cut short ({run.ended})", "Name a whole one; they are listed by: perfhunt history")
    return run


def _stored_or_none(wanted: Wanted) -> Run | None:
    try:
        return stored_run(wanted)
    except UsageError:
        return None


def _stacks(run: Run):  # type: ignore[no-untyped-def]
    return run.profiles.get("knee-waits") or run.profiles.get("knee")


def _explained(one: OneChange) -> frozenset[str]:
    kinds = {kind for piece in one.pieces for kind in piece.kinds}
    return frozenset({"distributions"} if Kind.DEPENDENCY in kinds else ()) | ({"env_sha256"} if Kind.CONFIG in kinds else set())


def _attribution(one: OneChange, stored: Run, new: Run) -> Attribution | None:
    before, after = _measured(stored), _measured(new)
    if before is None or after is None:
        return None
    found = attribute(one.change, before, after, _gain(stored, new))
    predicted = stored.findings[0].what_if if stored.findings else None
    if predicted is not None and isinstance(new.knee, Knee):
        seen = Interval(new.knee.rate, new.knee.low, new.knee.high, new.knee.passes, new.knee.confidence)
        found = replace(found, sentences=(*found.sentences, against_prediction(predicted, seen)))
    return found


def _paired_attribution(one: OneChange, stored: Run, verdict: Verdict) -> Attribution | None:
    before = _measured(stored)
    effect = verdict.effect("capacity")
    return attribute(one.change, before, before, effect.speed if effect else None) if before is not None else None


def _measured(run: Run) -> Measured | None:
    profile = _stacks(run)
    held = [t for t in run.trials if t.step.phase == "hold"]
    if profile is None or not held:
        return None
    cpu = held[-1].resources.cpu if held[-1].resources else None
    return Measured(profile, held[-1].completed, cpu)


def _gain(stored: Run, new: Run) -> Interval | None:
    if stored.capacity is None or new.capacity is None:
        return None
    a, b = stored.capacity, new.capacity
    return Interval(b.rate / a.rate - 1, b.low / a.high - 1, b.high / a.low - 1, 1)


def _duration(text: str) -> Seconds:
    try:
        return parse_duration(text)
    except UnitError as error:
        raise UsageError(f"--budget: {error}") from error


def keep(directory: Path, verdict: Verdict, one: OneChange, found: Attribution | None) -> None:
    """Store a verdict as verdict.json beside what it was reached from."""
    plain = {
        "schema": 1,
        "verdict": to_plain(verdict),
        "change": to_plain(one),
        "attribution": to_plain(found) if found else None,
    }
    write_atomic(directory / "verdict.json", json.dumps(plain, indent=2) + "\n")


def tell(verdict: Verdict, one: OneChange, found: Attribution | None, wanted: Wanted) -> None:
    """Print a verdict as was asked for."""
    if wanted.as_json:
        console.out(json.dumps({"schema": 1, "event": "verdict", "verdict": to_plain(verdict)}))
    elif wanted.quiet:
        console.out(console.clean(f"{verdict.word}: {verdict.reason}"))
    else:
        for line in verdict_lines(verdict, one, found):
            console.out(console.clean(line))


Teller = Callable[[Verdict], None]
