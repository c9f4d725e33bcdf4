"""Judging one commit after another against the good one, with every judgement on disk before the
next is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from perfhunt.analysis.verdict.rounds import AnalysisPlan
from perfhunt.change.git.bisect import (
    Bisected,
    CommitLabel,
    bisect,
    commits_between,
    expected_judgements,
)
from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.read import read_change
from perfhunt.errors import ExitCode, StoreError, UsageError
from perfhunt.jobs.request import require_time
from perfhunt.jobs.verify.versions import (
    VersionPair,
    analysis_plan,
    local_question,
    paired_bench,
    versions,
)
from perfhunt.model.question import Question
from perfhunt.model.redact import Mark
from perfhunt.model.run import Began, EventWatcher, Noted, unwatched
from perfhunt.model.text.escaping import json_text
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.change import Change
from perfhunt.model.verdict.verdict import Word
from perfhunt.store.digest_key import mark_of
from perfhunt.store.files import make_directory, read_json, write_atomic
from perfhunt.store.rundir import fresh_id
from perfhunt.stories.paired_question import PairedQuestion, survey
from perfhunt.stories.verification import verify_paired

LABELS: dict[Word, CommitLabel] = {
    Word.KEEP: "good",
    Word.NO_CHANGE: "good",
    Word.NOT_WORTH_IT: "good",
    Word.REVERT: "bad",
    Word.MIXED: "skip",
    Word.INCONCLUSIVE: "skip",
    Word.INVALID: "skip",
}
# Characters of a commit's id that a person reads.
SHORT = 12
# Less than a single verdict gets, for halving asks for several.
BUDGET: Seconds = 300.0


@dataclass(frozen=True, slots=True)
class BisectRequest:
    """Between which revisions to look, and how the service is started. `budget` is for each
    comparison with `good`.
    """

    good: str
    bad: str
    command: tuple[str, ...]
    file: Path | None = None
    prepare: tuple[str, ...] = ()
    budget: Seconds = BUDGET
    again: bool = False
    store: Path = Path(".perfhunt")
    trust_repository: bool = False


@dataclass(frozen=True, slots=True)
class BisectResult:
    """How a bisection ended, with the subject line of each commit it names."""

    bisected: Bisected
    subjects: dict[str, str]

    @property
    def exit_code(self) -> ExitCode:
        """0 when the commit was found; 91 when skipped ones hide which of several it is."""
        return ExitCode.OK if self.bisected.found else ExitCode.INCONCLUSIVE


class Judgements(MutableMapping[str, CommitLabel]):
    """Judgements by commit, on disk as soon as they are made; where the disk refuses them that is
    noted, and the bisection goes on.
    """

    def __init__(self, path: Path, fresh: bool = False, watch: EventWatcher = unwatched) -> None:
        """Reads what is there, but for a fresh start. Raises StoreError for a damaged file."""
        self._path, self._watch = path, watch
        self._labels: dict[str, CommitLabel] = {}
        if os.path.lexists(path) and not fresh:
            try:
                self._labels = {
                    str(k): v for k, v in read_json(path).items() if v in ("good", "bad", "skip")
                }
            except (StoreError, AttributeError) as error:
                raise StoreError(
                    f"{path} cannot be read: {error}", "Start over: perfhunt bisect --again ..."
                ) from error

    def __getitem__(self, commit: str) -> CommitLabel:
        return self._labels[commit]

    def __setitem__(self, commit: str, label: CommitLabel) -> None:
        self._labels[commit] = label
        try:
            make_directory(self._path.parent)
            write_atomic(self._path, json_text(self._labels, indent=1) + "\n")
        except StoreError as error:
            self._watch(Noted(f"a later bisection will not know of it: {error.message}"))

    def __delitem__(self, commit: str) -> None:
        del self._labels[commit]

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)


def run_bisection(request: BisectRequest, watch: EventWatcher = unwatched) -> BisectResult:
    """The first slower commit. Raises UsageError when the two ends are in the wrong order or BAD is
    not slower.
    """
    if not request.command:
        raise UsageError(
            "bisect starts the service itself",
            "perfhunt bisect GOOD BAD -- COMMAND, which must listen on $PORT",
        )
    require_time("--budget", request.budget)
    repository = find_repository(Path.cwd(), request.trust_repository)
    commits = commits_between(repository, request.good, request.bad)
    good, bad = repository.resolve(request.good), commits[0].id
    question = local_question(request.file, request.store)
    test = CommitTest(
        request=request,
        repository=repository,
        question=question,
        good=good,
        analysis=analysis_plan(request.store, watch),
        watch=watch,
    )
    watch(
        Noted(
            f"{len(commits)} commits:"
            f" at most {expected_judgements(len(commits)) + 1} comparisons, if none is skipped"
        )
    )
    name = _name(good, question, request.command, mark_of(request.store))
    file = request.store / "bisect" / f"{name}.json"
    judgements = Judgements(file, request.again, watch)
    if bad not in judgements:
        judgements[bad] = test.label(bad)
    _refuse_unless_slower(judgements[bad], request)
    bisected = bisect(commits, test.label, judgements)
    named = {*bisected.first_bad, *dict(bisected.judged), bad}
    return BisectResult(bisected, {commit: _subject(repository, commit) for commit in named})


def _refuse_unless_slower(bad: CommitLabel, request: BisectRequest) -> None:
    if bad == "bad":
        return
    measures = "no slower" if bad == "good" else "not told from it"
    raise UsageError(
        f"{request.bad} was named bad, and measures {measures} against {request.good}:"
        " there is nothing to look for",
        "Name ends that differ, or measure longer: --budget 15m --again",
    )


@dataclass(slots=True)
class CommitTest:
    """The test of one commit after another against the good one, whose knee is found once."""

    request: BisectRequest
    repository: Repository
    question: Question
    good: str
    analysis: AnalysisPlan
    watch: EventWatcher
    paired: PairedQuestion | None = None

    def label(self, commit: str) -> CommitLabel:
        """Good, bad or skip, by a paired comparison. A commit that does not start is skipped; one
        that differs in comments only is good.
        """
        subject = _subject(self.repository, commit)
        self.watch(Began("bisect", f"{commit[:SHORT]} {subject}", self.request.budget))
        change = read_change(self.repository, self.good, commit)
        if not change.atoms and not change.notes:
            self.watch(
                Noted(
                    f"{commit[:SHORT]} is good: nothing that runs differs from"
                    f" {self.good[:SHORT]}, so nothing was measured"
                )
            )
            return "good"
        try:
            # The ends must not run one program; commits between may well change nothing in it.
            word = self._measured(commit, change if self.paired is None else None)
        except UsageError as error:
            if self.paired is None:
                raise  # the good one does not start either: nothing to do with this commit
            self.watch(Noted(f"skipped: {error.message}"))
            return "skip"
        self.watch(Noted(f"{commit[:SHORT]} is {LABELS[word]}: {word}"))
        return LABELS[word]

    def _measured(self, commit: str, change: Change | None) -> Word:
        command, prepare = self.request.command, self.request.prepare
        directory = self.request.store / "bisect" / fresh_id()
        with (
            versions(self.repository, self.good, commit, command, prepare, self.watch) as commands,
            paired_bench(self.question, commands, directory, self.watch, change) as pair,
        ):
            return self._compared(pair)

    def _compared(self, pair: VersionPair) -> Word:
        if self.paired is None:
            self.paired = survey(self.question, pair.bench)
        return verify_paired(self.paired, pair.bench, self.request.budget, self.analysis).word


def _name(good: str, question: Question, words: tuple[str, ...], mark: Mark) -> str:
    """What judgements belong to: the good commit, the question and the command, as a short mark."""
    text = "\0".join((good, question.fingerprint(), *words))
    return mark(text).rpartition(":")[2][:16]


def _subject(repository: Repository, commit: str) -> str:
    return repository.git("log", "-1", "--format=%s", commit, "--").decode(errors="replace").strip()
