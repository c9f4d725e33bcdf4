"""What one visitor does after another: a sequence that logs in before it browses, a set within it
that is left by `interrupt`, and one that a visitor wanders about in.
"""

from locust import HttpUser, SequentialTaskSet, TaskSet, between, constant, task


class Visit(SequentialTaskSet):
    def on_start(self):
        self.step = 0

    def ask(self, name):
        self.step += 1
        self.client.get(f"/visit/{self.step}-{name}")

    @task
    def login(self):
        self.ask("login")

    @task
    class Browse(SequentialTaskSet):
        wait_time = constant(1)

        @task
        def product(self):
            self.parent.ask("product")

        @task
        def basket(self):
            self.parent.ask("basket")

        @task
        def leave(self):
            self.interrupt()

    @task
    def logout(self):
        self.ask("logout")
        self.interrupt()


class Visitor(HttpUser):
    wait_time = between(5, 15)
    tasks = [Visit]  # noqa: RUF012 (as locustfiles are written)


class Thread(TaskSet):
    def on_start(self):
        self.client.get("/thread/open")
        self.read = 0

    def on_stop(self):
        self.client.get(f"/thread/close-{self.read}")

    @task
    def read_on(self):
        self.client.get("/thread/read")
        self.read += 1
        if self.read == 3:
            self.interrupt(reschedule=False)


class Forum(TaskSet):
    tasks = {Thread: 1}  # noqa: RUF012


class Reader(HttpUser):
    wait_time = between(5, 15)
    tasks = {Forum: 1}  # noqa: RUF012

    @task(0)
    def never(self):
        self.client.get("/never")
