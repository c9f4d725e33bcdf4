"""Pages that follow one another by chance, and users who have had enough."""

import random

from locust import HttpUser, MarkovTaskSet, constant, task, transition, transitions
from locust.exception import RescheduleTask, StopTest, StopUser


class Wander(MarkovTaskSet):
    @transition("second")
    def first(self):
        self.client.get("/wander/first")

    @transitions({"first": 1, "third": 1})
    def second(self):
        self.client.get("/wander/second")

    @transitions(["first"])
    def third(self):
        self.client.get("/wander/third")


class Wanderer(HttpUser):
    wait_time = constant(1)
    tasks = [Wander]  # noqa: RUF012


class Tired(HttpUser):
    wait_time = constant(0.1)

    def on_start(self):
        self.left = 2

    def on_stop(self):
        self.client.get(f"/tired/gone-{self.left}")

    @task
    def work(self):
        self.left -= 1
        self.client.get("/tired/work")
        if self.left == 0:
            raise random.choice([StopUser, StopTest])

    @task
    def doze(self):
        self.client.get("/tired/doze")
        raise RescheduleTask


class Dismissed(HttpUser):
    wait_time = constant(0.1)

    @task
    def work(self):
        self.client.get(f"/dismissed/{random.choice('ab')}")
        self.stop()
        self.client.get("/dismissed/last")

    def on_stop(self):
        self.client.get("/dismissed/gone")
