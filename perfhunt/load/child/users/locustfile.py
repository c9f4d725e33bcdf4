"""A user's own locustfile: its classes and tasks as they are, run one task at a time instead of in
Locust's endless loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately
from locust.user.task import LOCUST_STATE_RUNNING, DefaultTaskSet, TaskSet
from locust.util.load_locustfile import load_locustfile

from perfhunt.errors import LoadFailed
from perfhunt.model.text.error_words import error_words

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


def read_locustfile(path: str, url: str, keep_text: bool = False) -> tuple[UserTask, ...]:
    """The tasks of a locustfile, their user classes aimed at `url`. Raises LoadFailed with the type
    and the place of what it raised, and its text when that is to be kept.
    """
    try:
        classes, _ = load_locustfile(str(Path(path).resolve()))
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        said = error_words(error, keep_text)
        raise LoadFailed(f"{path} cannot be imported: {said}", _HINT) from None
    tasks = [task for cls in classes.values() for task in _tasks_of(cls, url)]
    if not tasks:
        raise LoadFailed(f"{path} defines no user class with tasks")
    return tuple(tasks)


def _tasks_of(cls: Any, url: str) -> list[UserTask]:
    cls.host = url  # what the test file allows, whatever the class says
    bodies: list[Any] = list(cls.tasks)  # each as often as it weighs
    return [
        UserTask(
            name=f"{cls.__name__}.{body.__name__}",
            user=cls,
            body=body,
            weight=cls.weight * (bodies.count(body) / len(bodies)),
        )
        for body in dict.fromkeys(bodies)
    ]


class PooledUser:
    """An instance of a user's class, kept from task to task, and the task sets it is within."""

    def __init__(
        self, cls: type[Any], environment: Environment, mark: Callable[[Any], None]
    ) -> None:
        self.instance = cls(environment)
        mark(self.instance)
        self.instance._state = LOCUST_STATE_RUNNING
        self._root = self.instance._taskset_instance = DefaultTaskSet(self.instance)
        self._entered: dict[type[Any], Any] = {}

    def run(self, body: Any) -> None:
        """One task; of a task set, the next one of its tasks."""
        if not _is_set(body):
            body(self.instance)
            return
        taskset: Any = self._enter(body, self._root)
        try:
            while _is_set(chosen := _next_task(taskset)):
                taskset = self._enter(chosen, taskset)
            taskset.execute_task(chosen)
        except (RescheduleTask, RescheduleTaskImmediately):
            pass
        except InterruptTaskSet:
            self._entered.pop(type(taskset), None)
            taskset.on_stop()

    def _enter(self, cls: type[Any], parent: Any) -> Any:
        if cls not in self._entered:
            self._entered[cls] = entered = cls(parent)
            entered.on_start()
        return self._entered[cls]


def _is_set(body: Any) -> bool:
    return inspect.isclass(body) and issubclass(body, TaskSet)


def _next_task(taskset: Any) -> Any:
    return taskset._task_queue.popleft() if taskset._task_queue else taskset.get_next_task()


@dataclass(slots=True)
class UserPool:
    """Users of each class that have nothing to do."""

    free: dict[type[Any], list[PooledUser]] = field(default_factory=dict)

    def take(self, cls: type[Any]) -> PooledUser | None:
        """The user that was busy last, or None."""
        users = self.free.get(cls)
        return users.pop() if users else None

    def give(self, user: PooledUser) -> None:
        """It has nothing to do any more."""
        self.free.setdefault(type(user.instance), []).append(user)
