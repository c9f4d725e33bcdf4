"""The test file: what it accepts. Expected values are read off DESIGN's file by hand."""

from __future__ import annotations

import pytest

from perfhunt.errors import UsageError
from perfhunt.model.question import Plateau
from perfhunt.model.redact import marker
from perfhunt.model.slo import Measure, SmokeLoad
from perfhunt.model.testfile.testfile import aim
from tests.unit.model.testfiles import SLO, WHOLE, parse, refusal

LIMITS = {
    "latency.p50": ("<=", 0.060),
    "throughput.sustained": (">=", 300.0),
    "errors.http_5xx": ("<", 0.001),
    "errors.transport": ("<=", 0.0),
    "resources.memory": ("<", 0.8),
    "latency.p99[checkout]": ("<=", 0.7),
    "latency.p95[list]": ("<", 0.5),  # k6 numbers are milliseconds
    "errors.any": ("<", 0.01),
}


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
    by_name = {objective.name: objective for objective in question.slo.objectives}
    for name, (op, limit) in LIMITS.items():
        assert by_name[name].op == op, name
        assert by_name[name].limit == pytest.approx(limit), name
    windows = {name: o.window for name, o in by_name.items() if o.window is not None}
    assert windows == {"throughput.sustained": 60.0}
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


def test_a_percentile_with_a_dot_may_go_without_quotes() -> None:
    (only,) = parse('[slo]\nlatency = { p99.9 = "<= 1s" }').slo.objectives
    assert (only.key, only.limit) == ("p99.9", 1.0)
    assert only.percentile == pytest.approx(0.999)


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


def test_what_a_locustfile_connects_to_is_a_permission_and_no_part_of_what_is_asked() -> None:
    text = 'locustfile = "locustfile.py"\n%s' + SLO
    allowed = ["db.internal:5432", "[::1]:6379", "unix:/run/postgresql/.s.PGSQL.5432"]
    question = parse(text % f"locustfile_connects = {allowed}\n".replace("'", '"'))
    assert question.locustfile_connects == tuple(allowed)
    assert question.fingerprint() == parse(text % "").fingerprint()


def test_options_and_classes_of_a_locustfile_are_part_of_what_is_asked() -> None:
    text = 'locustfile = "locustfile.py"\n' + SLO
    table = '[locust]\nclasses = ["Web"]\noptions = { %s }\n'
    given = '--dry-run = true, off = false, tenant = "acme", depth = 3, shelf = ["a", "b"]'
    asked = parse(text + table % given)
    assert asked.locust_classes == ("Web",)
    assert asked.locust_options == (
        ("dry_run", ()),
        ("tenant", ("acme",)),
        ("depth", ("3",)),
        ("shelf", ("a", "b")),
    )
    other = parse(text + table % given.replace("acme", "globex"))
    plain = parse(text)
    assert len({q.fingerprint() for q in (asked, other, plain)}) == 3
    assert plain.identity().keys() == parse(SLO).identity().keys()


def test_values_of_options_are_not_stored_unless_they_are_the_environments() -> None:
    text = 'locustfile = "locustfile.py"\n' + SLO
    table = '[locust]\noptions = { key = "s3cret", token = "${SHOP_TOKEN}" }'
    asked = parse(text + table, SHOP_TOKEN="x")
    stored = asked.marked(marker(b"k")).redacted()
    assert "s3cret" not in repr(stored)
    assert dict(stored.locust_options)["token"] == ("${SHOP_TOKEN}",)
    again = asked.marked(marker(b"k"))
    assert again.locust_options == asked.locust_options  # what is sent is what was written
    assert stored.is_redacted() and not again.is_redacted()
    other = parse(text + table.replace("s3cret", "s4cret"), SHOP_TOKEN="x").marked(marker(b"k"))
    assert other.fingerprint() != again.fingerprint()
    assert stored.fingerprint() == again.redacted().fingerprint() == again.fingerprint()


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


@pytest.mark.parametrize("path", ["{path:raw}", "/v1{path:raw}", "/v1/{path:raw}?page={page}"])
def test_a_path_may_come_from_a_feed_as_it_is(path: str) -> None:
    text = f'{SLO}[[traffic]]\nrequest = "GET {path}"\nfeed = "recorded.csv"'
    asked = parse(text).traffic[0]
    assert asked.path == path and asked.name == f"GET {path}"
    assert asked.redacted().path == path


def test_how_a_smoke_asks_is_read_and_is_the_slos_own_rate_and_time_by_default() -> None:
    asked = parse(SLO + '[smoke]\nrate = "20/s"\nduration = "45s"\n').smoke
    assert (asked.rate, asked.duration) == (20.0, 45.0)
    assert parse(SLO).smoke == SmokeLoad(rate=None, duration=None)


@pytest.mark.parametrize(
    ("lines", "path", "words"),
    [
        ("rate = 20", "smoke.rate", "no unit"),
        ('duration = "0s"', "smoke.duration", "more than zero"),
        ('rate = "6000/s"', "smoke.rate", "above safety.max_rate"),
        ('at_load = "20/s"', "smoke.at_load", "in [slo]"),
    ],
)
def test_a_smoke_that_cannot_be_asked_is_refused_by_its_key(
    lines: str, path: str, words: str
) -> None:
    message = refusal(f"{SLO}[smoke]\n{lines}\n")
    assert path in message and words in message
