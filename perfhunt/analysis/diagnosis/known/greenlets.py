"""Greenlets that no look met: what one waits for is on no thread's stack and in no task, and its
own may not have been found in memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perfhunt.model.finding import Bottleneck, BottleneckClass, Caution, CautionCode
from perfhunt.model.profile import Frame
from perfhunt.model.units import Share

if TYPE_CHECKING:
    from perfhunt.analysis.blame.evidence import Span
    from perfhunt.analysis.blame.reading import SpanReading

HOW_TO_SEE = (
    "serve it with threads for one investigation (gunicorn --worker-class gthread --threads 32),"
    " for what its greenlets waited for was not found in memory"
)
_HUB = re.compile(r"/(?:gevent/hub|eventlet/hubs/hub)\.py$")
# Of the requests that were there, those that no look met, from which that is what is missing.
_MISSING: Share = 0.2


def runs_greenlets(span: Span) -> bool:
    """Whether any look met a thread in the hub of a library of greenlets."""
    return any(
        of_hub(frame)
        for instant in span.instants or ()
        for thread in instant.threads
        for frame in thread.stack
    )


def of_hub(frame: Frame) -> bool:
    """Whether a frame is of the hub of a library of greenlets, which runs them in turn."""
    return bool(_HUB.search(frame.file))


def greenlet_cautions(reading: SpanReading, bottleneck: Bottleneck | None) -> tuple[Caution, ...]:
    """That requests waited where nobody can look, where nothing else explains what was seen."""
    if bottleneck is None or bottleneck.category is not BottleneckClass.UNDETERMINED:
        return ()
    there = reading.span.completed * (reading.span.service or 0.0)
    missing = there - reading.account.busy()
    if missing <= _MISSING * there or not runs_greenlets(reading.span):
        return ()
    return (
        Caution(
            CautionCode.GREENLETS,
            f"Of {there:.1f} requests that were there on average {missing:.1f} waited in"
            " greenlets that were not found in the memory of the process.",
            f"{HOW_TO_SEE[0].upper()}{HOW_TO_SEE[1:]}.",
        ),
    )
