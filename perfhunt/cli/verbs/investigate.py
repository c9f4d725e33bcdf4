"""`perfhunt investigate`: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from perfhunt.cli.options import (
    STORE,
    AllowBusyOption,
    ArtifactsOption,
    BindOption,
    EngineOption,
    ExecPrefixOption,
    ExitZeroOption,
    InsideOption,
    JsonOption,
    OpenTargetOption,
    PidOption,
    PortOption,
    ProfileOption,
    QuickOption,
    QuietOption,
    ResumeOption,
    SearchBudgetOption,
    SecretOption,
    SeedOption,
    SoakOption,
    StoreOption,
    TestFileOption,
    TrustOption,
    UrlOption,
    WarmUpOption,
    WideOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from perfhunt.jobs.request import InvestigateRequest


def investigate(
    context: typer.Context,
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    budget: SearchBudgetOption = None,
    quick: QuickOption = False,
    engine: EngineOption = None,
    workers: WorkersOption = 1,
    bind: BindOption = "",
    secret: SecretOption = None,
    seed: SeedOption = None,
    profile: ProfileOption = "auto",
    open_target: OpenTargetOption = False,
    exec_prefix: ExecPrefixOption = "",
    warm_up: WarmUpOption = False,
    soak: SoakOption = None,
    inside: InsideOption = None,
    resume: ResumeOption = None,
    allow_busy: AllowBusyOption = False,
    trust_repository: TrustOption = False,
    artifacts: ArtifactsOption = None,
    exit_zero_on: ExitZeroOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    wide: WideOption = False,
    store: StoreOption = STORE,
) -> None:
    """Find the knee, profile there, say what stops it; with -- COMMAND, of a service that is
    started for that, and ended with it. Exit 0: SLO met; 99: missed; 91: unknown.
    """
    from perfhunt.jobs.request import InvestigateRequest, duration_of, profile_policy

    request = InvestigateRequest(
        command=tuple(context.obj or ()),
        inside=tuple(inside or ()),
        pid=pid,
        port=port,
        url=url,
        file=file,
        store=store,
        artifacts=artifacts,
        workers=workers,
        bind=bind,
        secret=secret,
        budget=duration_of("--budget", budget) if budget else None,
        seed=seed,
        quick=quick,
        profile=profile_policy(profile),
        open_target=open_target,
        exec_prefix=exec_prefix,
        allow_busy=allow_busy,
        trust_repository=trust_repository,
        warm_up=warm_up,
        resume=resume,
        soak=duration_of("--soak", soak) if soak else None,
        engine=engine,
    )
    _run(request, exit_zero_on, as_json=as_json, quiet=quiet, wide=wide)


def _run(
    request: InvestigateRequest, exit_zero_on: str, *, as_json: bool, quiet: bool, wide: bool
) -> None:
    from perfhunt.cli import advisory, console
    from perfhunt.cli.view import results, watchers
    from perfhunt.jobs.investigate import run_investigation

    with watchers.watching(as_json=as_json, quiet=quiet) as watch:
        run = run_investigation(request, watch, console.confirm())
    results.show_run(run, request.store, as_json=as_json, quiet=quiet, wide=wide)
    advisory.leave(run.exit_code, advisory=exit_zero_on)
