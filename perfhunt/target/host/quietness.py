"""Whether this host is quiet enough to measure on: watched for some seconds, without load."""

from __future__ import annotations

import time

from perfhunt.model.trial import Interference
from perfhunt.model.units import Seconds, Share, format_share
from perfhunt.target.host.check import Check, ok, warn
from perfhunt.target.host.interference import InterferenceMonitor

NAME = "host is quiet"
WATCHED: Seconds = 10.0  # other work that comes once a minute is missed; more nobody waits for
# Of the host's cores, taken by other work: a machine that only keeps house takes a hundredth.
BUSY: Share = 0.05
STOLEN: Share = 0.05  # of the host's time, by the hypervisor: a hundredth is usual


def quietness(root: int = 0, seconds: Seconds = WATCHED) -> Check:
    """What other work took of this host while it was watched. `root`: the first process of a
    target, whose own use is not other work's.
    """
    monitor = InterferenceMonitor(root)
    try:
        monitor.start()
        time.sleep(seconds)
        seen = monitor.take()
    finally:
        monitor.close()
    return expected(seen)


def expected(seen: Interference) -> Check:
    """What to expect of knees that are measured on a host that was seen so."""
    if seen.others is None or not seen.cores:
        return warn(
            NAME,
            "this host does not tell who uses its CPU (no /proc/stat)",
            "Where it can be seen: mount /proc with the host's cores",
        )
    taken, names = seen.others / seen.cores, ", ".join(each.name for each in seen.busiest)
    by = f" by {names}" if names else ""
    sentence = f"other work took {seen.others:.2f} of {seen.cores:g} cores{by}{_clock(seen)}"
    if taken > BUSY:
        return warn(
            NAME,
            f"{sentence}: knees will be those of the busy host, or take longer",
            "Stop it, or measure on a host of its own",
        )
    if seen.steal is not None and seen.steal > STOLEN:
        return warn(
            NAME,
            f"the hypervisor gave {format_share(seen.steal)} of this host's time to others"
            f"{_clock(seen)}",
            "Use a machine whose cores are its own, or measure when the others are quiet",
        )
    return ok(NAME, f"{sentence}, in {seen.seconds:.0f} s")


def _clock(seen: Interference) -> str:
    """How far the slowest tenth of the readings of a core's speed lay below the median."""
    if not seen.speed or seen.speed_worst is None:
        return ""
    return f"; a core's speed varied by {format_share(1 - seen.speed_worst / seen.speed)}"
