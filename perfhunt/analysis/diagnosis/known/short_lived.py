"""CPU of what is gone before anybody looks at it: commands that a service runs for its requests, a
thread that it starts for each.
"""

from __future__ import annotations

from perfhunt.analysis.blame.evidence import Span
from perfhunt.model.states import ThreadState
from perfhunt.model.units import Cores, Share

# Of the CPU that no stack explains, the part that such work must have to be the reason: most of it.
_MOSTLY: Share = 0.5


def short_lived(span: Span, unexplained: Cores) -> str:
    """That most of what stacks do not explain was used by what came and went, as a sentence; ""
    where it was not, or nobody knows: the account of a process has its ended threads and the
    children it waited for, that of its living threads has neither.
    """
    used = span.resources.cpu if span.resources is not None else None
    if used is None or span.states is None:
        return ""
    gone = used - span.states.in_state(ThreadState.ON_CPU)
    if gone <= _MOSTLY * unexplained:
        return ""
    return (
        f"Of the {used:.2f} cores that it used, {gone:.2f} went to processes or threads that ended"
        " before they could be looked at: commands that it runs, or a thread for each request."
    )
