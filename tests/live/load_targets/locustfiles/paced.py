"""A load shape in stages and waiting times of three kinds, which an open loop has no use for, and
says so.
"""

from locust import HttpUser, LoadTestShape, TaskSet, constant_pacing, task


class Stages(LoadTestShape):
    stages = (
        {"duration": 30, "users": 10, "spawn_rate": 10},
        {"duration": 60, "users": 50, "spawn_rate": 10},
    )

    def tick(self):
        for stage in self.stages:
            if self.get_run_time() < stage["duration"]:
                return stage["users"], stage["spawn_rate"]
        return None


class Steps(TaskSet):
    @task
    def step(self):
        self.client.get("/step")


class Paced(HttpUser):
    wait_time = constant_pacing(5)
    tasks = [Steps]  # noqa: RUF012


class Own(HttpUser):
    def wait_time(self):
        self.waited = getattr(self, "waited", 0) + 1
        return self.waited

    @task
    def own(self):
        self.client.get("/own")
