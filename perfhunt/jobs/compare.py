"""Two stored runs compared: a verdict without a measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec

from perfhunt.analysis.verdict.rerun import compare
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs.stored.run import host_noise, load_run
from perfhunt.jobs.verify.attribution import difference_picture, profiles_of
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.run import EventWatcher, Run, unwatched
from perfhunt.model.verdict.verdict import Verdict
from perfhunt.reports.format import page_of_change
from perfhunt.reports.html.compared import BeforeAfter
from perfhunt.store.files import write_atomic

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """Two runs, by id, beginning of an id, or directory. `flamegraph` takes a differential flame
    graph (SVG), `page` the report of the second beside the first (HTML).
    """

    before: str
    after: str = "last"
    flamegraph: Path | None = None
    page: Path | None = None
    store: Path = Path(".perfhunt")


@dataclass(frozen=True, slots=True)
class CompareResult:
    """The two runs and the verdict on the second."""

    before: Run
    after: Run
    verdict: Verdict


def run_comparison(request: CompareRequest, watch: EventWatcher = unwatched) -> CompareResult:
    """The verdict on two stored runs. What else than the code differed is not checked.

    Raises UsageError when they are one run, were asked different questions, or have no profile of
    the same kind for a flame graph that was asked for.
    """
    before, after = (load_run(name, request.store) for name in (request.before, request.after))
    if before.id == after.id:
        raise UsageError(
            f"{request.before} and {request.after} are one run, {before.id}",
            "Name the one before: perfhunt compare A B; the runs: perfhunt history",
        )
    calibration = host_noise(request.store, watch)
    verdict = compare(before, after, calibration)
    if isinstance(verdict, tuple):
        unlike = "\n".join(f"  {difference}" for difference in verdict)
        raise UsageError(
            f"{before.id} and {after.id} were asked different questions:\n{unlike}",
            "Ask one of them again: perfhunt investigate",
        )
    if request.flamegraph is not None:
        verdict = _written(verdict, "flame graph", _draw, before, after, request.flamegraph)
    if request.page is not None:
        page = page_of_change(after, BeforeAfter(before, verdict))
        verdict = _written(verdict, "page", write_atomic, request.page, page)
    return CompareResult(before, after, verdict)


def _written(
    verdict: Verdict, what: str, write: Callable[P, object], *args: P.args, **named: P.kwargs
) -> Verdict:
    """The verdict, with a caution where a disk refused what else was asked for."""
    try:
        write(*args, **named)
    except StoreError as error:
        missing = Caution(CautionCode.NOT_KEPT, f"no {what}: {error.message}", error.hint)
        return replace(verdict, cautions=(*verdict.cautions, missing))
    return verdict


def _draw(before: Run, after: Run, path: Path) -> None:
    title = f"{before.id} to {after.id}"
    picture = difference_picture(profiles_of(before), profiles_of(after), title)
    if not picture:
        raise UsageError("the two runs have no profile of the same kind", "Leave --flamegraph out.")
    write_atomic(path, picture)
