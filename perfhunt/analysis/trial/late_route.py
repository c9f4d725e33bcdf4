"""Which route the late requests are of, where it is one of several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from perfhunt.model.latency import Latency
from perfhunt.model.trial import Trial
from perfhunt.model.units import Seconds, Share

# Of the late requests, from which they are one route's. What is kept of a route's latency are
# percentiles, so its late requests are counted from below.
NEARLY_ALL: Share = 0.8
# The share of a route that is at least late when the percentile is beyond the limit.
AT_LEAST = ((0.5, 0.5), (0.9, 0.1), (0.95, 0.05), (0.99, 0.01))


def late_route(trials: Iterable[Trial], limit: Seconds) -> str:
    """The route that nearly all requests over the limit are of; "" with a single route, or where
    several are late.
    """
    late: Counter[str] = Counter()
    routes: set[str] = set()
    for trial in trials:
        routes |= trial.routes.keys()
        for name, route in trial.routes.items():
            late[name] += round(route.response.n * _least_late(route.response, limit))
    if len(routes) < 2 or not late.total():
        return ""
    name, most = late.most_common(1)[0]
    return name if most >= NEARLY_ALL * late.total() else ""


def _least_late(latency: Latency, limit: Seconds) -> Share:
    for percentile, share in AT_LEAST:
        value = latency.at(percentile)
        if value is not None and value > limit:
            return share
    return 0.0
