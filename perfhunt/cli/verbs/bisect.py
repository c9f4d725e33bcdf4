"""`perfhunt bisect`: the first commit that made a service slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perfhunt.cli.options import (
    STORE,
    JsonOption,
    PrepareOption,
    QuietOption,
    StoreOption,
    TestFileOption,
    TrustOption,
)

if TYPE_CHECKING:
    from perfhunt.jobs.bisect import BisectResult


def bisect(
    context: typer.Context,
    good: Annotated[str, typer.Argument(metavar="GOOD", help="A revision that was fast enough.")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="A later one that is slower.")] = "HEAD",
    file: TestFileOption = None,
    prepare: PrepareOption = "",
    trust_repository: TrustOption = False,
    budget: Annotated[
        str, typer.Option("--budget", help="Time for each comparison with GOOD.")
    ] = "5m",
    again: Annotated[
        bool, typer.Option("--again", help="Forget the judgements of an earlier bisection.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    store: StoreOption = STORE,
) -> None:
    """Find the first commit that is slower than GOOD, by halving: each candidate is measured side
    by side with GOOD.

    KEEP, NO CHANGE and NOT WORTH IT count as good, REVERT as bad; the rest is skipped. Judgements
    are kept, so that a bisection that was stopped goes on. Exit code 0: found; 91: skipped commits
    hide which of several it is.
    """
    from perfhunt.cli.view.watchers import watching
    from perfhunt.jobs.bisect import BisectRequest, run_bisection
    from perfhunt.jobs.request import duration_of, words_of

    request = BisectRequest(
        good=good,
        bad=bad,
        command=tuple(context.obj or ()),
        file=file,
        prepare=words_of("--prepare", prepare),
        budget=duration_of("--budget", budget),
        again=again,
        trust_repository=trust_repository,
        store=store,
    )
    with watching(as_json=as_json, quiet=quiet) as watch:
        result = run_bisection(request, watch)
    show(result, as_json=as_json, quiet=quiet)
    raise typer.Exit(int(result.exit_code))


def show(result: BisectResult, *, as_json: bool, quiet: bool) -> None:
    """Print which commit it was, and what was judged on the way."""
    from perfhunt.cli.view.results import show_json, show_lines

    if as_json:
        fields = {
            "first_bad": list(result.bisected.first_bad),
            "judged": dict(result.bisected.judged),
            "exit_code": int(result.exit_code),
        }
        show_json("bisected", fields)
    else:
        show_lines(bisection_lines(result)[: 1 if quiet else None])


def bisection_lines(result: BisectResult) -> list[str]:
    """The answer first, then what was judged on the way, then what to do next."""
    bisected = result.bisected
    judged = [f"  {label:<5} {_named(result, commit)}" for commit, label in bisected.judged]
    return [*_answer(result), "", "judged:", *judged, "", _next_step(result)]


def _answer(result: BisectResult) -> list[str]:
    suspects = [_named(result, commit) for commit in result.bisected.first_bad]
    if result.bisected.found:
        return [f"FIRST SLOWER COMMIT {suspects[0]}"]
    head = f"NOT DECIDED: one of these {len(suspects)} commits is the first slower one"
    return [head, *(f"  {suspect}" for suspect in suspects)]


def _named(result: BisectResult, commit: str) -> str:
    from perfhunt.jobs.bisect import SHORT

    return f"{commit[:SHORT]}  {result.subjects.get(commit, '')}"


def _next_step(result: BisectResult) -> str:
    from perfhunt.jobs.bisect import SHORT

    if not result.bisected.found:
        return "measure longer to tell skipped commits: --budget 15m --again"
    name = result.bisected.first_bad[0][:SHORT]
    return f"see what it did: perfhunt verify --base {name}~1 --head {name} -- COMMAND"
