"""Users of an API: a token in `on_start`, names for paths with numbers, checks of answers, and a
farewell.
"""

import random

from locust import HttpUser, between, task


class ApiUser(HttpUser):
    wait_time = between(1, 5)
    host = "https://api.example.com"

    def on_start(self):
        answer = self.client.post("/login", json={"user": "ada", "token": "t0k3n"})
        self.client.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def on_stop(self):
        self.client.post("/logout")

    @task(3)
    def order(self):
        number = random.randint(1, 3)
        self.client.request("GET", f"/private/orders/{number}?full=1", name="/private/orders/[id]")

    @task(2)
    def search(self):
        with self.client.get("/search?q=tea", catch_response=True) as answer:
            if answer.text != "{}":
                answer.failure("found something else")
            elif answer.elapsed.total_seconds() > 30:
                answer.failure("took too long")
            else:
                answer.success()

    @task
    def absent(self):
        with self.client.get("/fail", catch_response=True) as answer:
            if answer.status_code == 500:
                answer.success()  # is what this service says of an order that is not there

    @task
    def grouped(self):
        with self.client.rename_request("/group/[id]"):
            self.client.get("/group/7")
