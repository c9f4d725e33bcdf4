"""The texts of the target's code that the diagnosis reads."""

from __future__ import annotations

import os
from dataclasses import replace

from perfhunt.analysis.blame.evidence import Evidence
from perfhunt.analysis.blame.reading import application_files, files_of
from perfhunt.analysis.diagnosis.diagnosis import failures_there
from perfhunt.analysis.knee.answers.failures import TURNED_AWAY
from perfhunt.analysis.knee.goal import SearchResult
from perfhunt.model.run import TargetProcess
from perfhunt.target.code.imported import imported
from perfhunt.target.code.sources import SourceTexts, sources

# Beyond it uvicorn answers 503 (https://www.uvicorn.org/settings/#resource-limits).
_REFUSING = frozenset({"--limit-concurrency"})


def with_sources(
    evidence: Evidence, target: TargetProcess, climb: SearchResult, texts: SourceTexts = sources
) -> Evidence:
    """The evidence with the texts of the files that were met; where requests are turned away, of
    those that they import, too, where its files are ours to read: who does that is read there.
    """
    met = files_of(evidence)
    evidence = replace(evidence, sources=texts(target, met))
    failures = failures_there(evidence, climb)
    if failures is None or failures.status not in TURNED_AWAY:
        return evidence
    unread = dict.fromkeys(file for file in met - {*evidence.sources} if os.path.isabs(file))
    others: dict[str, str | None] = {}
    if texts is sources:
        others |= imported(target, evidence.sources, application_files(evidence))
    words = [word.partition("=")[0] for p in target.processes for word in p.cmdline]
    return replace(
        evidence,
        imported={**others, **unread},
        server_limits=tuple(sorted(_REFUSING & {*words})),
    )
