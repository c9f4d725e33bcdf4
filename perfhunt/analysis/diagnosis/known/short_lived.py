"""CPU of what is gone before anybody looks at it: commands that a service runs for its requests."""

from __future__ import annotations

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.reading import on_cpu, used_by_commands
from perfhunt.model.units import Cores, Share

# Of the CPU that no stack explains, the part that such work must have to be the reason: most of it.
_MOSTLY: Share = 0.5


def short_lived(span: Span, unexplained: Cores) -> str:
    """That most of what stacks do not explain was used by what came and went, as a sentence; ""
    where it was not, or nobody knows.
    """
    gone, used = used_by_commands(span), on_cpu(span)
    if used is None or gone <= _MOSTLY * unexplained:
        return ""
    return (
        f"Of the {used:.2f} cores that it used, {gone:.2f} went to processes that ended before they"
        " could be looked at, such as commands that it runs."
    )
