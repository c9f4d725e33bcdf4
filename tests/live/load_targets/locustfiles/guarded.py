"""A test that ends itself, by a guard that looks at the share of failures."""

import gevent
from locust import HttpUser, events, task

FAILS, MINIMUM = 0.2, 5


def guard(environment):
    while True:
        total = environment.runner.stats.total
        if total.num_requests >= MINIMUM and total.fail_ratio > FAILS:
            environment.process_exit_code = 1
            environment.runner.quit()
            return
        gevent.sleep(0.01)


@events.init.add_listener
def begin(environment, **more):
    gevent.spawn(guard, environment)


class Guarded(HttpUser):
    @task
    def fail(self):
        self.client.get("/fail")
