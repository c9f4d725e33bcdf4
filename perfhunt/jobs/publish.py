"""Reports and pictures of a run that is kept already: into its own directory, and copied to where
CI looks for them. What cannot be written is a caution of the run, and changes no exit code.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from perfhunt.errors import StoreError, Unreadable
from perfhunt.jobs.ci.renderers import as_png
from perfhunt.model.run import Run
from perfhunt.reports.ci.links import links
from perfhunt.reports.format import FOR_CI, FORMATS, Format
from perfhunt.store.copies import copy_into
from perfhunt.store.run_json import write_document
from perfhunt.store.rundir import doubted, write_artifact

STORED = ("html", "markdown", "flamegraph", "speedscope", "junit")
# What a run that no report was tried with may make one raise: it is kept all the same.
UNRENDERED = (
    Unreadable,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)


def publish(
    run: Run,
    directory: Path,
    artifacts: Path | None,
    environ: Mapping[str, str] = os.environ,
) -> Run:
    """The run with its reports written and named in `artifacts`; copies go to the directory
    `artifacts`, if one is given, with what only CI has a use for, pictures as PNG too. `environ`
    says which system of CI this is.
    """
    forms = {name: FORMATS[name] for name in STORED if FORMATS[name].has_something(run)}
    names = {name: form.file_name for name, form in forms.items()}
    whole = replace(run, artifacts={**run.artifacts, **names})
    texts, refused = _rendered(whole, forms.values())
    refused |= _written(texts, directory)
    kept = {name: file for name, file in names.items() if file not in refused}
    run = replace(run, artifacts={**run.artifacts, **kept})
    if refused:
        again = f"perfhunt report {run.id} --format NAME --output FILE"
        run = doubted(run, _sentence("reports are missing", refused), again)
    if artifacts is not None and (refused := _copied(run, texts, artifacts, environ)):
        hint = "Name another directory: --artifacts DIR"
        run = doubted(run, _sentence(f"copies in {artifacts} are missing", refused), hint)
    try:
        write_document(directory, run)
    except StoreError as error:
        run = doubted(run, f"the run is kept, and its list of reports is not: {error.message}")
    return run


def _copied(
    run: Run, texts: Mapping[str, str], artifacts: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """Why the files for CI that were not written were not, by file name."""
    forms = [FORMATS[name] for name in FOR_CI if FORMATS[name].has_something(run)]
    more, refused = _rendered(run, forms)
    files = {**texts, **more}
    comment = FORMATS["comment"].file_name
    if comment in files and (linked := links(environ, str(artifacts), files)):
        files[comment] += f"\n{linked}\n"
    pngs, unmade = as_png({name: text for name, text in files.items() if name.endswith(".svg")})
    return refused | unmade | copy_into(artifacts, {**files, **pngs})


def _rendered(run: Run, forms: Iterable[Format]) -> tuple[dict[str, str], dict[str, str]]:
    """The reports, and why those that could not be rendered could not, by file name."""
    texts, refused = {}, {}
    for form in forms:
        try:
            texts[form.file_name] = form.render(run)
        except UNRENDERED as error:
            refused[form.file_name] = f"{form.file_name} could not be rendered ({error!r})"
    return texts, refused


def _written(texts: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Why the reports that were not written were not, by file name."""
    refused = {}
    for name, text in texts.items():
        try:
            write_artifact(directory, name, text)
        except StoreError as error:
            refused[name] = error.message
    return refused


def _sentence(what: str, refused: Mapping[str, str]) -> str:
    """One sentence for files that were refused, each reason once."""
    reasons = dict.fromkeys(refused.values())
    return f"{what} ({', '.join(refused)}): {'; '.join(reasons)}"
