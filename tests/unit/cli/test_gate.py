"""What CI goes by: exit codes that are zeroed on request, a night's word, a packed baseline."""

from __future__ import annotations

import json
import platform
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from perfhunt.cli import advisory
from perfhunt.cli.app import app
from perfhunt.errors import PerfhuntError, QuestionError, UnsafeTarget, UsageError
from perfhunt.jobs.gate import nightly
from perfhunt.jobs.gate.nightly import NightlyRequest, baseline_for, run_nightly
from perfhunt.jobs.request import InvestigateRequest
from perfhunt.jobs.stored.pack import pack_run
from perfhunt.jobs.verify.request import VerifyRequest
from perfhunt.jobs.verify.stored import with_baseline
from perfhunt.model.question import Question, TargetEnvironment
from perfhunt.model.run import Environment, Noted, Run, RunEnd
from perfhunt.model.slo import Judgement
from perfhunt.store.digest_key import mark_of
from perfhunt.store.testfile import read_question
from tests.sample_run import keep, moved, sample_run

A, B = "20261123T043000Z-aaaaaa", "20261123T053000Z-bbbbbb"
TOML = """schema = 1
[target]
url = "http://127.0.0.1:1"
[[traffic]]
name = "page"
request = "GET /"
[slo]
latency = { p99 = "<= 100ms" }
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a run, and one of a service half as fast."""
    keep(tmp_path / "kept", replace(sample_run(), id=A))
    keep(tmp_path / "kept", moved(sample_run(), 0.5, B))
    return tmp_path / "kept"


def compare(store: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["compare", A, B, *words, "--store", str(store)])
    return done.exit_code, done.stdout, done.stderr


def test_a_regression_that_is_advisory_is_told_as_it_is_and_exits_with_zero(store: Path) -> None:
    code, said, _ = compare(store)
    waved, same, note = compare(store, "--exit-zero-on", "91, 90")
    assert (code, waved) == (90, 0)
    assert same == said and "VERDICT REVERT" in said
    assert "exit code 0 and not 90" in note
    _, as_json, _ = compare(store, "--exit-zero-on", "90", "--json")
    assert json.loads(as_json)["exit_code"] == 90


def test_a_comparison_is_in_the_steps_summary(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    code, _, _ = compare(store)
    assert code == 90
    assert "perfhunt: REVERT" in (tmp_path / "summary").read_text()


def test_another_code_than_the_advisory_one_stays(store: Path) -> None:
    code, _, note = compare(store, "--exit-zero-on", "91,99")
    assert (code, note) == (90, "")


@pytest.mark.parametrize("codes", ["93", "0", "ninety", "90,", "90;91", "1"])
@pytest.mark.parametrize("verb", ["compare", "verify", "investigate", "smoke", "nightly"])
def test_what_is_no_verdict_cannot_be_waved_through(verb: str, codes: str, tmp_path: Path) -> None:
    words = [verb, *(("a",) if verb == "compare" else ()), "--exit-zero-on", codes]
    done = CliRunner().invoke(app, [*words, "--store", str(tmp_path / "none")])
    assert isinstance(done.exception, UsageError)
    assert "--exit-zero-on" in done.exception.message and "90" in done.exception.hint
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("codes", "given", "end"),
    [
        ((99, 90), "", 99),
        ((99, 90), "99", 90),
        ((99, 90), "90", 99),
        ((99, 90), "90,99", 0),
        ((91,), "91", 0),
        ((0,), "91", 0),
    ],
)
def test_the_gravest_that_is_not_advisory_is_the_exit_code(
    codes: tuple[int, ...], given: str, end: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        advisory.leave(*codes, advisory=given)
    assert ended.value.exit_code == end
    assert ("--exit-zero-on" in capsys.readouterr().err) == bool(
        {*given.split(",")} & {*map(str, codes)}
    )


def question(tmp_path: Path, store: Path, text: str = TOML) -> Question:
    (tmp_path / "perfhunt.toml").write_text(text)
    return read_question(tmp_path / "perfhunt.toml", tmp_path, {}, mark=mark_of(store))


def of_here(run: Run, asked: Question) -> Run:
    """The run as if it had been made on this host, of that question."""
    here = replace(run.environment, host=platform.node())
    return replace(run, question=asked, environment=here)


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The runs that nights come to, one after the other; nothing is sent."""
    runs: list[Run] = []
    target = sample_run().target
    monkeypatch.setattr(nightly, "question_of", lambda request: read_question(
        request.file, tmp_path, {}, mark=mark_of(request.store)))  # fmt: skip
    monkeypatch.setattr(nightly, "aimed", lambda request, asked: nullcontext((asked, target)))

    def asked(request: InvestigateRequest, *_: object) -> Run:
        keep(request.store, runs[0])
        return runs.pop(0)

    monkeypatch.setattr(nightly, "run_asked", asked)
    return runs


def test_the_first_night_is_the_baseline_of_the_second_and_half_as_fast_is_worse(
    tmp_path: Path, night: list[Run]
) -> None:
    store = tmp_path / "nights"
    asked = question(tmp_path, store)
    request = NightlyRequest(
        InvestigateRequest(
            store=store, file=tmp_path / "perfhunt.toml", artifacts=tmp_path / "artifacts"
        )
    )
    met = replace(of_here(sample_run(), asked), verdict=Judgement.MET, exit_code=0)
    night.append(replace(met, id=A))
    told: list[str] = []

    def watch(event: object) -> None:
        told.append(event.sentence if isinstance(event, Noted) else "")

    first = run_nightly(request, watch)
    assert (first.verdict, first.exit_codes) == (None, (0,))
    assert "no run here was asked the same" in told[0]
    night.append(replace(moved(met, 0.5, B), verdict=Judgement.MET, exit_code=0))
    second = run_nightly(request, watch)
    assert second.baseline is not None and second.baseline.id == A
    assert second.exit_codes == (90,)
    comment = (tmp_path / "artifacts" / "comment.md").read_text()
    assert "perfhunt: REVERT" in comment.splitlines()[1]


def test_a_night_that_misses_its_slo_and_is_worse_says_both_the_miss_first(
    tmp_path: Path, night: list[Run]
) -> None:
    store = tmp_path / "nights"
    asked = question(tmp_path, store)
    keep(store, replace(of_here(sample_run(), asked), id=A))
    night.append(replace(moved(of_here(sample_run(), asked), 0.5, B), exit_code=99))
    done = CliRunner().invoke(
        app, ["nightly", A, "-f", str(tmp_path / "perfhunt.toml"), "--store", str(store), "-q",
              "--exit-zero-on", "99"]
    )  # fmt: skip
    assert done.exit_code == 90, done.output
    assert "REVERT" in done.stdout and "exit code 90 and not 99" in done.stderr


def test_a_night_against_a_baseline_of_another_host_is_not_known_and_that_is_said_first(
    tmp_path: Path, night: list[Run]
) -> None:
    store = tmp_path / "nights"
    asked = question(tmp_path, store)
    elsewhere = replace(sample_run(), question=asked, environment=Environment(host="elsewhere"))
    keep(tmp_path / "other", replace(elsewhere, id=A))
    file = tmp_path / "a.pack"
    file.write_bytes(pack_run("last", tmp_path / "other").content)
    night.append(replace(of_here(sample_run(), asked), id=B, exit_code=0))
    told: list[str] = []
    request = InvestigateRequest(store=store, file=tmp_path / "perfhunt.toml")
    result = run_nightly(
        NightlyRequest(request, against=file), lambda e: told.append(getattr(e, "sentence", ""))
    )
    assert "another host" in told[0] and "elsewhere" in told[0]
    assert result.exit_codes == (91,)


def test_production_is_refused_whoever_consents(
    tmp_path: Path, night: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TOML.replace("[target]\n", f'[target]\nenvironment = "{TargetEnvironment.PRODUCTION}"\n')
    monkeypatch.setenv("PERFHUNT_PRODUCTION_OK", "127.0.0.1:2026-11-27")
    question(tmp_path, tmp_path / "s", text)
    request = InvestigateRequest(store=tmp_path / "s", file=tmp_path / "perfhunt.toml")
    with pytest.raises(UnsafeTarget) as refused:
        run_nightly(NightlyRequest(request))
    assert int(refused.value.exit_code) == 93 and refused.value.hint


def pack_of(tmp_path: Path, run: Run) -> Path:
    keep(tmp_path / "main", run)
    (tmp_path / "a.pack").write_bytes(pack_run("last", tmp_path / "main").content)
    return tmp_path / "a.pack"


def test_a_baseline_that_was_asked_something_else_is_refused_with_what_differs(
    tmp_path: Path,
) -> None:
    store = tmp_path / "here"
    other = question(tmp_path, store, TOML.replace("100ms", "200ms"))
    file = pack_of(tmp_path, replace(sample_run(), question=other))
    asked = question(tmp_path, store)
    verify = VerifyRequest(against=file, file=tmp_path / "perfhunt.toml", store=store)
    request = NightlyRequest(InvestigateRequest(store=store), against=file)
    for refuse in (lambda: with_baseline(verify), lambda: baseline_for(request, asked)):
        with pytest.raises(QuestionError, match=r"limit: 0\.2 -> 0\.1") as refused:
            refuse()
        assert refused.value.hint


def test_a_baseline_of_another_stores_key_says_how_to_give_this_one_the_key(
    tmp_path: Path,
) -> None:
    text = TOML.replace('request = "GET /"', 'request = "POST /"\nbody = "a secret"')
    file = pack_of(
        tmp_path, replace(sample_run(), question=question(tmp_path, tmp_path / "main", text))
    )
    verify = VerifyRequest(against=file, file=tmp_path / "perfhunt.toml", store=tmp_path / "here")
    with pytest.raises(QuestionError, match="keys of two stores") as refused:
        with_baseline(verify)
    assert "digest.key" in refused.value.hint
    same = replace(verify, store=tmp_path / "main")
    run = with_baseline(same).run
    assert isinstance(run, Run) and run.id == sample_run().id


def test_a_baseline_is_one_thing_and_whole(tmp_path: Path) -> None:
    file = pack_of(tmp_path, sample_run())
    for refuse in (
        lambda: with_baseline(VerifyRequest(run=A, against=file)),
        lambda: baseline_for(
            NightlyRequest(InvestigateRequest(), baseline=A, against=file), sample_run().question
        ),
    ):
        with pytest.raises(UsageError, match="both name"):
            refuse()
    cut = pack_of(tmp_path, replace(sample_run(), id=B, ended=f"{RunEnd.FAILED}: no"))
    with pytest.raises(PerfhuntError, match="cut short"):
        with_baseline(VerifyRequest(against=cut))


def test_packing_and_unpacking_by_their_verbs(store: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    packed = run(app, ["pack", A, "--store", str(store)])
    assert packed.exit_code == 0 and packed.stdout_bytes[:2] == b"\x1f\x8b"
    assert run(app, ["pack", A, "-o", str(tmp_path / "b"), "--store", str(store)]).exit_code == 0
    assert (tmp_path / "b").read_bytes() == packed.stdout_bytes
    there = run(app, ["unpack", str(tmp_path / "b"), "--store", str(tmp_path / "new")])
    assert f"new/runs/{A}" in there.stdout
    listed = run(app, ["history", "--store", str(tmp_path / "new")])
    assert A in listed.stdout and B not in listed.stdout
