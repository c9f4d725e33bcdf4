"""A protocol that Locust does not know: a client of the standard library, wrapped so that each call
fires the `request` event.
"""

import time
import xmlrpc.client

from locust import User, task


class Procedures(xmlrpc.client.ServerProxy):
    def __init__(self, host, request_event):
        super().__init__(host)
        self._request_event = request_event

    def __getattr__(self, name):
        method = xmlrpc.client.ServerProxy.__getattr__(self, name)

        def call(*args, **kwargs):
            began = time.perf_counter()
            told = {
                "request_type": "xmlrpc",
                "name": name,
                "response_length": 0,
                "response": None,
                "context": {},
                "exception": None,
            }
            try:
                told["response"] = method(*args, **kwargs)
            except (xmlrpc.client.Error, OSError) as error:
                told["exception"] = error
            told["response_time"] = (time.perf_counter() - began) * 1000
            self._request_event.fire(**told)
            return told["response"]

        return call


class ProcedureUser(User):
    abstract = True

    def __init__(self, environment):
        super().__init__(environment)
        self.client = Procedures(self.host, environment.events.request)


class Caller(ProcedureUser):
    host = "http://127.0.0.1:8877/"

    @task(2)
    def echo(self):
        if self.client.echo("7") != "7":
            raise ValueError("came back as something else")

    @task
    def fault(self):
        self.client.fail("for a reason")
