"""Scripts that people have: what they sleep is no latency, what fails is told, and what cannot be
run as it stands is refused.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfhunt.errors import TrafficError
from perfhunt.model.latency import RequestOutcome
from perfhunt.model.question import EngineName
from perfhunt.model.slo import Criterion
from perfhunt.model.trial import Trial
from tests.live.load_targets.harness import announced, python, step
from tests.live.load_targets.programs import opened, seen, with_k6

pytestmark = [pytest.mark.live, pytest.mark.beside, with_k6]

HEAD = """
import http from 'k6/http';
import ws from 'k6/ws';
import exec from 'k6/execution';
import { check, sleep } from 'k6';
const at = __ENV.TARGET;
"""
FAILED = {RequestOutcome.STATUS.name.lower()}


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with announced(*python("listener.py")) as url:
        monkeypatch.setenv("TARGET", url)
        yield url


def ran(url: str, directory: Path, script: str, rate: float = 20.0, seconds: float = 3.0) -> Trial:
    with opened(EngineName.K6, url, directory, script=HEAD + script) as made:
        return made.run(step(rate, seconds, stop=True))


def test_what_a_script_sleeps_is_no_latency_and_no_overload(listener: str, tmp_path: Path) -> None:
    trial = ran(listener, tmp_path, "export default () => { http.get(at + '/'); sleep(1.5); };")
    assert not trial.overload and not trial.invalid
    assert dict(trial.outcomes) == {"ok": 60}
    assert trial.response.p99 is not None
    assert trial.response.p99 < 1.0
    assert trial.counts["latency.p99"].exceed == 0


def test_what_a_script_does_before_the_load_is_not_waited_for_as_an_answer(
    listener: str, tmp_path: Path
) -> None:
    script = """
export function setup() { sleep(4); }
export default () => { http.get(at + '/'); };
"""
    trial = ran(listener, tmp_path, script, seconds=2.0)
    assert not trial.overload and not trial.invalid
    assert dict(trial.outcomes) == {"ok": 40}


@pytest.mark.parametrize(
    "before",
    [
        "",
        "http.setResponseCallback(null);",
        r"""exec.vu.metrics.tags['case'] = 'one, \n"two';""",
        r"exec.vu.metrics.metadata['case'] = 'a\nperfhunt=3';",
    ],
)
def test_an_answer_of_500_is_a_failure_whatever_else_the_script_says(
    before: str, listener: str, tmp_path: Path
) -> None:
    script = f"export default () => {{ {before} http.get(at + '/fail'); }};"
    trial = ran(listener, tmp_path, script, seconds=2.0)
    assert "could not be read" not in trial.invalid
    assert set(trial.outcomes) == FAILED
    assert set(trial.routes["default"].statuses) == {500}
    assert seen(listener)["GET /fail"] >= 40


def test_a_websocket_that_is_turned_down_is_a_failure(listener: str, tmp_path: Path) -> None:
    script = """
export default () => { ws.connect(at.replace('http', 'ws') + '/unmet', {}, (s) => s.close()); };
"""
    assert set(ran(listener, tmp_path, script, seconds=2.0).outcomes) == FAILED


def test_scenarios_may_be_chosen_by_the_environment(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PART", "load")
    script = """
const all = {
  smoke: { executor: 'constant-vus', vus: 1, duration: '1s', exec: 'smoke' },
  load: { executor: 'constant-vus', vus: 1, duration: '1s', exec: 'load' },
};
const part = __ENV.PART || 'smoke';
export const options = { scenarios: { [part]: all[part] } };
export function smoke() { http.get(at + '/smoke'); }
export function load() { http.get(at + '/load'); }
"""
    trial = ran(listener, tmp_path, script, seconds=2.0)
    assert [*trial.routes] == ["load"]
    assert "GET /smoke" not in seen(listener)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import x from 'https://jslib.k6.io/x.js';\nexport default () => {};", "imports https://"),
        ("export default () => {", "k6 cannot read the script"),
        (
            """
const one = { executor: 'constant-vus', vus: 1, duration: '1s' };
export const options = { scenarios: { reader: one, writer: one } };
export default () => { if (exec.scenario.name === 'writer') http.post(at + '/'); };
""",
            "which of its scenarios",
        ),
    ],
)
def test_a_script_that_cannot_be_run_as_it_is_is_refused(
    script: str, why: str, listener: str, tmp_path: Path
) -> None:
    with pytest.raises(TrafficError, match=re.escape(why)) as refused:
        ran(listener, tmp_path, script)
    assert refused.value.hint
    assert not {path for path in seen(listener) if path != "GET /seen"}


def _installed(directory: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script of a shell's as k6."""
    real = shutil.which("k6")
    directory.mkdir()
    (directory / "k6").write_text("#!/bin/sh\n" + text.format(k6=real))
    (directory / "k6").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_a_program_within_a_script_of_a_shells_ends_with_its_step(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(tmp_path / "bin", '{k6} "$@"\n', monkeypatch)
    script = "export default () => { for (let i = 0; i < 40; i++) http.get(at + '/slow'); };"
    limit = Criterion("latency.p99", 0.1, 0.01)
    with opened(EngineName.K6, listener, tmp_path, script=HEAD + script, criteria=(limit,)) as made:
        trial = made.run(step(30, 12.0, stop=True))
        assert trial.overload
        assert trial.seconds < 12.0
        before = seen(listener)["GET /slow"]
    assert seen(listener)["GET /slow"] == before


def test_a_program_that_sends_nothing_is_no_slow_service(
    listener: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'if [ "$1" = run ]; then cat >/dev/null; exit 0; fi\n{k6} "$@"\n'
    _installed(tmp_path / "bin", text, monkeypatch)
    script = "export default () => { http.get(at + '/'); };"
    with opened(EngineName.K6, listener, tmp_path, script=HEAD + script) as made:
        trial = made.run(step(20, 2.0))
    assert "k6 sent nothing" in trial.invalid
