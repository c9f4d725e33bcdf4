"""Test files as text, and what they are parsed to."""

from __future__ import annotations

import pytest

from perfhunt.errors import QuestionError
from perfhunt.model.question import Question
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.traffic_table import Surroundings

FILES = {
    "pages.csv": b"page,sort\n1,name\n2,price\n",
    "locustfile.py": b"# users",
    "rows.jsonl": b'{"sku": "A1", "n": 3}\n',
    "recorded.csv": b"path,page\n/items?q=caf%C3%A9,1\n",
}
SLO = '[slo]\nlatency = { p99 = "<= 400ms" }\n'
WHOLE = """
schema = 1
[target]
url = "http://127.0.0.1:8000"
environment = "local"                # local | ci | staging | production
process = { port = 8000 }            # or pid / pidfile / command

[[traffic]]                          # weighted endpoints; or locustfile = "locustfile.py"
name = "list"
request = "GET /items?page={page}"
weight = 8
feed = "pages.csv"
[[traffic]]
name = "checkout"
request = "POST /checkout"
json = { sku = "A1" }
headers = { Authorization = "Bearer ${SHOP_TOKEN}" }
expect = { status = [200, 201] }
weight = 1

[slo]
latency    = { p50 = "<= 60ms", p95 = "<= 200ms", p99 = "<= 400ms" }
throughput = { sustained = ">= 300/s for 60s" }
errors     = { http_5xx = "< 0.1%", http_4xx = "< 1%", transport = "<= 0" }
resources  = { cpu = "< 70%", memory = "< 80%", oom_kills = "<= 0" }
expressions = ["http_req_duration{name:list}: p(95)<500", "http_req_failed: rate<0.01"]
[[slo.route]]
match = "POST /checkout"
latency = { p99 = "<= 700ms" }

[ramp]
mode = "search"                      # or "staircase"
staircase = ["10/s for 1m", "50/s for 2m", "100/s for 2m", "200/s for 2m"]
budget = "10m"

[safety]
allow_hosts = ["127.0.0.1"]
max_rate = "5000/s"
killswitch = { file = ".perfhunt/stop", url = "" }
comms = ""                           # required for production: who was told, and the ticket
"""


def read(name: str) -> bytes:
    try:
        return FILES[name]
    except KeyError:
        raise FileNotFoundError(2, "No such file or directory") from None


def parse(text: str, **env: str) -> Question:
    return parse_question(text, "perfhunt.toml", Surroundings(env, read))


def refusal(text: str, **env: str) -> str:
    """The whole message that a text is refused with; every refusal is exit 104 and says what to do
    next.
    """
    with pytest.raises(QuestionError) as caught:
        parse(text, **env)
    assert caught.value.exit_code == 104
    assert caught.value.hint
    assert "perfhunt.toml" in caught.value.message
    return caught.value.message
