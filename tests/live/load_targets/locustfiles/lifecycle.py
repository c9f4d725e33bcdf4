"""Listeners of every moment of a test: what is prepared before it, and told after it."""

import logging

import gevent
import requests
from locust import HttpUser, events, task
from locust.runners import STATE_CLEANUP, STATE_STOPPED, STATE_STOPPING, MasterRunner, WorkerRunner

SHARED = {}


@events.init.add_listener
def on_init(environment, runner, **more):
    SHARED["alone"] = not isinstance(environment.runner, MasterRunner | WorkerRunner)
    if environment.web_ui:
        environment.web_ui.app.add_url_rule("/extra", "extra", lambda: "extra")
    gevent.spawn(watch_over, environment)


def watch_over(environment):
    while environment.runner.state not in (STATE_STOPPING, STATE_STOPPED, STATE_CLEANUP):
        SHARED["requests"] = environment.runner.stats.total.num_requests
        gevent.sleep(0.1)


@events.test_start.add_listener
def on_test_start(environment, **more):
    answer = requests.post(f"{environment.host}/seed", json={"token": "seeded"}, timeout=5)
    SHARED["token"] = answer.json()["token"]


@events.test_stop.add_listener
def on_test_stop(environment, **more):
    requests.post(f"{environment.host}/unseed/{SHARED['token']}", timeout=5)


@events.quitting.add_listener
def on_quitting(environment, **more):
    total = environment.stats.total
    if total.fail_ratio > 0.01:
        logging.error("more than one in a hundred failed")
        environment.process_exit_code = 1
    elif total.num_requests and total.get_response_time_percentile(0.95) is not None:
        environment.process_exit_code = 0
    requests.post(
        f"{environment.host}/quit/{environment.process_exit_code}/{SHARED['alone']}", timeout=5
    )


class Seeded(HttpUser):
    def on_start(self):
        self.client.headers.update({"Authorization": SHARED["token"]})

    @task
    def read(self):
        self.client.get("/private")
