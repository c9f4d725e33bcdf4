"""What people write in locustfiles beside methods: partials and objects as tasks, several tasks
from one function, options of their own, a path before all paths, a client of their own, greenlets.
"""

from functools import partial

import gevent
from gevent.pool import Group
from locust import FastHttpUser, HttpUser, LoadTestShape, User, constant, events, tag, task


@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--tenant", default="acme", env_var="LOAD_TENANT")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--shelf", action="append", default=[])


def ask(user, path="/plain"):
    user.client.get(path)


class Object:
    def __call__(self, user):
        user.client.get("/object")

    __hash__ = None  # as of one that defines __eq__


class Callables(FastHttpUser):
    host = "http://elsewhere.invalid/base/"
    wait_time = constant(1)
    tasks = [ask, partial(ask, path="/partial"), partial(ask, path="/other"), Object()]  # noqa: RUF012


class Tagged(HttpUser):
    def on_start(self):
        options = self.environment.parsed_options
        self.path = f"/{options.tenant}/{options.dry_run}/{'-'.join(options.shelf)}"

    @task
    @tag("read")
    def look(self):
        self.client.get(self.path)

    @task
    @tag("write")
    def change(self):
        self.client.post("/change")


class Browser(HttpUser):
    """Three at once, as a browser does; all of them fail."""

    @task
    def page(self):
        group = Group()
        for _ in range(3):
            group.spawn(self.client.get, "/fail")
        group.join()


class Forgetful(HttpUser):
    """Leaves what it asked for to a greenlet that nobody waits for; all of them fail."""

    @task
    def leave(self):
        gevent.spawn_later(0.1, self.client.get, "/fail")


class Poller(HttpUser):
    """Asks now and then while its tasks go on; all of that fails."""

    def on_start(self):
        gevent.spawn(self.poll)

    def poll(self):
        while True:
            self.client.get("/fail")
            gevent.sleep(0.05)

    @task
    def work(self):
        self.client.get("/work")


class Own:
    """A client that has nothing of Locust's but the event that it fires."""

    def __init__(self):
        self.client = None
        self.headers = ()

    def call(self, fails):
        events.request.fire(
            request_type="OWN",
            name="call",
            response_time=5.0,
            response_length=7,
            exception=OSError("cut off") if fails else None,
            context={},
        )


class OwnUser(User):
    fails = False

    def __init__(self, environment):
        super().__init__(environment)
        self.client = Own()

    @task
    def call(self):
        self.client.call(self.fails)


class FailingOwnUser(OwnUser):
    fails = True


class Ends(HttpUser):
    """Cleans up when the test is over, in the two places that Locust has for it."""

    fixed_count = 2
    wait_time = constant(3)

    @task
    def work(self):
        self.client.get("/work")


def tell(path):
    def told(environment, **more):
        user = Ends(environment)
        user.client.get(path)

    return told


@events.test_start.add_listener
def begin(environment, **more):
    if "begin" in environment.parsed_options.shelf:
        events.test_stop.add_listener(tell("/stopped"))
        events.quitting.add_listener(tell("/quitting"))


class Shape(LoadTestShape):
    def tick(self):
        return None


class Rejected(HttpUser):
    """Cannot log in: that comes before the load."""

    def on_start(self):
        self.client.get("/fail")

    @task
    def work(self):
        self.client.get("/work")
