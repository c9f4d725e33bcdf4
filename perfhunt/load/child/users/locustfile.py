"""A user's own locustfile: its classes and tasks as they are, run one task at a time instead of in
Locust's endless loop.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from locust import User
from locust.env import Environment
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopUser,
)
from locust.user.task import (
    LOCUST_STATE_RUNNING,
    LOCUST_STATE_STOPPING,
    DefaultTaskSet,
    TaskSet,
    filter_tasks_by_tags,
)
from locust.util.load_locustfile import load_locustfile

from perfhunt.errors import TrafficError
from perfhunt.model.testfile.strict import did_you_mean
from perfhunt.model.text.error_words import error_words

MOST_LEFT = 100  # task sets one after another that ask for nothing: Locust itself would never end
_HINT = "Its own words: python PATH, or [report] keep_error_text = true, which keeps them."


@dataclass(frozen=True, slots=True)
class UserTask:
    """One task of one class of users: what an arrival does. `body` is its function or task set,
    `weight` its share of the traffic.
    """

    name: str
    user: type[Any]
    body: Any
    weight: float


def import_locustfile(
    path: str, keep_text: bool = False
) -> tuple[dict[str, type[Any]], Sequence[Any]]:
    """The classes of users of a locustfile, and its load shapes. Raises TrafficError with the type
    and the place of what it raised, and its text when that is to be kept.
    """
    try:
        return load_locustfile(str(Path(path).resolve()))
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        said = error_words(error, keep_text)
        raise TrafficError(f"{path} cannot be imported: {said}", _HINT) from None


def tasks_of(
    classes: Mapping[str, type[Any]], wanted: Sequence[str], options: Any, url: str
) -> tuple[UserTask, ...]:
    """The tasks of the classes that are `wanted` (none: of all), those that the options' tags leave
    out aside, aimed at `url`. Raises TrafficError where there are none.
    """
    for name in wanted:
        if name not in classes:
            advice = did_you_mean(name, [*classes])
            raise TrafficError(
                f"[locust] classes: the locustfile has no user class {name!r}", advice
            )
    tags, excluded = (
        set(given) if given else None for given in (options.tags, options.exclude_tags)
    )
    tasks: list[UserTask] = []
    for name in wanted or classes:
        if tags or excluded:
            filter_tasks_by_tags(classes[name], tags, excluded)
        tasks += _tasks_of(classes[name], url)
    if not tasks:
        tagged = ": its tags leave out every task" if tags or excluded else ""
        raise TrafficError(f"the locustfile defines no user class with tasks{tagged}")
    return tuple(tasks)


def remarks_on(users: Collection[type[Any]], shapes: Sequence[Any], *, closed: bool) -> list[str]:
    """What Locust itself would do with these and a run here does not, as sentences without a
    stop.
    """
    remarks = []
    waiting = sorted(cls.__name__ for cls in users if cls.wait_time is not User.wait_time)
    if waiting and not closed:
        remarks.append(
            f"the wait_time of {', '.join(waiting)} is not used: the rate decides when a task"
            ' begins ([ramp] loop = "closed" has users that wait)'
        )
    if fixed := sorted(cls.__name__ for cls in users if cls.fixed_count and not closed):
        remarks.append(
            f"the fixed_count of {', '.join(fixed)} is not used: tasks come by weight, and as many"
            " users as they need"
        )
    if shapes:
        names = ", ".join(type(shape).__name__ for shape in shapes)
        remarks.append(f"the load shape {names} is not used: the search decides the rate")
    return remarks


def _tasks_of(cls: Any, url: str) -> Iterator[UserTask]:
    cls.host = _aimed(cls.host, url)
    bodies: list[Any] = list(cls.tasks)  # each as often as it weighs
    several: list[Any] = []
    for body in bodies:
        if not any(body is other for other in several):
            several.append(body)
    names: Counter[str] = Counter()
    for body in several:
        name = f"{cls.__name__}.{_name_of(body)}"
        names[name] += 1
        yield UserTask(
            name=name if names[name] == 1 else f"{name} ({names[name]})",
            user=cls,
            body=body,
            weight=cls.weight * sum(body is other for other in bodies) / len(bodies),
        )


def _aimed(own: Any, url: str) -> str:
    """The host that a class's requests go to: what the test file allows, whatever the class says,
    below the path that the class's paths count from.
    """
    path = urlsplit(own).path.rstrip("/") if isinstance(own, str) else ""
    return url.rstrip("/") + path if path and not urlsplit(url).path.strip("/") else url


def _name_of(body: Any) -> str:
    """A task is any callable: a function, a class, a `functools.partial`, an object."""
    while isinstance(body, functools.partial):
        body = body.func
    return getattr(body, "__name__", None) or type(body).__name__


class PooledUser:
    """An instance of a user's class, kept from task to task, and the task sets it is within."""

    def __init__(
        self, cls: type[Any], environment: Environment, mark: Callable[[Any], None]
    ) -> None:
        self.instance = cls(environment)
        mark(self.instance)
        self.instance._state = LOCUST_STATE_RUNNING
        self.instance._taskset_instance = DefaultTaskSet(self.instance)
        # Of the class's own task sets that were entered and not left: the innermost within each.
        self._within: dict[type[Any], Any] = {}

    def run(self, body: Any, asked: Callable[[], bool]) -> None:
        """One task; of a task set, the next one of its tasks, or of the set within it that was
        entered last. A task that only leaves its set is followed by another at once, as in Locust,
        until something was `asked`. Raises StopUser when the user is to stop.
        """
        for _ in range(MOST_LEFT):
            if self._run_one(body) and not asked():
                continue
            break
        if self.instance._state == LOCUST_STATE_STOPPING:
            raise StopUser

    def _run_one(self, body: Any) -> bool:
        """Whether it left a task set, and another task is to follow at once."""
        try:
            if _is_set(body):
                self._run_within(body)
            else:
                body(self.instance)
        except RescheduleTaskImmediately:
            return True
        except RescheduleTask:
            pass
        return False

    def _run_within(self, body: type[Any]) -> None:
        taskset = self._within.get(body) or self._enter(body, body, self.instance)
        try:
            while _is_set(chosen := _next_task(taskset)):
                taskset = self._enter(body, chosen, taskset)
            taskset.execute_task(chosen)
        except InterruptTaskSet as interrupt:
            taskset.on_stop()
            if taskset.parent is self.instance:
                del self._within[body]
            else:
                self._within[body] = taskset.parent
            raise _rescheduled(interrupt) from interrupt

    def _enter(self, body: type[Any], cls: type[Any], parent: Any) -> Any:
        entered = cls(parent)
        try:
            entered.on_start()
        except InterruptTaskSet as interrupt:  # it was never within
            raise _rescheduled(interrupt) from interrupt
        self._within[body] = entered
        return entered

    def stop(self) -> None:
        """What Locust calls when a user stops: `on_stop` of its task sets, the innermost first, and
        its own. Raises what they raise.
        """
        for innermost in self._within.values():
            taskset = innermost
            while taskset is not self.instance:
                taskset.on_stop()
                taskset = taskset.parent
        self.instance.on_stop()


def _rescheduled(interrupt: Any) -> Exception:
    """What an interrupted set is to its parent."""
    return RescheduleTaskImmediately() if interrupt.reschedule else RescheduleTask()


def _is_set(body: Any) -> bool:
    return inspect.isclass(body) and issubclass(body, TaskSet)


def _next_task(taskset: Any) -> Any:
    return taskset._task_queue.popleft() if taskset._task_queue else taskset.get_next_task()


@dataclass(slots=True)
class UserPool:
    """Users of each class that have nothing to do, in the order in which they came to it."""

    free: dict[type[Any], list[PooledUser]] = field(default_factory=dict)
    turns: dict[type[Any], int] = field(default_factory=dict)  # how many of a class take turns

    def take(self, cls: type[Any]) -> PooledUser | None:
        """The user of those who take turns that has had nothing to do for longest, or None. More
        than those would let connections go unused until the service closes them; fewer would send
        the values of one user only.
        """
        users = self.free.get(cls)
        # Of a class without weight nobody takes turns, and a probe may ask for one all the same.
        turns = max(1, self.turns.get(cls, 1))
        return users.pop(max(0, len(users) - turns)) if users else None

    def everyone(self) -> list[PooledUser]:
        """Those who are here, of every class."""
        return [user for users in self.free.values() for user in users]

    def give(self, user: PooledUser) -> None:
        """It has nothing to do any more."""
        self.free.setdefault(type(user.instance), []).append(user)
