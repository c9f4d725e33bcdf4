"""The fast client with tags, and JSON by the `rest` context manager, as it is and extended by a
class of users that checks every answer in the same way.
"""

from contextlib import contextmanager

from locust import FastHttpUser, constant, tag, task


class RestUser(FastHttpUser):
    abstract = True

    @contextmanager
    def rest(self, method, url, **more):
        with super().rest(method, url, **more) as answer:
            if answer.js and "error" in answer.js:
                answer.failure(f"says {answer.js['error']}")
            yield answer


class Shelf(FastHttpUser):
    wait_time = constant(1)
    network_timeout = 10.0

    @tag("read", "smoke")
    @task(4)
    def look(self):
        self.client.get("/shelf", headers={"Accept": "application/json"})

    @tag("write")
    @task
    def put(self):
        self.client.put("/shelf", json={"item": 1})

    @tag("read")
    @task
    def echo(self):
        with self.rest("POST", "/echo", json={"item": 7}) as answer:
            if answer.js["item"] != 7:
                answer.failure("is another item")


class Checked(RestUser):
    @tag("read")
    @task
    def right(self):
        with self.rest("POST", "/right", json={"item": 8}) as answer:
            assert answer.js["item"] == 8

    @tag("read")
    @task
    def wrong(self):
        with self.rest("POST", "/wrong", json={"error": "sold out"}):
            pass
