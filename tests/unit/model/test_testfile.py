"""The test file: what it accepts, what it refuses, and in which words. Expected values are read off
DESIGN's file by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from perfhunt.errors import ExitCode, QuestionError, UsageError
from perfhunt.model.question import Plateau, Question
from perfhunt.model.slo import Measure
from perfhunt.model.testfile.testfile import aim, parse_question
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.testfile import find_test_file, read_question

FILES = {
    "pages.csv": b"page,sort\n1,name\n2,price\n",
    "locustfile.py": b"# users",
    "rows.jsonl": b'{"sku": "A1", "n": 3}\n',
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
comms = ""                           # required for production: where people were told, and the ticket
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
    assert caught.value.exit_code == ExitCode.BAD_TEST_FILE == 104
    assert caught.value.hint
    assert "perfhunt.toml" in caught.value.message
    return caught.value.message


def test_the_file_of_the_design_is_read_whole() -> None:
    question = parse(WHOLE, SHOP_TOKEN="s3cret")
    listing, checkout = question.traffic
    assert (listing.method, listing.path, listing.weight) == ("GET", "/items?page={page}", 8.0)
    assert listing.feed is not None
    assert listing.feed.columns == ("page", "sort")
    assert checkout.body == '{"sku":"A1"}'
    assert dict(checkout.headers) == {
        "Authorization": "Bearer ${SHOP_TOKEN}",
        "Content-Type": "application/json",
    }
    assert checkout.expect.status == (200, 201)
    limits = {o.name: (o.op, o.limit, o.window) for o in question.slo.objectives}
    assert limits["latency.p50"] == ("<=", pytest.approx(0.060), None)
    assert limits["throughput.sustained"] == (">=", 300.0, 60.0)
    assert limits["errors.http_5xx"] == ("<", pytest.approx(0.001), None)
    assert limits["errors.transport"] == ("<=", 0.0, None)
    assert limits["resources.memory"] == ("<", pytest.approx(0.8), None)
    assert limits["latency.p99[checkout]"] == ("<=", pytest.approx(0.7), None)
    assert limits["latency.p95[list]"] == (
        "<",
        pytest.approx(0.5),
        None,
    )  # k6 numbers are milliseconds
    assert limits["errors.any"] == ("<", pytest.approx(0.01), None)
    assert question.ramp.staircase == (
        Plateau(10, 60),
        Plateau(50, 120),
        Plateau(100, 120),
        Plateau(200, 120),
    )
    assert question.target.process.port == 8000


def test_no_secret_of_the_environment_enters_the_question() -> None:
    assert "s3cret" not in repr(parse(WHOLE, SHOP_TOKEN="s3cret"))


def test_without_traffic_the_front_page_is_asked_for() -> None:
    (only,) = parse(SLO).traffic
    assert (only.name, only.method, only.path) == ("GET /", "GET", "/")


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
        (SLO + '[target]\nurl = "127.0.0.1:8000"', "target.url", "http://"),
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
            'locustfile = "locustfile.py"\n' + SLO + '[[traffic]]\nrequest = "GET /"',
            "locustfile",
            "keep one",
        ),
        ('locustfile = "gone.py"\n' + SLO, "locustfile", "cannot be read"),
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


def test_a_percentile_with_a_dot_may_go_without_quotes() -> None:
    (only,) = parse('[slo]\nlatency = { p99.9 = "<= 1s" }').slo.objectives
    assert (only.key, only.limit, only.percentile) == ("p99.9", 1.0, pytest.approx(0.999))


def test_a_dotted_percentile_beside_its_own_table_is_refused_with_the_quotes_to_use() -> None:
    with pytest.raises(QuestionError) as caught:
        parse('[slo]\nlatency = { p99 = "<= 1s", p99.9 = "<= 2s" }')
    assert '"p99.9"' in caught.value.hint


def test_broken_toml_is_refused_with_its_line() -> None:
    assert "line 2" in refusal("[slo]\nlatency = 5 5")


@pytest.mark.parametrize(
    ("rule", "name", "op", "limit"),
    [
        ("http_req_duration: p(95)<500", "latency.p95", "<", 0.5),
        ("http_req_duration: p(99.9) <= 1500.5", "latency.p99.9", "<=", 1.5005),
        ("http_req_duration: med<100", "latency.p50", "<", 0.1),
        ("http_req_duration{expected_response:true}: p(90)<400", "latency.p90", "<", 0.4),
        ("http_req_duration: ['p(95)<500']", "latency.p95", "<", 0.5),
        ("http_req_failed: rate<0.01", "errors.any", "<", 0.01),
        ("http_req_failed: rate==0", "errors.any", "<=", 0.0),
        ("http_reqs: rate>=300", "throughput.sustained", ">=", 300.0),
        ("http_req_duration{name:GET /}: p(95)<500", "latency.p95[GET /]", "<", 0.5),
        (
            "http_req_duration{url:http://127.0.0.1:8000/}: p(95)<500",
            "latency.p95[GET /]",
            "<",
            0.5,
        ),
    ],
)
def test_k6_thresholds_are_taken_as_they_are(rule: str, name: str, op: str, limit: float) -> None:
    (only,) = parse(f'[slo]\nexpressions = ["{rule}"]').slo.objectives
    assert (only.name, only.op, only.limit) == (name, op, pytest.approx(limit))


def test_the_thresholds_table_of_a_k6_script_may_be_pasted() -> None:
    text = (
        '[slo.expressions]\nhttp_req_duration = ["p(95)<500", "p(99)<1000"]\n"http_req_failed" ='
        ' "rate<0.01"'
    )
    assert [o.name for o in parse(text).slo.objectives] == [
        "latency.p95",
        "latency.p99",
        "errors.any",
    ]


def test_a_form_body_is_encoded_around_its_placeholders() -> None:
    text = (
        SLO
        + '[[traffic]]\nrequest = "POST /"\nfeed = "rows.jsonl"\nform = { "a b" = "x&{sku}", k ='
        ' "${KEY}" }'
    )
    (only,) = parse(text, KEY="1").traffic
    assert only.body == "a+b=x%26{sku}&k=${KEY}"
    assert dict(only.headers) == {"Content-Type": "application/x-www-form-urlencoded"}


def test_braces_of_json_and_braces_with_spaces_are_not_placeholders() -> None:
    text = SLO + """[[traffic]]\nrequest = "POST /"\nbody = '{"a":{"b":1}} query { item { id } }'"""
    assert parse(text).traffic[0].body == '{"a":{"b":1}} query { item { id } }'


def test_a_locustfile_is_pinned_by_its_hash_and_names_its_own_routes() -> None:
    question = parse(
        'locustfile = "locustfile.py"\n'
        + SLO
        + '[[slo.route]]\nmatch = "/pay"\nlatency = { p99 = "<= 1s" }'
    )
    assert question.locustfile == "locustfile.py"
    assert (
        question.locustfile_sha256
        == "ccacd3a172c11be862d68f3afc0e8348960057d0462b5cb01f4add19a8c1ecfe"
    )  # sha256sum's
    assert question.slo.objectives[1].route == "/pay"
    assert question.traffic == ()


def test_a_locustfile_may_stand_in_the_traffic_table_too() -> None:
    for table in ("[traffic]", "[[traffic]]"):
        assert parse(f'{SLO}{table}\nlocustfile = "locustfile.py"').locustfile == "locustfile.py"


def test_objectives_of_throughput_and_resources_are_told_apart() -> None:
    question = parse('[slo]\nresources = { cpu = "< 70%" }\nthroughput = { sustained = ">= 60/m" }')
    measures = {o.measure: o.limit for o in question.slo.objectives}
    assert measures == {
        Measure.RESOURCES: pytest.approx(0.7),
        Measure.THROUGHPUT: pytest.approx(1.0),
    }


def test_the_command_line_may_aim_the_same_question_elsewhere() -> None:
    question = parse(WHOLE, SHOP_TOKEN="x")
    moved = aim(question, "http://127.0.0.1:9000/")
    assert moved.target.url == "http://127.0.0.1:9000"
    assert moved.fingerprint() == question.fingerprint()
    with pytest.raises(UsageError):
        aim(question, "ftp://h")


def test_perfhunt_toml_wins_over_pyproject_and_parents_are_searched_to_the_repository_root(
    tmp_path: Path,
) -> None:
    (tmp_path / "perfhunt.toml").write_text(SLO)
    repository = tmp_path / "repository"
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    (repository / ".git").mkdir()
    assert find_test_file(inner) is None  # the file above belongs to another project
    (repository / "pyproject.toml").write_text("[project]\n")
    assert find_test_file(inner) is None
    (repository / "pyproject.toml").write_text('[tool.perfhunt.slo]\nlatency = { p99 = "<= 1s" }\n')
    assert find_test_file(inner) == repository / "pyproject.toml"
    assert read_question(None, inner, {}).slo.objectives[0].limit == 1.0
    (repository / "perfhunt.toml").write_text(SLO)
    assert find_test_file(inner) == repository / "perfhunt.toml"


def test_a_key_of_pyproject_is_told_with_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.perfhunt]\nsede = 1\n")
    with pytest.raises(QuestionError, match=r"tool\.perfhunt\.sede: "):
        read_question(None, tmp_path, {})


def test_a_missing_test_file_is_refused_with_the_command_for_that_pid(tmp_path: Path) -> None:
    with pytest.raises(QuestionError) as caught:
        read_question(None, tmp_path, {}, pid=4242)
    assert "nothing was sent" in caught.value.message
    assert "perfhunt init --pid 4242" in caught.value.hint


def test_feeds_are_found_beside_the_file_and_pinned_by_content(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("id\n1\n")
    file = tmp_path / "perfhunt.toml"
    file.write_text(SLO + '[[traffic]]\nrequest = "GET /{id}"\nfeed = "rows.csv"')
    first = read_question(file, Path("/"), {})
    assert first.traffic[0].feed is not None
    assert first.traffic[0].feed.path == str(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("id\n2\n")
    assert read_question(file, Path("/"), {}).fingerprint() != first.fingerprint()


def test_a_test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(QuestionError, match="UTF-8"):
        read_question(None, tmp_path, {})
