"""The test file: what it refuses, and in which words."""

from __future__ import annotations

import pytest

from perfhunt.errors import QuestionError
from tests.unit.model.testfiles import SLO, parse, refusal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "schema = 1",
        "[slo]",
        "[slo]\nat_load = '300/s'",
        "[slo]\nlatency = {}",
        "[slo]\nexpressions = []",
    ],
)
def test_a_file_without_an_objective_is_refused_with_the_command_that_writes_one(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        parse(text)
    assert "no SLO" in caught.value.message
    assert "perfhunt init --pid" in caught.value.hint


@pytest.mark.parametrize("blank", ["", "<=", "<= __", "<= __ms", "__"])
def test_numbers_left_blank_are_named_and_left_to_a_person(blank: str) -> None:
    message = refusal(f'[slo]\nlatency = {{ p95 = "{blank}", p99 = "<= 1s" }}')
    assert "slo.latency.p95" in message
    assert "blank" in message
    assert "p99" not in message


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ('[slo]\nlatency = { p99 = "<= 400" }', "slo.latency.p99", "needs a unit of time"),
        ("[slo]\nlatency = { p99 = 400 }", "slo.latency.p99", "400 is a number"),
        ('[slo]\nlatency = { p99 = "400ms" }', "slo.latency.p99", "no comparison"),
        ('[slo]\nlatency = { p99 = ">= 400ms" }', "slo.latency.p99", "upper limit"),
        ('[slo]\nlatency = { p99 = "<= 0ms" }', "slo.latency.p99", "nothing can ever be below"),
        ('[slo]\nlatency = { p101 = "<= 1s" }', "slo.latency.p101", "not a percentile"),
        ('[slo]\nlatency = { max = "<= 1s" }', "slo.latency.max", "p99.9"),
        ('[slo]\nlatency = { p50 = "<= 500ms", p99 = "<= 400ms" }', "slo", "can never be missed"),
        ('[slo]\nlatency = { p99 = "<= 60s" }', "slo.latency.p99", "ramp.timeout"),
        ('[slo]\nlatencies = { p99 = "<= 1s" }', "slo.latencies", 'did you mean "latency"?'),
        ('[slo]\nerrors = { http_5x = "< 1%" }', "slo.errors.http_5x", 'did you mean "http_5xx"?'),
        ('[slo]\nerrors = { http_5xx = "< 0.1" }', "slo.errors.http_5xx", "percent sign"),
        ('[slo]\nerrors = { http_5xx = "< 120%" }', "slo.errors.http_5xx", "can never be exceeded"),
        ('[slo]\nerrors = { any = "< 0%" }', "slo.errors.any", "<= 0"),
        ('[slo]\nerrors = { transport = "< 1%" }', "slo.errors.transport", "not a count"),
        ('[slo]\nresources = { memory = "< 512MiB" }', "slo.resources.memory", "percent sign"),
        (
            '[slo]\nthroughput = { sustained = "<= 300/s" }',
            "slo.throughput.sustained",
            "lower limit",
        ),
        (
            '[slo]\nthroughput = { sustained = ">= 300/s for 60" }',
            "slo.throughput.sustained",
            "for 60s",
        ),
        (
            '[slo]\nthroughput = { sustained = ">= 9000/s" }',
            "slo.throughput.sustained",
            "safety.max_rate",
        ),
        (SLO + 'at_load = "300"', "slo.at_load", "unit of rate"),
        (SLO + "min_samples = 0", "slo.min_samples", "out of range"),
        (SLO + 'expressions = ["http_req_duration: p(99)<200"]', "slo", "said twice"),
        (SLO + 'expressions = ["http_req_duration: avg<200"]', "slo.expressions[1]", "mean"),
        (
            SLO + 'expressions = ["http_req_durations: p(95)<200"]',
            "slo.expressions[1]",
            'did you mean "http_req_duration"?',
        ),
        (
            SLO + 'expressions = ["http_req_duration{name:pay}: p(95)<200"]',
            "slo.expressions[1]",
            "no endpoint",
        ),
        (
            SLO + 'expressions = ["http_req_duration p(95)<200"]',
            "slo.expressions[1]",
            "not a k6 threshold",
        ),
        (
            SLO + '[[slo.route]]\nmatch = "GET /x"\nlatency = { p99 = "<= 1s" }',
            "slo.route[1].match",
            "no endpoint",
        ),
        (SLO + '[[slo.route]]\nmatch = "GET /"', "slo.route[1]", "no objective"),
        (SLO + '[[slo.route]]\nlatency = { p99 = "<= 1s" }', "slo.route[1].match", "missing"),
        (SLO + "[ramp]\ntimeout = 10", "ramp.timeout", "no unit"),
        (SLO + '[ramp]\ntimeuot = "10s"', "ramp.timeuot", 'did you mean "timeout"?'),
        (SLO + '[ramp]\nmode = "stairs"', "ramp.mode", 'did you mean "staircase"?'),
        (
            SLO + '[ramp]\nstaircase = ["10/s for 1m", "5/s for 1m"]',
            "ramp.staircase[2]",
            "does not climb",
        ),
        (SLO + '[ramp]\nstaircase = ["10/s 1m"]', "ramp.staircase[1]", "rate for a time"),
        (SLO + "[ramp]\nstaircase = []", "ramp.staircase", "no steps"),
        (SLO + "[ramp]\nseed = 4", "ramp.seed", "at the top of the file"),
        (SLO + '[ramp]\nstart = "100/s"\nmax = "50/s"', "ramp.max", "below ramp.start"),
        (SLO + '[ramp]\nprecision = "80%"', "ramp.precision", "no precision"),
        (SLO + '[ramp]\nloop = "closed"', "ramp.loop", "locustfile"),
        (SLO + '[target]\nurl = "127.0.0.1:8000"', "target.url", "http:// before"),
        (SLO + '[target]\nurl = "localhost:8000"', "target.url", "'localhost:8000'"),
        (SLO + '[target]\nurl = "http://h:1/items"', "target.url", "path belongs in request"),
        (SLO + '[target]\nurl = "http://me:pw@h"', "target.url", "user name or password"),
        (
            SLO + '[target]\nenvironment = "prod"',
            "target.environment",
            'did you mean "production"?',
        ),
        (SLO + "[target]\nprocess = { port = 1, pid = 2 }", "target.process", "exactly one"),
        (SLO + "[target]\nprocess = { port = 70000 }", "target.process.port", "65535"),
        (SLO + '[[traffic]]\nname = "x"', "traffic[1].request", "missing"),
        (SLO + '[[traffic]]\nrequest = "/x"', "traffic[1].request", 'request = "GET /x"'),
        (SLO + '[[traffic]]\nrequest = "GTE /x"', "traffic[1].request", 'did you mean "GET"?'),
        (SLO + '[[traffic]]\nrequest = "GET http://h/x"', "traffic[1].request", "names a host"),
        (SLO + '[[traffic]]\nrequest = "GET /a b"', "traffic[1].request", "%20"),
        (SLO + '[[traffic]]\nrequest = "GET /"\nweight = 0', "traffic[1].weight", "above 0"),
        (SLO + '[[traffic]]\nrequest = "GET /{id}"', "traffic[1].request", "no column"),
        (
            SLO + '[[traffic]]\nrequest = "GET /{pages}"\nfeed = "pages.csv"',
            "traffic[1].request",
            'did you mean "page"?',
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nfeed = "gone.csv"',
            "traffic[1].feed",
            "No such file",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nheaders = { A = "${NOT_SET}" }',
            "traffic[1].headers.A",
            "export NOT_SET",
        ),
        (SLO + '[[traffic]]\nrequest = "GET /${KEY}"', "traffic[1].request", "cannot be in a path"),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nheaders = { A = "${a-b}" }',
            "traffic[1].headers.A",
            "not a variable",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nheaders = { A = "x\\ny" }',
            "traffic[1].headers.A",
            "line breaks",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nheaders = { Content-Length = "3" }',
            "traffic[1].headers.Content-Length",
            "engine",
        ),
        (
            SLO + '[[traffic]]\nrequest = "POST /"\njson = { a = 1 }\nbody = "x"',
            "traffic[1].body",
            "one of",
        ),
        (
            SLO + '[[traffic]]\nrequest = "POST /"\njson = { at = 2026-01-31 }',
            "traffic[1].json",
            "date",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nexpect = { status = ["200"] }',
            "traffic[1].expect.status",
            "status codes",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nexpect = { stauts = 200 }',
            "traffic[1].expect.stauts",
            'did you mean "status"?',
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\n[[traffic]]\nrequest = "GET /"',
            "traffic[2].name",
            "another endpoint",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /{page:url}"\nfeed = "pages.csv"',
            "traffic[1].request",
            "{page:url}: there is no 'url'",
        ),
        (
            SLO + '[[traffic]]\nrequest = "POST /"\nbody = "{v:version}"',
            "traffic[1].body",
            "there is no 'version'",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nfeed = "pages.csv"',
            "traffic[1].feed",
            "no column of it is used",
        ),
        (
            SLO + '[[traffic]]\nrequest = "GET /"\nheaders = { X-A = "a\\u007f" }',
            "traffic[1].headers.X-A",
            "a character that a header cannot",
        ),
        (
            'locustfile = "locustfile.py"\n' + SLO + '[[traffic]]\nrequest = "GET /"',
            "locustfile",
            "keep one",
        ),
        (
            'locustfile = "locustfile.py"\nlocustfile_connects = ["db.internal"]\n' + SLO,
            "locustfile_connects[1]",
            "db.internal:5432",
        ),
        (
            'locustfile = "locustfile.py"\nlocustfile_connects = ["http://db:1"]\n' + SLO,
            "locustfile_connects[1]",
            "no place",
        ),
        ('locustfile_connects = ["db:5432"]\n' + SLO, "locustfile_connects", "no locustfile"),
        ('locustfile = "gone.py"\n' + SLO, "locustfile", "cannot be read"),
        (SLO + '[locust]\noptions = { tenant = "acme" }', "locust", "no locustfile"),
        (
            'locustfile = "locustfile.py"\n' + SLO + "[locust]\noptions = { users = 10 }",
            "locust.options.users",
            "ramp.start",
        ),
        (
            'locustfile = "locustfile.py"\n' + SLO + "[locust]\noptions = { a = { b = 1 } }",
            "locust.options.a",
            "no value of an option",
        ),
        (
            'locustfile = "locustfile.py"\n' + SLO + '[locust]\noptions = { key = "${GONE}" }',
            "locust.options.key",
            "export GONE=",
        ),
        (
            'locustfile = "locustfile.py"\n' + SLO + '[locust]\ntags = ["read"]',
            "locust.tags",
            "in options of [locust]",
        ),
        (
            'locustfile = "locustfile.py"\noptions = { tenant = "acme" }\n' + SLO,
            "options",
            "in [locust]",
        ),
        (SLO + '[safety]\nallow_hosts = ["*"]', "safety.allow_hosts[1]", "not a host"),
        (SLO + '[safety]\nmax_rate = "5000"', "safety.max_rate", "unit of rate"),
        (
            SLO + '[safety]\nkillswitch = { url = "ops.example.com" }',
            "safety.killswitch.url",
            "http://",
        ),
        ("schema = 2\n" + SLO, "schema", "schema = 1"),
        ("sede = 2\n" + SLO, "sede", 'did you mean "seed"?'),
        ('url = "http://h"\n' + SLO, "url", "in [target]"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(
    text: str, path: str, words: str
) -> None:
    message = refusal(text)
    assert f"{path}: " in message or f"{path} " in message
    assert words in message


def test_every_mistake_is_told_at_once() -> None:
    message = refusal(
        'sede = 1\n[slo]\nlatency = { p99 = "<= 4" }\n[ramp]\nbudgte = "10m"\n[[traffic]]\nrequest'
        ' = "/"'
    )
    assert "4 problems" in message
    for path in ("sede", "slo.latency.p99", "ramp.budgte", "traffic[1].request"):
        assert f"  {path}: " in message


def test_other_mistakes_do_not_hide_that_there_is_no_slo() -> None:
    assert "slo: has no objective" in refusal("sede = 1")


def test_a_dotted_percentile_beside_its_own_table_is_refused_with_the_quotes_to_use() -> None:
    with pytest.raises(QuestionError) as caught:
        parse('[slo]\nlatency = { p99 = "<= 1s", p99.9 = "<= 2s" }')
    assert '"p99.9"' in caught.value.hint


def test_broken_toml_is_refused_with_its_line() -> None:
    assert "line 2" in refusal("[slo]\nlatency = 5 5")
