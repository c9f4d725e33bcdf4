"""Processes of one service that do not share its work: connections stay where they were given, and
requests queue in one event loop beside another that rests.
"""

from __future__ import annotations

from collections.abc import Iterator

from perfhunt.analysis.blame.reading import EvidenceReading
from perfhunt.analysis.diagnosis.features import loop_loads
from perfhunt.analysis.diagnosis.known.runtimes import traits_of
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.units import Share, format_share

# Of the time of the busiest loop: from here a request often finds it at work.
_AT_WORK: Share = 0.3
# Of that: with no more a loop has next to nothing, which chance hardly makes of even shares.
_NEXT_TO_NOTHING: Share = 0.1


def uneven(reading: EvidenceReading) -> Iterator[Caution]:
    """A caution where the loop of one process is at work, and that of another rests meanwhile."""
    if not traits_of(reading.evidence.runtime, reading.evidence.version).one_core:
        return
    taken: dict[int, Share] = {}
    for (pid, _), load in loop_loads(reading).items():
        taken[pid] = max(taken.get(pid, 0.0), load.taken)
    # What the busiest one started itself is there for other work.
    parents, most = reading.evidence.parents, max(taken, key=lambda pid: taken[pid], default=0)
    workers = [taken[pid] for pid in taken if parents.get(pid) == parents.get(most)]
    busiest = max(workers, default=0.0)
    resting = [share for share in workers if share <= _NEXT_TO_NOTHING * busiest]
    if busiest < _AT_WORK or not resting:
        return
    some = "one" if len(resting) == 1 else str(len(resting))
    yield Caution(
        CautionCode.UNEVEN,
        f"Of the service's {len(workers)} processes {some} had next to nothing to do"
        f" ({format_share(max(resting))} of the time) while another was at work"
        f" {format_share(busiest)} of it: requests are not spread over them.",
        "Give connections to the processes in turn. Who gives them by the client's address gives"
        " one process all of one client, as this load generator is.",
    )
