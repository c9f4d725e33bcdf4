"""The hot lines of an edit: where in the edited code the samples stand."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter

from perfhunt.analysis.change.packages import belongs
from perfhunt.model.profile import Profile
from perfhunt.model.units import Share
from perfhunt.model.verdict.attribution import HotLine
from perfhunt.model.verdict.change import Atom, Change

# Of all samples: below it nobody changes a line for its cost.
LEAST: Share = 0.005
MOST = 10  # as many annotations as CI shows of a step (docs/ci.md)


def hot_lines(change: Change, after: Profile) -> tuple[HotLine, ...]:
    """Lines of the edited functions, the hottest first, at most MOST: each with the share of all
    samples that stood on it, or called from it. A line counts once in a stack, however deep a
    function calls itself.
    """
    weights: dict[tuple[str, int, str], float] = defaultdict(float)
    for stack, weight in after.stacks.items():
        lines = {
            (atom.file, frame.line, atom.name)
            for frame in stack
            for atom in change.functions
            if frame.line is not None and belongs(frame, atom) and _spans(atom, frame.line)
        }
        for line in lines:
            weights[line] += weight
    total = after.total or 1.0
    hottest = sorted(weights.items(), key=itemgetter(1), reverse=True)[:MOST]
    shares = ((place, weight / total) for place, weight in hottest)
    return tuple(HotLine(*place, share) for place, share in shares if share >= LEAST)


def _spans(atom: Atom, line: int) -> bool:
    """Whether a line lies in what an atom is now: what is gone has none."""
    return atom.after is not None and atom.after[0] <= line <= atom.after[1]
