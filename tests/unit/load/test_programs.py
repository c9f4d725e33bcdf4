"""Other programs: what they say is read right (recorded from k6 1.8.1 and vegeta 12.13), what they
are told keeps them to the target, and their figures are held against our own probe's.
"""

import shutil
import socket
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfhunt.errors import UsageError
from perfhunt.jobs.setup import with_engine
from perfhunt.load.child.http.address import ServerAddress
from perfhunt.load.child.programs.k6 import K6
from perfhunt.load.child.programs.k6_script import elsewhere
from perfhunt.load.child.programs.log import ArrivalLog, ProgramPlan
from perfhunt.load.child.programs.outcomes import error_outcome, plain_error
from perfhunt.load.child.programs.program import ProgramTraffic, plain_environment, plain_request
from perfhunt.load.child.programs.user_script import _scenario
from perfhunt.load.child.programs.vegeta import Vegeta
from perfhunt.load.child.recorder import SampleBuffer
from perfhunt.load.child.sender import SendCounts
from perfhunt.load.programs.beside import disagreement, own_doing
from perfhunt.load.programs.facts import FACTS, NOT_DRIVEN, missing, require_program
from perfhunt.load.render import prepare
from perfhunt.model.latency import SAMPLE, RequestOutcome
from perfhunt.model.question import Question, RequestTemplate, Target
from perfhunt.model.slo import Criterion, Slo
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Count

RECORDED = Path(__file__).parent / "recorded"
O = RequestOutcome  # noqa: E741
ENDPOINTS = (
    RequestTemplate("a", "GET", "/a"),
    RequestTemplate("bad", "GET", "/bad,x"),
    RequestTemplate("slow", "GET", "/slow"),
)


def plan_of(n: int, rate: float, endpoints: list[int]) -> ProgramPlan:
    return ProgramPlan(
        rate=rate,
        duration=n / rate,
        due=np.arange(n) / rate,
        endpoint=np.array(endpoints, dtype=np.uint16),
        row=np.zeros(n, dtype=np.uint32),
        timeout=1.0,
        grace=0.5,
        in_flight=10,
    )


def traffic_of(*endpoints: RequestTemplate, script: str | None = None) -> ProgramTraffic:
    question = Question(Target("http://127.0.0.1:9009"), endpoints, Slo(()), k6_script=script)
    address = ServerAddress(socket.AF_INET, ("127.0.0.1", 9009), cleared=("127.0.0.1",))
    payloads = [prepare(endpoint, "127.0.0.1:9009", "test", {}) for endpoint in endpoints]
    return ProgramTraffic(question, address, payloads, {})


def read(program: K6 | Vegeta, plan: ProgramPlan, name: str) -> tuple[np.ndarray, SendCounts]:
    buffer, counts = SampleBuffer(), SendCounts()
    log = ArrivalLog(plan, buffer, 0.0)
    reader = program.reader(plan, log, counts)
    for line in (RECORDED / name).read_bytes().splitlines():
        reader.read(line)
    return np.sort(np.frombuffer(buffer.take(), SAMPLE), order="due"), counts


def test_results_of_vegeta_are_samples_that_count_from_when_they_were_due() -> None:
    plan = plan_of(12, 10.0, [0, 1, 2] * 4)
    samples, counts = read(Vegeta(traffic_of(*ENDPOINTS)), plan, "vegeta.csv")
    assert samples["due"].tolist() == plan.due.tolist()
    assert samples["outcome"].tolist() == [O.OK, O.STATUS, O.TIMEOUT] * 4
    assert samples["status"].tolist() == [200, 503, 0] * 4
    assert samples["endpoint"].tolist() == plan.endpoint.tolist()
    assert samples["service"][:2].tolist() == pytest.approx([0.001624426, 0.000825318])
    # The earliest by its schedule is on time, and all are late by less than 2 ms against it.
    assert min(samples["lag"]) == pytest.approx(0.0, abs=1e-6)
    assert max(samples["lag"]) < 2e-3
    assert sum(counts.errors.values()) == 4
    assert all("deadline exceeded" in error for error in counts.errors)


def test_metrics_of_k6_are_iterations_with_what_their_requests_waited() -> None:
    plan = plan_of(12, 25.0, [0] * 12)
    program = K6.__new__(K6)  # its script is not asked for
    samples, counts = read(program, plan, "k6.csv")
    ended = {round(s["due"] * 25): s for s in samples}
    outcomes = [RequestOutcome(ended[n]["outcome"]) for n in range(10)]
    assert outcomes == [
        *(O.OK, O.STATUS, O.OK, O.SHED),  # the fourth was dropped: one user, who was busy
        *(O.NOT_CLEARED, O.STATUS, O.STATUS, O.CONNECT, O.TIMEOUT, O.OK),
    ]
    assert ended[0]["service"] == pytest.approx((2.581370 + 4.656487) / 1e3, rel=1e-4)
    # Two at once: as long as the longer one and what it began later, not the sum.
    assert 0.0526 < ended[2]["service"] < 0.0562
    assert ended[4]["status"] == 302
    assert ended[9]["service"] < 0.001  # it sent nothing, and took what it took
    assert counts.errors == {
        "ip is blacklisted": 1,
        "an iteration of the script ended with an exception": 1,
        "connection refused": 1,
        "request timeout": 1,
    }


@pytest.mark.parametrize("line", [b"", b"a,b", b",,,,,,,,,,,", b'"', b"x" * 200])
def test_lines_that_are_none_are_counted_and_no_sample(line: bytes) -> None:
    plan = plan_of(3, 10.0, [0] * 3)
    for program in (Vegeta(traffic_of(*ENDPOINTS)), K6.__new__(K6)):
        buffer, counts = SampleBuffer(), SendCounts()
        reader = program.reader(plan, ArrivalLog(plan, buffer, 0.0), counts)
        if isinstance(program, K6):
            reader.read(b"metric_name,timestamp,metric_value,error,status,extra_tags,metadata")
        reader.read(line)
        assert not buffer.take()
        assert reader.unread == 1


def test_what_is_unanswered_at_the_end_is_cut_at_its_age() -> None:
    buffer = SampleBuffer()
    log = ArrivalLog(plan_of(4, 10.0, [0] * 4), buffer, 100.0)
    log.begins(0, 100.0)
    log.begins(1, 100.15)
    log.cut(101.0, until=0.25)
    samples = np.frombuffer(buffer.take(), SAMPLE)
    assert samples["due"].tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert set(samples["outcome"]) == {O.CUT}
    assert (samples["lag"] + samples["service"]).tolist() == pytest.approx([1.0, 0.9, 0.8])
    assert samples["lag"].tolist() == pytest.approx([0.0, 0.05, 0.0], abs=1e-6)


@given(st.lists(st.ip_addresses(), max_size=4))
def test_every_address_but_the_cleared_ones_is_elsewhere(cleared: list[IPv4Address]) -> None:
    networks = [ip_network(text) for text in elsewhere([str(address) for address in cleared])]
    for version, bits in ((4, 32), (6, 128)):
        mine = [n for n in networks if n.version == version]
        inside = {a for a in cleared if a.version == version}
        assert sum(n.num_addresses for n in mine) == 2**bits - len(inside)
        assert not any(a in n for a in inside for n in mine)


def test_a_program_gets_the_request_that_our_own_client_sends() -> None:
    template = RequestTemplate(
        "it",
        "POST",
        "/a?tag=a&tag=b",
        headers=(("Cookie", "a=1; b=2"), ("Content-Type", "text/plain")),
        body="8 °C",
    )
    payload = prepare(template, "shop.example:80", "test", {}).get(0)
    request = plain_request(payload)
    assert (request.method, request.path) == ("POST", "/a?tag=a&tag=b")
    assert request.body == "8 °C".encode()
    headers = dict(request.headers)
    assert headers["Host"] == "shop.example:80"
    assert headers["Cookie"] == "a=1; b=2"
    assert headers["X-Perfhunt-Run"] == "test"
    assert "Content-Length" not in headers


def test_an_environment_says_nothing_to_a_program_about_its_load_or_a_proxy() -> None:
    given = {"K6_VUS": "9", "HTTPS_PROXY": "http://proxy", "no_proxy": "*", "SHOP_TOKEN": "x"}
    ours = {"GOGC": "400", "K6_AUTO_EXTENSION_RESOLUTION": "false"}
    assert plain_environment(given) == {**ours, "SHOP_TOKEN": "x"}
    assert plain_environment({"GOGC": "50"}) == {**ours, "GOGC": "50"}


@pytest.mark.parametrize(
    ("said", "kept", "outcome"),
    [
        (
            'Get "http://127.0.0.1:1/timeout?token=s3cret": read tcp 127.0.0.1:5->127.0.0.1:1:'
            " read: connection reset by peer",
            "connection reset by peer",
            O.RESET,
        ),
        ('Post "http://h/dialogs?key=s3cret": EOF', "EOF", O.RESET),
        ("dial tcp 127.0.0.1:1: connect: connection refused", "connection refused", O.CONNECT),
        ('invalid port ":s3cret" after host', 'invalid port "…" after host', O.RESET),
    ],
)
def test_of_an_error_the_reason_is_kept_and_no_address(
    said: str, kept: str, outcome: RequestOutcome
) -> None:
    assert plain_error(said) == kept
    assert error_outcome(said) is outcome


@pytest.mark.parametrize(
    ("said", "weight"),
    [
        ({"executor": "constant-arrival-rate", "rate": 30, "timeUnit": "1m0s"}, 0.5),
        ({"startRate": 5, "timeUnit": "1s", "stages": [{"target": 40}, {"target": 10}]}, 40.0),
        ({"executor": "constant-vus", "vus": 12}, 12.0),
        ({"executor": "ramping-vus", "startVUs": 1, "stages": [{"target": 7}]}, 7.0),
        ({"executor": "shared-iterations"}, 1.0),
    ],
)
def test_the_weight_of_a_scenario_is_what_it_would_have_made(
    said: dict[str, object], weight: float
) -> None:
    assert _scenario("it", said).weight == pytest.approx(weight)


def test_a_program_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for name in FACTS:
        assert missing(name) == f"{name} is not installed"
        with pytest.raises(UsageError) as refused:
            require_program(name, alone=True)
        assert "go install" in refused.value.hint


@pytest.mark.parametrize("name", [*NOT_DRIVEN, "jmeter"])
def test_an_engine_that_is_not_driven_says_why_and_what_to_do(name: str) -> None:
    question = Question(Target("http://localhost"), ENDPOINTS, Slo(()))
    with pytest.raises(UsageError) as refused:
        with_engine(question, name)
    assert f"{name} is none of locust, k6, vegeta" in refused.value.message
    assert refused.value.hint.startswith(NOT_DRIVEN.get(name, ""))
    assert "Leave --engine out" in refused.value.hint


@given(st.floats(0.5, 3.0), st.integers(0, 10))
def test_two_clients_that_found_the_same_are_not_said_to_differ(scale: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    both = random.exponential(0.01 * scale, 5200)
    assert disagreement(both[:5000], both[5000:], "k6") == ""


def test_a_client_that_was_itself_slow_is_told_by_both_numbers() -> None:
    random = np.random.default_rng(1)
    probe = random.exponential(0.01, 300)
    said = disagreement(random.exponential(0.01, 5000) + 0.3, probe, "k6")
    assert said.startswith("k6 says p50 307 ms")
    assert "own probe" in said
    assert "n=300" in said


def test_what_a_program_exceeded_by_itself_is_not_the_services() -> None:
    criterion = Criterion("latency.p99", 0.1, 0.01)
    assert own_doing("k6", criterion, Count(5250, 3985), Count(250, 0)).startswith("k6 was late")
    # The service is slow for both, or too little was seen to say.
    assert own_doing("k6", criterion, Count(5250, 4000), Count(250, 190)) == ""
    assert own_doing("k6", criterion, Count(5250, 100), Count(250, 1)) == ""
    assert own_doing("k6", criterion, Count(5000, 3000), Count(0, 0)) == ""


def test_an_expected_text_is_looked_for_in_what_vegeta_kept() -> None:
    plan = plan_of(1, 10.0, [0])
    template = RequestTemplate("it", "GET", "/", expect=Expect(body="yes"))
    for body, outcome in ((b"b2ggeWVz", O.OK), (b"bm8=", O.STATUS)):
        buffer, counts = SampleBuffer(), SendCounts()
        reader = Vegeta(traffic_of(template)).reader(plan, ArrivalLog(plan, buffer, 0.0), counts)
        reader.read(b"1795804643094529010,200,1624426,0,6,," + body + b",,0,GET,http://h/,")
        assert np.frombuffer(buffer.take(), SAMPLE)["outcome"].tolist() == [outcome]
