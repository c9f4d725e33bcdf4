"""Where the runtime keeps its interpreters, which from 3.12 on may each have a GIL of their own."""

from __future__ import annotations

from itertools import pairwise

from perfhunt.profilers.cpython.layouts.layout import InterpreterLayout, Offset
from perfhunt.profilers.cpython.layouts.search import RUNTIME, OffsetSearch
from perfhunt.target.proc.memory import WORD

_STATE = 1 << 13  # words of an interpreter's state that are searched; the link stands in its front
_SEVERAL = 3  # interpreters of the specimen: two of them lead to another


class InterpreterSearch(OffsetSearch):
    """Learns from the interpreters that the specimen made."""

    def interpreters(self, main_threads: Offset) -> InterpreterLayout | None:
        """The list of interpreters; None for a build that makes no more than one. `main_threads` is
        where, from the runtime, the main interpreter has the first of its threads.
        """
        every, main = self.facts["interpreters"], self.facts["main_interpreter"]
        runtime = self.facts["runtime"]
        if len(every) < _SEVERAL:
            return None
        # The newest stands beside the main one (pycore_runtime.h, struct pyinterpreters).
        words = dict(self.words(runtime, RUNTIME))
        heads = [
            at for at, word in words.items() if word == every[0] and words.get(at + WORD) == main
        ]
        links: set[int] | None = None
        for one, following in pairwise(every):
            here = {offset for offset, word in self.words(one, _STATE) if word == following}
            links = here if links is None else links & here
        threads = runtime + main_threads - main
        if not (heads and links and threads > 0):
            return None
        return InterpreterLayout(head=heads[0], next=min(links), threads=threads)

    def collecting(self) -> Offset | None:
        """Where, from the runtime, the main interpreter tells that it collects garbage: the one
        word that did so whenever the specimen collected. None where there are none, or several.
        """
        told = self.facts["collecting"]
        begins = self.facts["main_interpreter"] - self.facts["runtime"]
        return begins + told[0] if len(told) == 1 else None
