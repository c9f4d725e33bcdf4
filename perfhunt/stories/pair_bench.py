"""The bench a paired comparison works at: two slots to start versions in, an engine for each, and
one way to be told to stop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from perfhunt.analysis.verdict.pairs import Round
from perfhunt.errors import Stopped
from perfhunt.lab import require_whole
from perfhunt.load.seam import LoadEngine
from perfhunt.model.question import Question
from perfhunt.model.run import EventWatcher, Tried, unwatched
from perfhunt.model.trial import Drain, Drained, Resources, Step, Trial
from perfhunt.model.units import Seconds


class StartedVersion(Protocol):
    """One started version: where it listens, and what it uses."""

    @property
    def url(self) -> str: ...

    def ready(self, stop: Callable[[], str]) -> None:
        """Wait until it takes requests. Raises UsageError when it does not come up, Stopped when
        `stop` gives a reason.
        """

    def resources(self) -> Resources | None:
        """What its processes used since the last call; None when that cannot be read. Raises
        TargetDied when it ended.
        """


class Starter(Protocol):
    """Starts and ends versions. A slot (0 or 1) keeps its port, so an engine can stay open."""

    def start(self, version: str, slot: int) -> StartedVersion:
        """Begin to start a version ("base" or "head") on the slot's port; returns at once."""

    def end(self, version: StartedVersion) -> None:
        """End it and everything it started. Idempotent."""


@dataclass(slots=True)
class PairBench:
    """One engine per slot, opened once, and what a comparison has measured so far.

    `engine` makes an engine that is not open yet. `clock` gives monotonic seconds; `directory`
    takes the raw samples. `together`: both versions live through a round side by side and take
    turns, which cancels drift and restarts both in the time of one; without it (they would not fit,
    or share a file) one lives after the other, in ABBA order. `rounds` gathers the rounds; filled
    with those of an earlier comparison, that one goes on and no error rate is spent twice.
    """

    starter: Starter
    engine: Callable[[], LoadEngine]
    clock: Callable[[], Seconds]
    directory: Path
    stop: Callable[[], str] = lambda: ""
    watch: EventWatcher = unwatched
    together: bool = True
    rounds: list[Round] = field(default_factory=list)
    engines: dict[str, LoadEngine] = field(default_factory=dict)
    opened_for: dict[str, StartedVersion] = field(default_factory=dict)  # by url, as the engines

    def engine_at(self, question: Question, version: StartedVersion) -> LoadEngine:
        """The engine that sends the question's traffic to a version: that of its slot, opened anew
        where there is a login, for no other life of a service need know its sessions.
        """
        url, engine = version.url, self.engines.get(version.url)
        if engine is None or (question.login and self.opened_for[url] is not version):
            question = replace(question, target=replace(question.target, url=url))
            slot = self.directory / f"slot-{[*(self.engines | {url: None})].index(url)}"
            engine = engine or self.engine()
            engine.open(question, question.slo.criteria(), slot, self.stop)
            self.engines[url], self.opened_for[url] = engine, version
        return engine

    def try_step(self, step: Step, version: StartedVersion, question: Question) -> Trial:
        """One trial of a version, with what it used meanwhile. Raises Stopped, TargetDied."""
        self.check()
        engine = self.engine_at(question, version)
        version.resources()
        trial = engine.run(step, None, self.stop)
        trial = replace(trial, resources=version.resources(), attached=())
        self.watch(Tried(trial))
        self.check()
        require_whole(trial)
        return trial

    def drain(self, drain: Drain, version: StartedVersion, question: Question) -> Drained:
        """No load on a version until it is itself again."""
        return self.engine_at(question, version).drain(drain, self.stop)

    def check(self) -> None:
        """Raises Stopped when `stop` gives a reason."""
        if reason := self.stop():
            raise Stopped(reason)

    def close(self) -> None:
        """Close every engine; idempotent."""
        engines, self.engines = list(self.engines.values()), {}
        for engine in engines:
            engine.close()
