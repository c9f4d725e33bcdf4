"""`perfhunt smoke`: is the SLO met at a low rate? Within a minute, for every change."""

from __future__ import annotations

from perfhunt.cli.options import (
    STORE,
    AllowBusyOption,
    ArtifactsOption,
    EngineOption,
    ExitZeroOption,
    JsonOption,
    OpenTargetOption,
    PidOption,
    PortOption,
    ProfileOption,
    QuietOption,
    SeedOption,
    StoreOption,
    TestFileOption,
    TrustOption,
    UrlOption,
)


def smoke(
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    engine: EngineOption = None,
    seed: SeedOption = None,
    profile: ProfileOption = "auto",
    open_target: OpenTargetOption = False,
    allow_busy: AllowBusyOption = False,
    trust_repository: TrustOption = False,
    artifacts: ArtifactsOption = None,
    exit_zero_on: ExitZeroOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Ask the SLO at one low rate for 30 to 60 s; profile the service there only when it misses.
    How long goes by the requests that its tightest percentile needs at that rate (p99: 368), and is
    said first. [smoke] of the test file sets rate and duration. Exit code 0: met; 99: missed; 91:
    too little was seen to say.
    """
    from perfhunt.cli import advisory, console
    from perfhunt.cli.view.results import show_run
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.gate.smoke import run_smoke
    from perfhunt.jobs.request import InvestigateRequest, profile_policy

    request = InvestigateRequest(
        pid=pid,
        port=port,
        url=url,
        file=file,
        store=store,
        artifacts=artifacts,
        seed=seed,
        profile=profile_policy(profile),
        open_target=open_target,
        allow_busy=allow_busy,
        trust_repository=trust_repository,
        engine=engine,
    )
    with watching(as_json=as_json, quiet=quiet) as watch:
        run = run_smoke(request, watch, console.confirm())
    show_run(run, store, as_json=as_json, quiet=quiet)
    advisory.leave(run.exit_code, advisory=exit_zero_on)
