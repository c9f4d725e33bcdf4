"""Judging one commit after another against the good one, with every judgement on disk before the
next is asked for.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from perfhunt import verify
from perfhunt.analysis.verdict.rounds import AnalysisPlan
from perfhunt.change.git import bisect as halving
from perfhunt.change.git.bisect import Bisected, commits_between, expected_judgements
from perfhunt.change.git.repository import Repository, find_repository
from perfhunt.change.read import read_change
from perfhunt.cli.view.watchers import watching
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs.verify.command import VersionPair, locally, looking_of, paired_bench, versions
from perfhunt.jobs.verify.verify import VerifyRequest, budget_of
from perfhunt.model.question import Question
from perfhunt.model.run import Began, EventWatcher, Noted
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.verdict import Word
from perfhunt.store.files import read_text, write_atomic
from perfhunt.store.rundir import fresh_id
from perfhunt.store.testfile import read_question

JUDGED: dict[Word, halving.CommitLabel] = {
    Word.KEEP: "good",
    Word.NO_CHANGE: "good",
    Word.NOT_WORTH_IT: "good",
    Word.REVERT: "bad",
    Word.MIXED: "skip",
    Word.INCONCLUSIVE: "skip",
    Word.INVALID: "skip",
}


@dataclass(frozen=True, slots=True)
class BisectSearch:
    """What the command line said about a bisection."""

    good: str
    bad: str
    words: tuple[str, ...]
    file: Path | None = None
    prepare: tuple[str, ...] = ()
    budget: str = "5m"
    again: bool = False
    store: Path = Path(".perfhunt")


@dataclass(frozen=True, slots=True)
class BisectResult:
    """How a bisection ended, with the subject line of each commit it names."""

    bisected: Bisected
    subjects: dict[str, str]

    def lines(self) -> list[str]:
        """The answer first, then what was judged on the way."""
        first = [
            f"{commit[:12]}  {self.subjects.get(commit, '')}" for commit in self.bisected.first_bad
        ]
        if self.bisected.found:
            head = [f"FIRST SLOWER COMMIT {first[0]}"]
        else:
            head = [
                f"NOT DECIDED: one of these {len(first)} commits is the first slower one",
                *(f"  {line}" for line in first),
            ]
        judged = [
            f"  {word:<5} {commit[:12]}  {self.subjects.get(commit, '')}"
            for commit, word in self.bisected.judged
        ]
        last = (
            "measure longer to tell skipped commits: --budget 15m --again"
            if not self.bisected.found
            else ""
        )
        name = self.bisected.first_bad[0][:12]
        see = f"see what it did: perfhunt verify --base {name}~1 --head {name} -- COMMAND"
        return [*head, "", "judged:", *judged, "", last or see]


class Judgements(MutableMapping[str, halving.CommitLabel]):
    """Judgements by commit, on disk as soon as they are made."""

    def __init__(self, path: Path, fresh: bool = False) -> None:
        """Reads what is there, unless a fresh start is wanted. Raises StoreError for a damaged
        file.
        """
        self._path = path
        self._kept: dict[str, halving.CommitLabel] = {}
        if path.exists() and not fresh:
            try:
                self._kept = {
                    str(k): v
                    for k, v in json.loads(read_text(path)).items()
                    if v in ("good", "bad", "skip")
                }
            except (ValueError, AttributeError) as error:
                raise StoreError(
                    f"{path} cannot be read: {error}", "Start over: perfhunt bisect --again ..."
                ) from error

    def __getitem__(self, commit: str) -> halving.CommitLabel:
        return self._kept[commit]

    def __setitem__(self, commit: str, word: halving.CommitLabel) -> None:
        self._kept[commit] = word
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(self._kept, indent=1) + "\n")

    def __delitem__(self, commit: str) -> None:
        del self._kept[commit]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def hunt(wanted: BisectSearch, *, as_json: bool, quiet: bool) -> BisectResult:
    """The first slower commit. Raises UsageError when the two ends are in the wrong order or BAD is
    not slower.
    """
    budget, repository = budget_of(wanted.budget), find_repository(Path.cwd())
    commits = commits_between(repository, wanted.good, wanted.bad)
    good, bad = repository.resolve(wanted.good), commits[0].id
    question = locally(read_question(wanted.file, Path.cwd(), os.environ))
    analysis = looking_of(VerifyRequest(store=wanted.store, quiet=quiet))
    kept = Judgements(
        wanted.store / "bisect" / f"{_name(good, question, wanted.words)}.json", wanted.again
    )
    with watching(as_json=as_json, quiet=quiet) as watch:
        watch(
            Noted(
                f"{len(commits)} commits: at most {expected_judgements(len(commits)) + 1}"
                " comparisons, if none is skipped"
            )
        )
        jury = Jury(wanted, repository, question, good, budget, analysis, watch)
        if bad not in kept:
            kept[bad] = jury.judge(bad)
        if kept[bad] != "bad":
            said = "no slower" if kept[bad] == "good" else "not told from it"
            raise UsageError(
                f"{wanted.bad} was named bad, and measures {said} against {wanted.good}: there is"
                " nothing to look for",
                "Name ends that differ, or measure longer: --budget 15m --again",
            )
        found = halving.bisect(commits, jury.judge, kept)
    return BisectResult(
        found,
        {
            commit: _subject(repository, commit)
            for commit in {*found.first_bad, *dict(found.judged), bad}
        },
    )


@dataclass(slots=True)
class Jury:
    """Judges commits against the good one; the good one's knee is looked for once."""

    wanted: BisectSearch
    repository: Repository
    question: Question
    good: str
    budget: Seconds
    analysis: AnalysisPlan
    watch: EventWatcher
    asking: verify.PairedQuestion | None = None

    def judge(self, commit: str) -> halving.CommitLabel:
        """Good, bad or skip, by a paired comparison. One that does not start is skipped; only its
        comments differ: it is good.
        """
        self.watch(
            Began("bisect", f"{commit[:12]} {_subject(self.repository, commit)}", self.budget)
        )
        change = read_change(self.repository, self.good, commit)
        if not change.atoms and not change.notes:
            self.watch(
                Noted(
                    f"{commit[:12]} is good: nothing that runs differs from {self.good[:12]}, so"
                    " nothing was measured"
                )
            )
            return "good"
        directory = self.wanted.store / "bisect" / fresh_id()
        try:
            with (
                versions(
                    self.repository, self.good, commit, self.wanted.words, self.wanted.prepare
                ) as commands,
                paired_bench(self.question, commands, directory, self.watch) as pair,
            ):
                word = self._compared(pair)
        except UsageError as error:
            if self.asking is None:
                raise  # the good one does not start either: nothing to do with this commit
            self.watch(Noted(f"skipped: {error.message}"))
            return "skip"
        self.watch(Noted(f"{commit[:12]} is {JUDGED[word]}: {word}"))
        return JUDGED[word]

    def _compared(self, pair: VersionPair) -> Word:
        if self.asking is None:
            self.asking = verify.survey(self.question, pair.bench)
        return verify.verify_paired(self.asking, pair.bench, self.budget, self.analysis).word


def _name(good: str, question: Question, words: tuple[str, ...]) -> str:
    """What judgements belong to: the good commit, the question and the command, as a short hash."""
    text = "\0".join((good, question.fingerprint(), *words))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _subject(repository: Repository, commit: str) -> str:
    return repository.git("log", "-1", "--format=%s", commit, "--").decode(errors="replace").strip()
