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


@dataclass(frozen=True, slots=True)
class UserTask:
    """One task of one class of users: what an arrival does. `weight` is its share of the
    traffic.
    """

    name: str
    user: type[Any]
    task: Any
    weight: float


def read_locustfile(path: str, url: str) -> tuple[UserTask, ...]:
    """The errands of a locustfile, and its user classes, aimed at `url`. Raises LoadFailed with
    what Python said.
    """
    try:
        classes, _ = load_locustfile(str(Path(path).resolve()))
    except (Exception, SystemExit) as error:  # the user's own module may raise anything
        raise LoadFailed(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    errands = []
    for cls in classes.values():
        cls.host = url  # what the test file allows, whatever the class says
        tasks: list[Any] = list(cls.tasks)
        for task in dict.fromkeys(tasks):
            share = tasks.count(task) / len(tasks)
            errands.append(
                UserTask(f"{cls.__name__}.{task.__name__}", cls, task, cls.weight * share)
            )
    if not errands:
        raise LoadFailed(f"{path} defines no user class with tasks")
    return tuple(errands)


class Actor:
    """A pooled user: an instance of the user's class and the task sets it is in the middle of."""

    def __init__(
        self, cls: type[Any], environment: Environment, mark: Callable[[Any], None]
    ) -> None:
        self.user = cls(environment)
        mark(self.user)
        self.user._state = LOCUST_STATE_RUNNING
        self._root = self.user._taskset_instance = DefaultTaskSet(self.user)
        self._entered: dict[type[Any], Any] = {}

    def run(self, task: Any) -> None:
        """One task; of a task set, the next one of its tasks."""
        if not _is_set(task):
            task(self.user)
            return
        taskset: Any = self._enter(task, self._root)
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


def _is_set(task: Any) -> bool:
    return inspect.isclass(task) and issubclass(task, TaskSet)


def _next_task(taskset: Any) -> Any:
    return taskset._task_queue.popleft() if taskset._task_queue else taskset.get_next_task()


@dataclass(slots=True)
class Pool:
    """Users of each class that have nothing to do."""

    free: dict[type[Any], list[Actor]] = field(default_factory=dict)

    def take(self, cls: type[Any]) -> Actor | None:
        """The one that was busy last, or None."""
        actors = self.free.get(cls)
        return actors.pop() if actors else None

    def give(self, actor: Actor) -> None:
        """It has nothing to do any more."""
        self.free.setdefault(type(actor.user), []).append(actor)
