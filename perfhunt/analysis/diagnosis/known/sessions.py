"""Sessions that ended in the middle of a run: what was answered as it should be is 401 from then
on, at any load.
"""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.trial import Trial

_UNAUTHORIZED = 401  # RFC 9110, 15.5.2


def session_cautions(trials: Sequence[Trial]) -> tuple[Caution, ...]:
    """That sessions ended, where answers became 401 and never ceased to be. A service that refuses
    them under too much load only, or did so from the first trial on, is another matter.
    """
    answered = [trial for trial in trials if any(r.statuses for r in trial.routes.values())]
    counts = [_refused(trial) for trial in answered]
    first = next((n for n, count in enumerate(counts) if count), 0)
    if not first or not all(counts[first:]):
        return ()
    return (
        Caution(
            CautionCode.SESSION_ENDED,
            f"From trial {first + 1} of {len(answered)} on, answers were 401, {sum(counts):,} in"
            " all, and none before: a token or a session ended in the middle of the run.",
            "Let it live longer than the run, or shorten the run ([ramp] budget), then run again.",
        ),
    )


def _refused(trial: Trial) -> int:
    """Answers that were 401 where they should not have been."""
    return sum(
        route.statuses.get(_UNAUTHORIZED, 0)
        for route in trial.routes.values()
        if route.outcomes.get("status")
    )
