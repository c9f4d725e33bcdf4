"""Other programs as load engines: every arrival is accounted for by what the server saw, a stall is
in their latencies, and they stay where they are put.
"""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from perfhunt.errors import LoadFailed
from perfhunt.load.child.bounds.kept import ports_can_be_kept
from perfhunt.load.programs.engine import ProgramEngine
from perfhunt.load.programs.facts import probe_rate, program_rate
from perfhunt.model.latency import PROBED, SAMPLE, RequestOutcome
from perfhunt.model.question import EngineName, Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.traffic.parts import Expect
from perfhunt.model.trial import Drain
from perfhunt.model.units import Seconds
from tests.live.load_targets.harness import announced, free_port, python, step
from tests.live.load_targets.programs import opened, seen, with_k6
from tests.live.load_targets.receiver import Receiver
from tests.live.load_targets.timed import PERIOD, STALL
from tests.live.running import until

pytestmark = [pytest.mark.live, pytest.mark.beside]

PROMISED: Seconds = 1.0
HOME = RequestTemplate("home", "GET", "/", 3.0)
PROGRAMS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"),
    )
    for name in (EngineName.K6, EngineName.VEGETA)
]


@pytest.fixture
def listener() -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        yield url


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_arrival_is_a_sample_and_the_server_saw_as_many(
    name: EngineName, listener: str, tmp_path: Path
) -> None:
    endpoints = (
        HOME,
        RequestTemplate("fail", "GET", "/fail", 1.0),
        RequestTemplate(
            "echo",
            "POST",
            "/echo?tag=a&tag=b",
            1.0,
            headers=(("Content-Type", "text/plain"),),
            body="it is 8 °C",
            expect=Expect(body="8 °C"),
        ),
        RequestTemplate("unmet", "GET", "/unmet", 1.0, expect=Expect(body="nowhere")),
    )
    with opened(name, listener, tmp_path, *endpoints) as made:
        trial = made.run(step(100, 4.0))
    paths = seen(listener)
    assert trial.invalid == ""
    samples = np.fromfile(tmp_path / "trials" / trial.samples, dtype=SAMPLE)
    assert sum(paths.values()) == len(samples)
    assert abs(trial.n - 400) < 60  # the probe's share comes by chance, as Poisson has it
    theirs = {route: result for route, result in trial.routes.items() if route != PROBED}
    assert sum(r.response.n for r in theirs.values()) == 200
    assert dict(theirs["home"].statuses) == {200: theirs["home"].response.n}
    assert dict(theirs["fail"].outcomes) == {"status": theirs["fail"].response.n}
    assert dict(theirs["echo"].outcomes) == {"ok": theirs["echo"].response.n}
    assert dict(theirs["unmet"].outcomes) == {"status": theirs["unmet"].response.n}
    probe = trial.routes[PROBED].response.n
    assert paths["GET /fail"] - theirs["fail"].response.n <= probe


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_stall_is_in_the_latency_of_all_that_was_due_meanwhile(
    name: EngineName, tmp_path: Path
) -> None:
    """One second in six nothing is answered: a sixth of the arrivals wait half a second on average,
    whoever sends them.
    """
    with announced(*python("timed.py", "stall")) as url, opened(name, url, tmp_path) as made:
        trial = made.run(step(60, float(PERIOD)))
    for route in ("home", PROBED):
        response = trial.routes[route].response
        assert response.mean is not None
        assert response.p99 is not None
        expected = STALL / 2 * STALL / PERIOD
        assert expected / 2 < response.mean < 2 * expected
        assert STALL / 2 < response.p99 < 1.5 * STALL
    assert not [note for note in trial.generator.notes if "own probe" in note]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_stop_ends_the_program_within_a_second_and_cuts_what_is_under_way(
    name: EngineName, tmp_path: Path
) -> None:
    with (
        announced(*python("timed.py", "constant", "5")) as url,
        opened(name, url, tmp_path) as made,
    ):
        assert isinstance(made, ProgramEngine)
        child = psutil.Process(made.child_pid)
        begun: list[float] = []
        trial = made.run(
            step(20, 30.0),
            watch=lambda row: begun.append(time.monotonic()),
            stop=lambda: "Ctrl-C" if begun else "",
        )
        assert time.monotonic() - begun[0] < PROMISED
        assert not child.children(recursive=True)
    assert trial.invalid == "stopped: Ctrl-C"
    assert trial.outcomes == {"cut": trial.n}
    assert trial.n > 5


CONTROLLER = """
import sys
from pathlib import Path
from perfhunt.load.engines import ENGINES
from perfhunt.model.question import EngineName, Question, RequestTemplate, Target
from perfhunt.model.slo import Slo
from perfhunt.model.trial import Phase, Step
name, url, directory = sys.argv[1:]
engine = ENGINES[EngineName(name)]()
traffic = (RequestTemplate("it", "GET", "/"),)
engine.open(Question(Target(url), traffic, Slo(()), engine=EngineName(name)), (), Path(directory))
step = Step(Phase.FIXED, 200, 60.0, 1)
engine.run(step, watch=lambda row: print(engine.child_pid, flush=True))
"""


@pytest.mark.parametrize("victim", ["controller", "child"])
@pytest.mark.parametrize("name", PROGRAMS[1:])
def test_no_program_outlives_who_started_it(
    name: EngineName, victim: str, listener: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CONTROLLER, name, listener, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as controller:
        assert controller.stdout is not None
        child = psutil.Process(int(controller.stdout.readline()))
        family = child.children(recursive=True)
        assert family
        (controller if victim == "controller" else child).kill()
        assert until(lambda: not any(map(alive, family)), within=PROMISED)
        controller.kill()
    before = sum(seen(listener).values())
    time.sleep(0.3)
    assert sum(seen(listener).values()) == before


def alive(process: psutil.Process) -> bool:
    """Whether it still can do anything: in a container nobody may be there to bury an orphan."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_nobody_answers_fails_and_is_told(name: EngineName, tmp_path: Path) -> None:
    with opened(name, f"http://127.0.0.1:{free_port()}", tmp_path) as made:
        trial = made.run(step(40, 1.0))
        drained = made.drain(Drain(cap=0.5))
    assert set(trial.outcomes) == {"connect"}
    assert any("connection refused" in note for note in trial.generator.notes)
    assert not drained.recovered


@pytest.mark.parametrize("name", PROGRAMS)
def test_answers_too_late_count_at_the_timeout(name: EngineName, tmp_path: Path) -> None:
    with (
        announced(*python("timed.py", "constant", "3")) as url,
        opened(name, url, tmp_path, timeout=0.3) as made,
    ):
        trial = made.run(step(40, 1.0))
    assert set(trial.outcomes) == {RequestOutcome.TIMEOUT.name.lower()}


def test_the_program_and_the_probe_share_the_rate() -> None:
    question = Question(Target("http://127.0.0.1:1"), (HOME,), Slo(()), engine=EngineName.K6)
    for rate in (1.0, 10.0, 300.0, 2000.0, 50_000.0):
        probe = probe_rate(rate, question)
        assert 0 < probe <= rate / 2
        assert probe + program_rate(rate, question) == rate


SCRIPT = """
import http from 'k6/http';
import { check, sleep } from 'k6';
import { twice } from './lib.js';
const data = JSON.parse(open('./data.json'));
export const options = {
  scenarios: {
    browse: { executor: 'ramping-arrival-rate', startRate: 1, timeUnit: '1s', preAllocatedVUs: 2,
      stages: [{ target: 30, duration: '10s' }], env: { PLACE: 'browse' } },
    buy: { executor: 'constant-vus', vus: 10, duration: '10s', exec: 'buy' },
  },
  thresholds: { http_req_failed: ['rate<0.01'] },
};
export function setup() { return { token: 'abc' }; }
export default function (given) {
  http.get(`${__ENV.TARGET}/${__ENV.PLACE}?t=${given.token}&n=${twice(data.n)}`);
  sleep(0.3);
}
export function buy() {
  http.batch([['GET', `${__ENV.TARGET}/slow`], ['GET', `${__ENV.TARGET}/slow`]]);
  if (__ENV.PLACE !== undefined) http.get(`${__ENV.TARGET}/another-scenarios-variable`);
}
"""


@with_k6
def test_a_k6_script_runs_unmodified_at_the_rate_that_is_asked_for(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET", listener)
    monkeypatch.setenv("K6_VUS", "77")  # says nothing here
    (tmp_path / "lib.js").write_text("export function twice(n) { return 2 * n; }")
    (tmp_path / "data.json").write_text('{"n": 21}')
    with opened(EngineName.K6, listener, tmp_path, script=SCRIPT) as made:
        assert any("stages" in remark for remark in made.remarks)
        trial = made.run(step(40, 4.0))
        drained = made.drain(Drain(cap=20.0))
    browse, buy = trial.routes["browse"], trial.routes["buy"]
    assert browse.response.n + buy.response.n == 160  # iterations
    assert 1.5 < browse.response.n / buy.response.n < 6  # 30 to 10
    paths = seen(listener)
    # The drain's own are iterations as well.
    assert browse.response.n <= paths["GET /browse"]
    assert 2 * buy.response.n <= paths["GET /slow"] <= 2 * buy.response.n + 20
    assert "GET /another-scenarios-variable" not in paths
    assert browse.response.p50 is not None
    assert browse.response.p50 < 0.15  # without what the script slept
    assert buy.response.p50 is not None
    assert 0.05 <= buy.response.p50 < 0.1  # two requests of 50 ms, at once
    assert drained.recovered


FAILING = """
import http from 'k6/http';
import exec from 'k6/execution';
import { check } from 'k6';
export default function () {
  const answer = http.get(`${__ENV.TARGET}/`);
  if (exec.scenario.iterationInTest % 2) check(answer, { 'never': () => false });
  else throw new Error('boom');
}
"""


@with_k6
def test_an_iteration_whose_check_fails_or_that_throws_has_failed(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET", listener)
    with opened(EngineName.K6, listener, tmp_path, script=FAILING) as made:
        trial = made.run(step(40, 2.0))
    assert trial.outcomes == {"status": 80}
    assert any("exception" in note for note in trial.generator.notes)


LEAVING = """
import http from 'k6/http';
export default function () { http.get(__ENV.TARGET + '/away', { redirects: 5 }); }
"""


@with_k6
@pytest.mark.parametrize("away", ["http://127.0.0.2:{port}/x", "http://127.0.0.1:{other}/x"])
def test_no_request_leaves_for_another_address_or_another_port(
    away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "other" in away and not ports_can_be_kept():
        pytest.skip("this kernel keeps no process to some ports (Landlock 4, Linux 6.7)")
    bystander = Receiver("127.0.0.1" if "other" in away else "127.0.0.2")
    place = away.format(port=bystander.port, other=bystander.port)
    receiver = Receiver(head=f"HTTP/1.1 302 Found\r\nLocation: {place}\r\n")
    if "{port}" in away:  # the same port, at another address
        place = away.format(port=receiver.port)
    monkeypatch.setenv("TARGET", receiver.url)
    with opened(EngineName.K6, receiver.url, tmp_path, script=LEAVING) as made:
        trial = made.run(step(40, 1.0))
    assert set(trial.outcomes) == {"not_cleared"}
    assert len(trial.generator.refused) == 1
    assert bystander.arrivals == []
    receiver.close()
    bystander.close()


@with_k6
@pytest.mark.parametrize("script", ["export default function ( {", "1;", "throw new Error('x')"])
def test_a_script_that_k6_does_not_take_is_an_error_and_no_trial(
    script: str, listener: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(LoadFailed, match="k6 cannot read the script"),
        opened(EngineName.K6, listener, tmp_path, script=script) as made,
    ):
        made.run(step(40, 1.0))
    assert seen(listener) == {}
