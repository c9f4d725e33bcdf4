"""The public API for scripts and notebooks, as in
`from perfhunt import investigate, smoke, verify, load_run`.

Each function does what the verb of its name does, returns the result, prints nothing, and raises
`perfhunt.errors.PerfhuntError` (with `message`, `hint` and `exit_code`) where the verb would exit.

    >>> from perfhunt import investigate, verify
    >>> run = investigate(port=8000)                                  # doctest: +SKIP
    >>> run.verdict, run.knee, run.bottleneck                         # doctest: +SKIP
    >>> # ... edit one thing, then let both versions be started from git, side by side:
    >>> verify(run, command=["gunicorn", "app:app"]).verdict.word     # doctest: +SKIP
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from perfhunt.errors import UsageError
from perfhunt.jobs.gate.smoke import run_smoke
from perfhunt.jobs.investigate import run_investigation
from perfhunt.jobs.request import InvestigateRequest, profile_policy
from perfhunt.jobs.stored import run as stored
from perfhunt.jobs.verify.request import PROFILE_POLICIES, VerifyRequest, VerifyResult
from perfhunt.jobs.verify.verify import run_verification
from perfhunt.model.profile import ProfilePolicy
from perfhunt.model.run import EventWatcher, Run, unwatched
from perfhunt.model.units import Seconds
from perfhunt.stories.verification import BUDGET

STORE = ".perfhunt"


def investigate(
    *,
    pid: int | None = None,
    port: int | None = None,
    url: str | None = None,
    file: str | PathLike[str] | None = None,
    store: str | PathLike[str] = STORE,
    budget: Seconds | None = None,
    seed: int | None = None,
    quick: bool = False,
    soak: Seconds | None = None,
    command: Sequence[str] = (),
    inside: Sequence[str] = (),
    profile: str = ProfilePolicy.AUTO,
    engine: str | None = None,
    trust_repository: bool = False,
    watch: EventWatcher = unwatched,
) -> Run:
    """The run of one investigation of a service: its knee, what stops it there, the SLO
    judged. It is stored in `store` as well.

    The service is named by `pid` or `port` (else by the test file), the question by `file`
    (default: perfhunt.toml, or [tool.perfhunt] of pyproject.toml, here). `budget` is seconds of
    load for the search; `quick` about a minute of it, and a bracket for the knee; `soak`
    is how long to hold a share of the knee afterwards, to see what grows. `command` starts the
    service, which is ended with the run, and `inside` names tools that it is then started under
    once more ("scalene", "pyinstrument", "tracemalloc", "auto"). `profile` is
    "auto", "required" or "off"; `engine` what makes the load, where it is not to be the test file's
    ("locust", "k6", "vegeta"). `trust_repository` reads a git repository that belongs to another
    user. `watch` gets every event as it happens.

        run = investigate(pid=4242, quick=True)
        print(run.verdict, run.knee.rate if isinstance(run.knee, Knee) else run.knee.reason)

    Raises PerfhuntError: TargetNotFound, QuestionError, UnsafeTarget, TargetBusy, AttachFailed,
    TargetDied, Stopped. Call it from the main thread: it listens for signals while load is on.
    """
    request = InvestigateRequest(
        command=_words("command", command),
        inside=_words("inside", inside),
        pid=pid,
        port=port,
        url=url,
        file=_path(file),
        store=Path(store),
        budget=budget,
        seed=seed,
        quick=quick,
        soak=soak,
        profile=profile_policy(profile),
        engine=engine,
        trust_repository=trust_repository,
    )
    return run_investigation(request, watch)


def smoke(
    *,
    pid: int | None = None,
    port: int | None = None,
    url: str | None = None,
    file: str | PathLike[str] | None = None,
    store: str | PathLike[str] = STORE,
    seed: int | None = None,
    profile: str = ProfilePolicy.AUTO,
    engine: str | None = None,
    trust_repository: bool = False,
    watch: EventWatcher = unwatched,
) -> Run:
    """The run of one smoke of a live service: the SLO judged at one low rate, for the 30 to 60 s
    that its percentiles need, or as [smoke] of the test file asks. It is stored in `store` as well,
    and has no knee.

    Arguments are those of `investigate`; with `profile` "off" a miss is not looked into.

        run = smoke(port=8000)
        print(run.verdict, [f"{j.objective.name}: {j.note}" for j in run.judged])

    Raises PerfhuntError, as `investigate` does. Call it from the main thread.
    """
    request = InvestigateRequest(
        pid=pid,
        port=port,
        url=url,
        file=_path(file),
        store=Path(store),
        seed=seed,
        profile=profile_policy(profile),
        engine=engine,
        trust_repository=trust_repository,
    )
    return run_smoke(request, watch)


def verify(
    run: Run | str = "last",
    *,
    pid: int | None = None,
    port: int | None = None,
    command: Sequence[str] = (),
    base: str = "",
    head: str = "",
    prepare: Sequence[str] = (),
    file: str | PathLike[str] | None = None,
    store: str | PathLike[str] = STORE,
    budget: Seconds = BUDGET,
    quick: bool = False,
    profile: str = ProfilePolicy.AUTO,
    compound: str = "",
    trust_repository: bool = False,
    watch: EventWatcher = unwatched,
) -> VerifyResult:
    """The verdict on the one change since `run` (a Run, its id, or "last"), kept in the store.

    With `command`: both versions are started from git, side by side, each on a $PORT of its own;
    `base` and `head` are revisions (default: what the run measured, and the working tree). Without:
    the service at `pid` or `port`, restarted with the change in it, is asked the run's question
    again. `budget` is seconds for the rounds of a paired comparison; `compound` a reason to
    measure several changes at once; `trust_repository` reads one that belongs to another user.

        result = verify(run, command=["gunicorn", "app:app"], base="HEAD~1")
        print(result.verdict.word, result.verdict.reason)

    Raises PerfhuntError: ChangeRefused when not exactly one thing changed, UsageError,
    QuestionError, and what `investigate` raises. A REVERT is a result, not an error.
    """
    request = VerifyRequest(
        run=run,
        command=_words("command", command),
        pid=pid,
        port=port,
        file=_path(file),
        base=base,
        head=head,
        prepare=_words("prepare", prepare),
        budget=budget,
        quick=quick,
        profile=profile_policy(profile, PROFILE_POLICIES),
        compound=compound,
        store=Path(store),
        trust_repository=trust_repository,
    )
    return run_verification(request, watch)


def load_run(run: str | PathLike[str] = "last", store: str | PathLike[str] = STORE) -> Run:
    """A stored run: by its id, the beginning of one, its directory, or "last" for the newest.

        run = load_run("20261123T043000Z-aaaaaa")
        worst = run.findings[0]

    Raises PerfhuntError: UsageError when none or several match, StoreError when it cannot be read.
    """
    return stored.load_run(str(run), Path(store))


def _words(name: str, words: Sequence[str]) -> tuple[str, ...]:
    """The words of a command. Raises UsageError for a text, which is a sequence of letters."""
    if isinstance(words, str):
        raise UsageError(
            f"{name} is a text, not a list of words", f"Split it: {name}={shlex.split(words)}"
        )
    return tuple(words)


def _path(path: str | PathLike[str] | None) -> Path | None:
    return None if path is None else Path(path)
