"""The parts of Locust a locustfile may use: nested and sequential task sets, both clients, checks,
a user that stops.
"""

from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, between, constant, tag, task
from locust.exception import StopUser


class Checkout(SequentialTaskSet):
    @task
    def basket(self):
        self.client.get("/basket")

    @task
    def pay(self):
        self.client.post("/pay", json={"amount": 1})
        self.interrupt()


class Browse(TaskSet):
    tasks = {Checkout: 1}  # noqa: RUF012 (as locustfiles are written)

    def on_start(self):
        self.client.get("/browse-start")

    @task(2)
    def look(self):
        with self.client.get("/slow", catch_response=True) as response:
            if response.status_code != 200:
                response.failure("not there")


class Shopper(FastHttpUser):
    host = "http://elsewhere.invalid"
    wait_time = between(10, 20)
    tasks = [Browse]  # noqa: RUF012
    weight = 3

    def on_start(self):
        self.client.get("/login")


class Broken(HttpUser):
    wait_time = constant(10)

    @task
    @tag("bad")
    def fail(self):
        self.client.get("/fail")

    @task
    def raise_something(self):
        raise ValueError("a bug in the locustfile")

    @task
    def give_up(self):
        self.client.get("/once")
        raise StopUser

    @task
    def leave_the_target(self):
        self.client.get("http://elsewhere.invalid/")
