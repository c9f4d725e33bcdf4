"""Options of its own, rows of a CSV file that each user takes one of, and listeners that follow
every request.
"""

import csv
from pathlib import Path

from locust import FastHttpUser, constant_throughput, events, task
from locust.exception import StopUser

ROWS = list(csv.DictReader((Path(__file__).parent / "people.csv").open()))
SLOWEST = {}


@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--tenant", type=str, env_var="LOCUST_TENANT", default="none")
    parser.add_argument("--pages", type=int, default=1, include_in_web_ui=False)
    parser.add_argument("--region", choices=["eu", "us"], default="us")


@events.request.add_listener
def follow(request_type, name, response_time, response_length, exception, context, url, **more):
    SLOWEST[name] = max(SLOWEST.get(name, 0.0), response_time)
    if exception is None and context.get("person") == "":
        raise ValueError("nobody asked")


class Person(FastHttpUser):
    wait_time = constant_throughput(2)

    def context(self):
        return {"person": self.row["name"]}

    def on_start(self):
        if not ROWS:
            raise StopUser
        self.row = ROWS.pop()
        self.tenant = self.environment.parsed_options.tenant

    @task
    def page(self):
        options = self.environment.parsed_options
        for number in range(options.pages):
            self.client.get(
                f"/{options.region}/{self.tenant}/{self.row['name']}/{number}", name="/page"
            )
