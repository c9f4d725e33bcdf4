"""What a knee costs in seconds of load, before a search and after it (docs/knee.md has the
formula).
"""

from __future__ import annotations

import math

from perfhunt.analysis.knee.curve.fit import KneeFit
from perfhunt.analysis.knee.goal import Goal
from perfhunt.model.trial import Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_duration, format_rate

NARROWER: Share = 0.05  # half-width whose cost a knee's note names
LONGEST: Seconds = 3600.0  # a person waits no longer for it, so nobody is told
HALF_WIDTH_ERRORS = 1.96  # standard errors in half a 95 % interval

# Of slow services, before anything is known of theirs: at so many requests a second and fewer the
# usual budget is short. Dispersion and sharpness are those of a few workers whose times vary.
SLOW: PerSecond = 10.0
USEFUL: Share = 0.25  # half-width of an interval that a person can size a service by
SLOW_PHI, SLOW_SHARPNESS = 16.0, 5.0
ABOVE_FLOOR = 2.0  # times the floor that was found, where the knee usually is
MINUTE: Seconds = 60.0


def load_for(
    half_width: Share, phi: float, knee: PerSecond, sharpness: float, share: Share
) -> Seconds:
    """Seconds of load near the knee for a 95 % interval of so much either side: SE(ln K) = sqrt(phi
    / (share·K·T)) / sharpness.
    """
    errors = HALF_WIDTH_ERRORS / (half_width * sharpness)
    return phi / (share * knee) * errors**2


def cost_of_narrower(fit: KneeFit) -> str:
    """What an interval of ±5 % would take, as a sentence; "" where nobody would wait for it."""
    if fit.half_width <= NARROWER:
        return ""
    seconds = load_for(NARROWER, fit.phi, fit.knee, fit.sharpness, fit.criterion.share)
    if seconds > LONGEST:
        return ""
    return f"for an interval of ±5 % allow about {_minutes(seconds)} of load"


def takes_long(goal: Goal, floor: Trial) -> str:
    """How long a useful interval takes of a service as slow as its floor says, as a sentence; ""
    where the budget pays for it.
    """
    if floor.step.rate >= SLOW:
        return ""
    knee = ABOVE_FLOOR * floor.step.rate
    share = min(criterion.share for criterion in goal.criteria)
    seconds = load_for(USEFUL, SLOW_PHI, knee, SLOW_SHARPNESS, share)
    if seconds <= goal.seconds:
        return ""
    return (
        f"at about {format_rate(knee)} an interval of ±25 % takes about {_minutes(seconds)}: in"
        f" {format_duration(goal.seconds)} expect a wider bracket, or give it a longer --budget"
    )


def _minutes(seconds: Seconds) -> str:
    minutes = max(1, math.ceil(seconds / MINUTE))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{hours} h {rest} min"
