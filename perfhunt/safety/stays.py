"""Traffic that wants to leave: the load child lets none of it go, and a run of little else ends."""

from __future__ import annotations

from perfhunt.errors import UnsafeTarget
from perfhunt.model.trial import Trial
from perfhunt.model.units import Share

MOSTLY: Share = 0.5  # of a trial's requests: then it says nothing of the target
PLACES = 3  # by name


def require_cleared(trial: Trial) -> None:
    """Raises UnsafeTarget for a trial whose requests mostly lead to where load was not cleared
    for.
    """
    away = trial.outcomes.get("not_cleared", 0)
    if not away or away < MOSTLY * trial.n:
        return
    places = ", ".join([*trial.generator.refused][:PLACES]) or "another place"
    raise UnsafeTarget(
        f"{away} of {trial.n} requests lead to {places}, where load was not cleared for: none of"
        " them was sent there",
        "Let the traffic not go there, or follow no redirect; or aim target.url at it, and clear it"
        " in [safety] allow_hosts.",
    )
