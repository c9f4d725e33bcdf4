"""`perfhunt compare`: the verdict on two stored runs."""

from __future__ import annotations

from perfhunt.cli.options import (
    STORE,
    AfterArgument,
    BeforeArgument,
    ComparedPageOption,
    DifferenceOption,
    ExitZeroOption,
    OneObjectOption,
    QuietOption,
    StoreOption,
)


def compare(
    before: BeforeArgument,
    after: AfterArgument = "last",
    flamegraph: DifferenceOption = None,
    page: ComparedPageOption = None,
    exit_zero_on: ExitZeroOption = "",
    as_json: OneObjectOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Compare two stored runs; measures nothing. Two runs that were asked different questions are
    refused (exit code 2).

    Exit code 0: not worse; 90: worse; 91: cannot be told. What else than the code differed is not
    checked: `verify` does that.
    """
    from perfhunt.cli import advisory
    from perfhunt.cli.view.ci import tell_verdict
    from perfhunt.cli.view.results import show_json, show_lines, verdict_line
    from perfhunt.cli.view.watchers import notes
    from perfhunt.jobs.compare import CompareRequest, run_comparison
    from perfhunt.model.document.writing import verdict_document
    from perfhunt.model.run import unwatched
    from perfhunt.reports.ci.judged_change import JudgedChange
    from perfhunt.reports.verdict_text import verdict_lines

    request = CompareRequest(
        before=before, after=after, flamegraph=flamegraph, page=page, store=store
    )
    result = run_comparison(request, unwatched if quiet else notes)
    verdict = result.verdict
    if as_json:
        fields = {
            "before": result.before.id,
            "after": result.after.id,
            "word": str(verdict.word),
            "exit_code": int(verdict.exit_code),
            "verdict": verdict_document(verdict),
        }
        show_json("verdict", fields)
    elif quiet:
        show_lines([verdict_line(verdict)])
    else:
        title = f"{result.before.id} -> {result.after.id}"
        show_lines([title, "", *verdict_lines(verdict)])
    tell_verdict(JudgedChange.of_run(result.after, verdict))
    advisory.leave(verdict.exit_code, advisory=exit_zero_on)
