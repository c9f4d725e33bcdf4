"""`perfhunt verify`: one change, the same question, a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import typer

from perfhunt.cli.options import (
    STORE,
    AgainstOption,
    AllowBusyOption,
    ArtifactsOption,
    AttributionOption,
    BaseOption,
    CompoundOption,
    ExitZeroOption,
    HeadOption,
    JsonOption,
    PidOption,
    PortOption,
    PrepareOption,
    QuickAgainOption,
    QuietOption,
    RevertOption,
    RoundsBudgetOption,
    RunArgument,
    StoreOption,
    TestFileOption,
    TrustOption,
    UrlOption,
    VerdictPageOption,
)

if TYPE_CHECKING:
    from perfhunt.jobs.verify.request import VerifyResult


def verify(
    context: typer.Context,
    run: RunArgument = "last",
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    base: BaseOption = "",
    head: HeadOption = "",
    prepare: PrepareOption = "",
    budget: RoundsBudgetOption = "14m",
    quick: QuickAgainOption = False,
    profile: AttributionOption = "auto",
    compound: CompoundOption = "",
    revert: RevertOption = False,
    allow_busy: AllowBusyOption = False,
    trust_repository: TrustOption = False,
    against: AgainstOption = None,
    artifacts: ArtifactsOption = None,
    html: VerdictPageOption = None,
    exit_zero_on: ExitZeroOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Check that one thing changed, ask the question again, and give a verdict. With --pid: of a
    service restarted with the change in it. With -- COMMAND: both versions are started from git,
    side by side, each on its own $PORT, which sees smaller changes. Exit code 0: KEEP, NO CHANGE or
    NOT WORTH IT; 90: REVERT; 91: MIXED, INCONCLUSIVE or INVALID; 92: not exactly one change."""
    from perfhunt.cli import console
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.request import duration_of, profile_policy, words_of
    from perfhunt.jobs.verify.request import PROFILE_POLICIES, VerifyRequest
    from perfhunt.jobs.verify.verify import run_verification

    request = VerifyRequest(
        run=run,
        against=against,
        command=tuple(context.obj or ()),
        pid=pid,
        port=port,
        url=url,
        file=file,
        base=base,
        head=head,
        prepare=words_of("--prepare", prepare),
        budget=duration_of("--budget", budget),
        quick=quick,
        profile=profile_policy(profile, PROFILE_POLICIES),
        compound=compound,
        revert=revert,
        allow_busy=allow_busy,
        trust_repository=trust_repository,
        artifacts=artifacts,
        page=html,
        store=store,
    )
    with watching(as_json=as_json, quiet=quiet) as watch:
        result = run_verification(request, watch, console.confirm())
    _leave(result, exit_zero_on, as_json=as_json, quiet=quiet)


def _leave(result: VerifyResult, exit_zero_on: str, *, as_json: bool, quiet: bool) -> NoReturn:
    from perfhunt.cli import advisory

    show(result, as_json=as_json, quiet=quiet)
    advisory.leave(result.verdict.exit_code, advisory=exit_zero_on)


def show(result: VerifyResult, *, as_json: bool, quiet: bool) -> None:
    """Print the verdict, and where it is kept; tell CI."""
    from perfhunt.cli import console
    from perfhunt.cli.view.ci import tell_verdict
    from perfhunt.cli.view.results import show_json, show_lines, verdict_line
    from perfhunt.jobs.verify.keeping import plain
    from perfhunt.reports.verdict_text import verdict_lines
    from perfhunt.store.predictions import VERDICT_FILE

    directory = result.directory
    if as_json:
        show_json("verdict", {**plain(result), "directory": str(directory) if directory else None})
    elif quiet:
        show_lines([verdict_line(result.verdict, result.change.label)])
    else:
        show_lines(
            verdict_lines(result.verdict, result.change, result.attribution, result.prediction)
        )
        if directory is not None and (directory / VERDICT_FILE).exists():
            show_lines(["", f"stored: {console.shown_path(directory / VERDICT_FILE)}"])
    tell_verdict(result.judged)
