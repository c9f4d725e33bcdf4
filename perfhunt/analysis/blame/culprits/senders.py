"""Which of the application's functions send answers: those on whose stacks the language's own code
was caught writing to a connection.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from perfhunt.analysis.blame.evidence import Span
from perfhunt.analysis.blame.frames import Code, FunctionKey
from perfhunt.model.profile import Stack

_SENDS = re.compile(r"(?:^|\.)_*(?:send\w*|write\w*|flush|end_headers)$")
# The same in the text of a line: what C does has no frame of its own.
_SENDS_HERE = re.compile(r"\.(?:send\w*|write\w*|flush)\(")


def senders_in(span: Span, code: Code, sources: Mapping[str, str]) -> dict[FunctionKey, float]:
    """Samples by the function that was sending. `sources` are the texts of files by path."""
    lines = {file: text.splitlines() for file, text in sources.items()}
    seen: Counter[Stack] = Counter()
    if span.profile is not None:
        seen.update(span.profile.stacks)
    for instant in span.instants or ():
        seen.update(t.stack for t in instant.threads if t.stack and not t.still)
    sending: Counter[FunctionKey] = Counter()
    for stack, weight in seen.items():
        owner, leaf = code.owner(stack), stack[-1]
        if owner is None or not owner.is_app:
            continue
        there = lines.get(leaf.file, ())
        text = there[leaf.line - 1] if leaf.line and leaf.line <= len(there) else ""
        if _SENDS.search(leaf.function) or _SENDS_HERE.search(text):
            sending[owner.key] += weight
    return dict(sending)
