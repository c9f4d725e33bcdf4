"""What a verification is asked, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from perfhunt.jobs.verify.edit_patch import EditPatch
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.run import Run
from perfhunt.model.units import Seconds
from perfhunt.model.verdict.attribution import Attribution
from perfhunt.model.verdict.change import OneChange
from perfhunt.model.verdict.prediction import PredictionScore
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports.ci.judged_change import JudgedChange
from perfhunt.stories.verification import BUDGET

# What a verification can do about profiles: it cannot insist on them, the verdict stands without.
PROFILE_POLICIES = (ProfilePolicy.AUTO, ProfilePolicy.OFF)


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """What to verify: with `command`, both versions started from git; without, a service that was
    restarted with the change in it.

    `run` is what to compare with: a run, its id, the beginning of one, a directory, or "last";
    `against` a packed one instead.
    `budget` is for the rounds of a paired comparison; `compound` a reason to measure several
    changes at once.
    """

    run: str | Run = "last"
    against: Path | None = None
    command: tuple[str, ...] = ()
    pid: int | None = None
    port: int | None = None
    url: str | None = None
    file: Path | None = None
    base: str = ""
    head: str = ""
    prepare: tuple[str, ...] = ()
    budget: Seconds = BUDGET
    quick: bool = False
    profile: ProfilePolicy = ProfilePolicy.AUTO
    compound: str = ""
    revert: bool = False
    allow_busy: bool = False
    store: Path = Path(".perfhunt")
    trust_repository: bool = False
    artifacts: Path | None = None
    page: Path | None = None  # the page of the verdict (HTML), here too


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """A verdict with what it is about, and where it is kept (None: nothing was measured).
    `prediction` is how the stored one for the edited code did, where there was one. `target` is
    what the service is called; `runs` the one before and the one after, where the verdict is on
    two.
    """

    verdict: Verdict
    change: OneChange
    patch: EditPatch
    directory: Path | None = None
    attribution: Attribution | None = None
    prediction: PredictionScore | None = None
    target: str = ""
    runs: tuple[Run, Run] | None = None

    @property
    def judged(self) -> JudgedChange:
        """The verdict as reports show it."""
        return JudgedChange(
            target=self.target,
            id=self.directory.name if self.directory is not None else "",
            verdict=self.verdict,
            change=self.change,
            attribution=self.attribution,
            prediction=self.prediction,
        )
