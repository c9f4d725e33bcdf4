"""What the client sees of the wire: connecting, answers that come in pieces, encodings. Counted
only where a request does more than usual anyway: an answer in one piece costs nothing here.
"""

from __future__ import annotations

import re

from perfhunt.load.wire import WireAccount, step_of
from perfhunt.model.units import Seconds

# A route answers in one encoding or two: after so many heads of a trial the rest are not read.
HEADS_READ = 256
_ENCODING = re.compile(
    rb"^content-encoding[ \t]*:[ \t]*([\w\-, ]{1,60})", re.IGNORECASE | re.MULTILINE
)


class WireCounts:
    """Counts of one trial. Durations are in steps (`perfhunt.load.wire`), each with how often it
    occurred.
    """

    __slots__ = (
        "apart",
        "connects",
        "encodings",
        "head_first",
        "heads",
        "hurried",
        "new",
        "resolution",
        "settle",
    )

    def __init__(self, settle: Seconds = 0.0, resolution: Seconds | None = None) -> None:
        """Requests due before `settle` are sent and do not count; `resolution` is how long the
        host's name took.
        """
        self.settle, self.resolution = settle, resolution
        self.apart: dict[int, int] = {}
        self.hurried: dict[int, int] = {}
        self.connects: dict[int, int] = {}
        self.encodings: set[str] = set()
        self.head_first = self.new = self.heads = 0

    def came_apart(self, due: Seconds, gap: Seconds, head_first: bool) -> None:
        """An answer came in pieces, the last of them `gap` after the first."""
        step = step_of(gap)
        gaps = self.hurried if due < self.settle else self.apart
        gaps[step] = gaps.get(step, 0) + 1
        if head_first and due >= self.settle:
            self.head_first += 1

    def connected(self, due: Seconds, took: Seconds) -> None:
        """A connection stands, for a request that was due at `due`."""
        step = step_of(took)
        self.connects[step] = self.connects.get(step, 0) + 1
        if due >= self.settle:
            self.new += 1

    def read_head(self, head: bytes) -> None:
        """Notes how the body is encoded."""
        if self.heads < HEADS_READ:
            self.heads += 1
            match = _ENCODING.search(head)
            self.encodings.add(match[1].decode().strip().lower() if match else "identity")

    def account(self) -> WireAccount:
        """What was counted, to be sent."""
        return WireAccount(
            apart=self.apart,
            hurried=self.hurried,
            head_first=self.head_first,
            connects=self.connects,
            new=self.new,
            encodings=tuple(sorted(self.encodings)),
            resolution=self.resolution,
        )
