"""`perfhunt nightly`: the whole search, a soak, and a word on what became of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli.options import (
    STORE,
    AgainstOption,
    ArtifactsOption,
    BaselineArgument,
    EngineOption,
    ExitZeroOption,
    JsonOption,
    OpenTargetOption,
    PidOption,
    PortOption,
    ProfileOption,
    QuietOption,
    SearchBudgetOption,
    SeedOption,
    StoreOption,
    TestFileOption,
    TrustOption,
    UrlOption,
    WarmUpOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from pathlib import Path

    from perfhunt.jobs.gate.nightly import NightlyResult


def nightly(
    baseline: BaselineArgument = "",
    pid: PidOption = None,
    port: PortOption = None,
    url: UrlOption = None,
    file: TestFileOption = None,
    against: AgainstOption = None,
    soak: Annotated[
        str, typer.Option("--soak", help="How long to hold a share of the knee afterwards.")
    ] = "30m",
    budget: SearchBudgetOption = None,
    engine: EngineOption = None,
    workers: WorkersOption = 1,
    seed: SeedOption = None,
    profile: ProfileOption = "auto",
    open_target: OpenTargetOption = False,
    warm_up: WarmUpOption = False,
    trust_repository: TrustOption = False,
    artifacts: ArtifactsOption = None,
    exit_zero_on: ExitZeroOption = "",
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Investigate, soak, and compare with the baseline, on an environment that serves nobody else:
    production is refused. Exit code 99: SLO missed; 90: worse than the baseline; 91: one of them
    not known; 0: neither.
    """
    from perfhunt.cli import advisory
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.gate.nightly import NightlyRequest, run_nightly
    from perfhunt.jobs.request import InvestigateRequest, duration_of, profile_policy

    asked = InvestigateRequest(
        pid=pid,
        port=port,
        url=url,
        file=file,
        store=store,
        artifacts=artifacts,
        workers=workers,
        budget=duration_of("--budget", budget) if budget else None,
        seed=seed,
        profile=profile_policy(profile),
        open_target=open_target,
        warm_up=warm_up,
        trust_repository=trust_repository,
        soak=duration_of("--soak", soak),
        engine=engine,
    )
    request = NightlyRequest(asked, baseline, against)
    with watching(as_json=as_json, quiet=quiet) as watch:
        result = run_nightly(request, watch)
    show(result, store, as_json=as_json, quiet=quiet)
    advisory.leave(*result.exit_codes, advisory=exit_zero_on)


def show(result: NightlyResult, store: Path, *, as_json: bool, quiet: bool) -> None:
    """Print how the run ended, and the verdict on it where there was a baseline; tell CI."""
    from perfhunt.cli.view.ci import tell_verdict
    from perfhunt.cli.view.results import show_json, show_lines, show_run, verdict_line
    from perfhunt.model.document.writing import verdict_document
    from perfhunt.reports.verdict_text import verdict_lines

    show_run(result.run, store, as_json=as_json, quiet=quiet)
    verdict, baseline, judged = result.verdict, result.baseline, result.judged
    if verdict is None or baseline is None or judged is None:
        return
    title = f"{baseline.id} -> {result.run.id}"
    if as_json:
        fields = {
            "before": baseline.id,
            "after": result.run.id,
            "word": str(verdict.word),
            "exit_code": result.exit_codes[0],
            "verdict": verdict_document(verdict),
        }
        show_json("verdict", fields)
    elif quiet:
        show_lines([verdict_line(verdict, title)])
    else:
        show_lines(["", title, "", *verdict_lines(verdict)])
    tell_verdict(judged)
