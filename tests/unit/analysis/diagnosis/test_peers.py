"""Whose CPU, whose wait: peers of the target, from captures drawn by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perfhunt.analysis.blame.evidence import Evidence, Span
from perfhunt.analysis.blame.reading import read_evidence
from perfhunt.analysis.diagnosis.prediction.whatif import stations
from perfhunt.analysis.diagnosis.suspects import suspects_of
from perfhunt.model.finding import Bottleneck, BottleneckClass
from perfhunt.model.profile import Frame, Instant, Instants, Profile, ProfileMode, ThreadSample
from perfhunt.model.states import Peer, PeerKind, PeerProcess
from perfhunt.model.trial import Resources
from tests.unit.scenes import APP, classified, profile, ranked, series, stack, used

AT = "127.0.0.1:5432"
REST = "serve_forever!get lock@I"
BACKENDS = tuple(PeerProcess(pid, ports=(40000 + pid,), cores=0.2) for pid in range(900, 908))
# Eight backends that compute on two cores, for a target that uses a seventh of one.
COMPUTES = Peer(
    name="postgres",
    addresses=(AT,),
    connections=8.0,
    pids=(899,),
    cores=1.6,
    queued=4.0,
    allowed=2.0,
    busiest=0.9,
    threads=15,
    states={"on_cpu": 1.6, "run_queue": 4.0, "poll": 9.4},
    doing={"SELECT": 5.6, "idle": 2.4},
    processes=BACKENDS,
)
CALM = Span(
    10.0,
    service=0.012,
    profile=profile(render=60),
    instants=series(*[[REST] * 8] * 9, ["serve>view>render on_cpu*"]),
    peers=(replace(COMPUTES, cores=0.1, queued=0.01, doing={"idle": 8.0}),),
)


def knee(*moments: list[str], cpu: float = 0.15, busy: float = 0.97, peer: Peer = COMPUTES) -> Span:
    """A span at 150/s in which threads were as told, and the host as busy as told."""
    return Span(
        150.0,
        service=0.060,
        profile=profile(render=200),
        instants=series(*moments * (32 // len(moments))),
        resources=Resources(10.0, cpu=cpu, cpu_limit=2.0, host_cpu_share=busy),
        peers=(peer,),
    )


ASKS = f"serve>view>recent_orders socket@{AT}"
WANTS_CPU = "serve>view>render run_queue"


def judged(span: Span, base: Span | None = CALM) -> Bottleneck:
    return classified(Evidence(span, base, cpu_limit=2.0))


@pytest.mark.parametrize("waiting", [2, 4, 7])
def test_a_database_that_has_the_cores_is_the_bottleneck_however_many_queue_for_a_cpu(
    waiting: int,
) -> None:
    span = knee([*[ASKS] * waiting, *[WANTS_CPU] * (9 - waiting)])
    found = judged(span)
    assert found.category == BottleneckClass.DATABASE
    first = found.evidence[0]
    assert first.startswith("postgres used 1.60 cores and wanted 4.00 more; `recent_orders` waits")
    finding = ranked(Evidence(span, CALM, cpu_limit=2.0))[0]
    assert finding.function == "recent_orders" and "postgres" in finding.evidence
    # The wait that the sentence names is that on the socket, and behind the peer's work for a CPU:
    # its part of what kept the host busy is 1.6 of 1.94 cores.
    expected = (waiting + (9 - waiting) * 1.6 / 1.94) / 150 * 1e3
    assert f"{expected:.3g} ms per request" in first


def test_the_same_picture_without_a_look_at_the_peer_would_be_the_cpu() -> None:
    span = replace(knee([*[ASKS] * 2, *[WANTS_CPU] * 7], busy=0.0), peers=None)
    assert judged(span, replace(CALM, peers=None)).category == BottleneckClass.CPU


def test_a_database_that_waits_for_a_lock_is_said_to() -> None:
    locked = replace(
        COMPUTES,
        cores=0.1,
        queued=0.0,
        states={"poll": 15.0},
        doing={"UPDATE waiting": 7.0, "UPDATE": 1.0},
    )
    found = judged(knee([ASKS] * 8, busy=0.2, peer=locked))
    assert found.category == BottleneckClass.DATABASE
    assert any("its backends waited for a lock 0.88 of the time" in s for s in found.evidence)


def test_of_a_remote_database_the_wait_is_known_and_that_nothing_else_is() -> None:
    remote = Peer("postgres", ("10.0.0.5:5432",), 8.0, note="10.0.0.5:5432 is on another host")
    found = judged(knee(["serve>view>ask socket@10.0.0.5:5432"] * 8, busy=0.2, peer=remote))
    assert found.category == BottleneckClass.DATABASE
    assert found.evidence[0].startswith("`ask` waits for postgres 53.3 ms per request")
    assert any("is on another host" in sentence for sentence in found.evidence)
    assert not any("cores" in sentence for sentence in found.evidence)


def test_a_cache_with_one_thread_is_full_when_that_thread_is() -> None:
    redis = Peer(
        name="redis-server",
        addresses=("127.0.0.1:6379",),
        connections=8.0,
        pids=(7,),
        cores=0.96,
        queued=0.01,
        allowed=8.0,
        busiest=0.97,
        threads=5,
        states={"on_cpu": 0.96, "poll": 4.0},
        processes=(PeerProcess(7, cores=0.96),),
    )
    found = judged(knee(["serve>view>cached socket@127.0.0.1:6379"] * 8, busy=0.3, peer=redis))
    assert found.category == BottleneckClass.DATABASE
    assert any("one thread of it ran, or wanted to, 97" in s for s in found.evidence)


def test_a_service_that_computes_is_downstream_and_named() -> None:
    prices = replace(COMPUTES, name="prices.py", addresses=("127.0.0.1:8001",), doing={})
    at = "serve>view>ask_prices socket@127.0.0.1:8001"
    found = judged(knee([*[at] * 4, *[WANTS_CPU] * 5], peer=prices))
    assert found.category == BottleneckClass.DOWNSTREAM
    assert found.evidence[0].startswith("prices.py used 1.60 cores")


def test_a_service_that_waits_for_its_own_database_is_said_to() -> None:
    prices = Peer(
        name="prices.py",
        addresses=("127.0.0.1:8001",),
        connections=8.0,
        pids=(7,),
        cores=0.05,
        queued=0.0,
        threads=9,
        states={"socket": 6.5, "poll": 2.5},
        waits_on={AT: 6.5},
    )
    found = judged(knee(["serve>view>ask socket@127.0.0.1:8001"] * 8, busy=0.2, peer=prices))
    assert found.category == BottleneckClass.DOWNSTREAM
    assert f"prices.py: 6.50 threads of it waited on {AT} themselves." in found.evidence


def looping(polls: int, computes: int) -> Instants:
    """An event loop's thread that waits for work in most instants."""
    root = (Frame("_run_once", "/usr/lib/python3.11/asyncio/base_events.py"),)
    kinds = [("serve!select", "poll")] * polls + [("serve>view>render", "on_cpu")] * computes
    return Instants(
        len(kinds) / 10,
        tuple(
            Instant(n / 10, (ThreadSample(1, 1, root + stack(calls), state),))
            for n, (calls, state) in enumerate(kinds)
        ),
    )


def looped(peers: tuple[Peer, ...], busy: float) -> Bottleneck:
    """The class for an event loop that idles while ten requests wait."""
    loop = (Frame("_run_once", "/usr/lib/python3.11/asyncio/base_events.py"),)
    sends = (
        loop
        + stack("serve>view>recent_orders")
        + (Frame("send", "/usr/lib/python3.11/asyncio/selector_events.py"),)
    )
    span = Span(
        100.0,
        service=0.100,
        profile=Profile("py-spy", "0.4.3", ProfileMode.CPU, 100, 10, {sends: 200.0}),
        instants=looping(28, 4),
        resources=Resources(
            10.0,
            cpu=0.15,
            cpu_limit=2.0,
            host_cpu_share=busy,
            connections={address: 8 for peer in peers for address in peer.addresses},
        ),
        peers=peers,
    )
    base = replace(span, completed=10.0, service=0.010, instants=looping(31, 1), peers=())
    return judged(span, base)


def test_coroutines_that_wait_for_a_database_which_has_the_cores_wait_for_it() -> None:
    cache = replace(
        COMPUTES,
        name="redis-server",
        addresses=("127.0.0.1:6379",),
        cores=0.01,
        queued=0.0,
        states={"poll": 4.0},
        doing={},
    )
    found = looped((cache, COMPUTES), 0.97)
    assert found.category == BottleneckClass.DATABASE
    assert found.evidence[0].startswith("postgres used 1.60 cores")


def test_a_wait_that_does_not_say_on_what_leads_to_the_peer_that_is_at_work() -> None:
    idle = replace(
        COMPUTES,
        name="stock.py",
        addresses=("127.0.0.1:8001",),
        cores=0.0,
        queued=0.0,
        states={"poll": 4.0},
        doing={},
    )
    span = knee(["serve>view>recent_orders socket"] * 9)
    found = judged(replace(span, peers=(COMPUTES, idle)))
    assert found.category == BottleneckClass.DATABASE
    # The one at work has 5.6 of its 8 connections busy; of the idle one's 8, a tenth counts.
    assert f"{9 / 150 * 1e3 * 5.6 / (5.6 + 0.8):.3g} ms per request" in found.evidence[0]


def test_a_database_that_works_for_others_is_not_blamed_for_a_cpu_bound_target() -> None:
    busy = replace(
        COMPUTES, connections=1.0, others=9.0, processes=BACKENDS[:1], cores=0.5, doing={}
    )
    moments = [["serve>view>price on_cpu"] * 2 + ["serve>view>price run_queue"] * 4]
    assert judged(knee(*moments, cpu=1.4, peer=busy)).category == BottleneckClass.CPU


def test_what_a_peer_used_without_load_too_is_not_for_the_target() -> None:
    """Its CPU is the same at a tenth of the rate: it is busy with something else."""
    span = knee(["serve>view>price on_cpu"] * 2 + ["serve>view>price run_queue"] * 2, cpu=0.6)
    base = replace(CALM, peers=(COMPUTES,))
    assert judged(span, base).category != BottleneckClass.DATABASE


def bounds(span: Span, key: tuple[str, str]) -> dict[str, tuple[float, float]]:
    """The bound of each station, now and without a function."""
    reading = read_evidence(Evidence(span, CALM, cpu_limit=2.0))
    known = stations(reading, suspects_of(reading), ())
    return {s.name: (s.bound.value, s.without([key]).value) for s in known}


def test_what_the_database_computes_on_the_same_cores_is_the_use_of_who_waits_for_it() -> None:
    now, after = bounds(knee([ASKS] * 9), ("recent_orders", APP))[
        "the CPU (2 cores, of which its only busy process can use one, shared with postgres)"
    ]
    # Two cores, of which a request takes 0.15 / 150 s for itself and 1.6 / 150 s for its query.
    assert now == pytest.approx(2 * 150 / 1.75)
    assert after == pytest.approx(2 * 150 / 0.15)


def test_the_one_thread_of_a_cache_is_a_station_of_its_own() -> None:
    redis = replace(
        COMPUTES,
        name="redis-server",
        cores=0.96,
        queued=0.0,
        allowed=8.0,
        busiest=0.96,
        doing={},
        processes=(PeerProcess(7, cores=0.96),),
    )
    before = replace(redis, cores=0.064, busiest=0.064)
    span = knee([ASKS] * 9, peer=redis)
    reading = read_evidence(Evidence(span, replace(CALM, peers=(before,)), cpu_limit=2.0))
    known = stations(reading, suspects_of(reading), ())
    (thread,) = (s for s in known if s.name == "the only busy thread of redis-server")
    assert thread.bound.value == pytest.approx(150 / 0.96)


@pytest.mark.parametrize(
    ("name", "address", "kind"),
    [
        ("postgres", "unix:/run/postgresql/.s.PGSQL.5433", PeerKind.DATABASE),
        ("docker-proxy", "127.0.0.1:5432", PeerKind.DATABASE),
        ("10.0.0.5:6379", "10.0.0.5:6379", PeerKind.DATABASE),
        ("prices.py", "127.0.0.1:8001", PeerKind.SERVICE),
        ("nginx", "unix:/run/nginx.sock", PeerKind.SERVICE),
    ],
)
def test_a_database_is_known_by_its_name_or_its_port(
    name: str, address: str, kind: PeerKind
) -> None:
    assert Peer(name, (address,), 1.0).kind is kind


def test_who_waits_for_a_database_costs_time_of_the_database_and_may_be_changed() -> None:
    span = knee([*[ASKS] * 7, *[WANTS_CPU] * 2])
    evidence = Evidence(span, CALM, cpu_limit=2.0)
    first = ranked(evidence)[0]
    assert (first.function, first.category) == ("recent_orders", BottleneckClass.DATABASE)
    assert first.category == judged(span).category


@pytest.mark.parametrize(
    ("asking", "category"),
    [("price!recv socket@10.0.0.9:443", "downstream"), ("other!recv socket@10.0.0.9:443", "lock")],
)
def test_sleep_before_a_service_is_asked_again_is_a_wait_for_that_service(
    asking: str, category: str
) -> None:
    rest = ["serve_forever!get lock@I"]
    sleeping = [*["serve>view>price!sleep sleep"] * 7, f"serve>view>{asking}"]
    knee = Span(80.0, 0.100, instants=series(*[sleeping] * 32), resources=used(0.1))
    base = Span(
        10.0,
        0.012,
        instants=series(*[rest * 8] * 28, *[[f"serve>view>{asking}", *rest * 7]] * 4),
        resources=used(0.02),
    )
    evidence = Evidence(knee, base, cpu_limit=2.0)
    found = classified(evidence)
    assert found.category == category
    assert "asleep per request was not there at baseline" in found.evidence[0]
    assert ranked(evidence)[0].function == "price"
