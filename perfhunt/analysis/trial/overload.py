"""When a step has already failed: a sentence from its second-rows, early enough that the load can
come off at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from perfhunt.model.trial import SecondRow
from perfhunt.model.units import (
    PerSecond,
    Seconds,
    Share,
    format_duration,
    format_rate,
    format_share,
)

WINDOW = 2  # seconds looked at: one alone may be a pause of the service that it recovers from
# Times rate x limit in flight: with everybody exactly at the limit it is 1, and a wobble above that
# is no overload.
FACTOR = 1.5
SLACK = 5.0  # requests always allowed: at low rates one slow request is not a queue
FAILURES = 5  # fewer than this in the window prove nothing, whatever their share
FAILED: Share = 0.05  # of the answers: a service that refuses one in twenty is no longer serving
STAND_IN: Seconds = 2.0  # for criteria that set no latency limit


def overload(
    rows: Sequence[SecondRow], rate: PerSecond, limit: Seconds, errors: Share = FAILED
) -> str:
    """Why the step is beyond what the service holds, as a sentence; "" while it is not.

    `rows` are the whole seconds so far, `rate` the offered rate, `limit` the largest finite latency
    limit of the criteria (infinite: 2 s stands in). Little's law: in flight = rate x response, so a
    mean of more than 1.5 x rate x limit in flight over two seconds says that everybody waits longer
    than the limit. Also more than `errors` of the answers failed.
    """
    if len(rows) < WINDOW:
        return ""
    last = rows[-WINDOW:]
    in_flight = sum(row.in_flight for row in last) / WINDOW
    limit = limit if math.isfinite(limit) else STAND_IN
    allowed = FACTOR * rate * limit + SLACK
    if in_flight > allowed:
        return (
            f"{in_flight:.0f} requests in flight at {format_rate(rate)}, more than {allowed:.0f}: "
            f"answers take longer than {format_duration(FACTOR * limit)} on average"
        )
    failed = sum(row.failed + row.shed for row in last)
    ended = sum(max(row.done, row.failed) + row.shed for row in last)
    if failed >= FAILURES and failed > errors * ended:
        return (
            f"{failed} of {ended} requests ({format_share(failed / ended)})"
            f" failed within {WINDOW} s at {format_rate(rate)}"
        )
    return ""
