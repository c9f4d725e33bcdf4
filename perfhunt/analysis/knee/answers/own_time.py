"""What of a trial of a locustfile is the locustfile's own: time that its tasks spend in no request,
and failures that no answer shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from perfhunt.model.latency import TaskTime
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from perfhunt.model.units import Share, format_duration

MOSTLY: Share = 0.5  # of a task's time, that it spends in none of its requests


def slow_by_itself(trial: Trial, criteria: Iterable[Criterion]) -> TaskTime | None:
    """The task that takes longer than a limit on average, though its requests take less, and mostly
    by itself; of several the one that took most. None where there is none.
    """
    limits = [c.limit for c in criteria if math.isfinite(c.limit)]
    slow = [
        task
        for task in trial.generator.tasks
        if task.n and task.own > MOSTLY and _between(task, limits)
    ]
    return max(slow, key=lambda task: task.seconds, default=None)


def _between(task: TaskTime, limits: Iterable[float]) -> bool:
    return any(task.asked <= limit * task.n < task.seconds for limit in limits)


def own_words(task: TaskTime) -> str:
    """`U.t takes 512 ms, of which 10 ms in its 2 requests: the rest is the locustfile's own
    (a sleep, a lock?)`.
    """
    takes = f"{task.name} takes {format_duration(task.seconds / task.n)} on average, of which"
    each = task.requests / task.n
    count = f"{each:.3g} request{'' if each == 1 else 's'}"
    asked = (
        f"{format_duration(task.asked / task.n)} in its {count}" if each else "none in a request"
    )
    return f"{takes} {asked}: the rest is the locustfile's own (a sleep, a lock?)"
