"""What `verify` says and refuses, without load: the question asked again, the attribution, the
words.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.analysis.change.changed_frames import is_frame_of
from perfhunt.change.git.repository import Repository
from perfhunt.cli.app import app
from perfhunt.cli.verbs.verify import show
from perfhunt.errors import QuestionError, UsageError
from perfhunt.jobs.request import duration_of
from perfhunt.jobs.verify.attribution import (
    VersionProfiles,
    attributed,
    difference_picture,
    profiles_of,
    waiting_share,
)
from perfhunt.jobs.verify.edit_patch import EditPatch, refuse_to_rewrite
from perfhunt.jobs.verify.keeping import keep
from perfhunt.jobs.verify.process import explained
from perfhunt.jobs.verify.profiles import in_place
from perfhunt.jobs.verify.request import VerifyRequest, VerifyResult
from perfhunt.jobs.verify.stored import question_again, stored_run
from perfhunt.jobs.verify.verify import concluded
from perfhunt.model.interval import Interval
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode, Stack
from perfhunt.model.run import Run, RunKind
from perfhunt.model.verdict.attribution import Measured
from perfhunt.model.verdict.change import Atom, Change, Kind, OneChange, Piece
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.store.digest_key import mark_of
from perfhunt.store.testfile import read_question
from tests.sample_run import keep as keep_run
from tests.sample_run import sample_run

ATOM = Atom(Kind.CODE, "shop/warehouse.py", "stock_level")
ONE = OneChange(Change("/srv/shop", "a" * 40, "", (ATOM,)), (Piece((ATOM,)),), "one-atom", "")
PAGE, LEVEL = Frame("product", "shop/app.py"), Frame("stock_level", "shop/warehouse.py")
LOCK = Frame("[lock]", kind=FrameKind.WAIT)
PATCH = EditPatch(Repository(Path("/srv/shop")), b"patch")

STORE = Path(".perfhunt")
TOML = """schema = 1
[target]
url = "http://127.0.0.1:1"
[[traffic]]
name = "order"
request = "POST /order"
headers = { Authorization = "Basic c2VjcmV0" }
json = { sku = "A1" }
[slo]
latency = { p99 = "<= 100ms" }
"""


def wall(waiting: float, working: float, ticks: int = 100) -> Measured:
    """A wall profile at 50 requests/s: threads that wait below stock_level, and threads that do
    other work.
    """
    stacks = {(PAGE, LEVEL, LOCK): waiting, (PAGE,): working}
    return Measured(
        Profile("py-spy dump", "", ProfileMode.WALL, 8.0, 12.0, stacks, ticks=ticks), 50.0
    )


def on_cpu(inside: float, outside: float) -> Measured:
    stacks = {(PAGE, LEVEL): inside, (PAGE,): outside}
    return Measured(Profile("py-spy", "0.4.1", ProfileMode.CPU, 100.0, 10.0, stacks), 50.0, 0.5)


def test_a_lock_taken_out_is_attributed_to_the_edited_function_and_no_share_bounds_the_gain() -> (
    None
):
    found = attributed(
        ONE,
        VersionProfiles(wall(400.0, 100.0)),
        VersionProfiles(wall(4.0, 100.0)),
        Interval(2.0, 1.5, 2.6, 6),
    )
    assert found is not None
    (demand,) = found.demands
    assert (demand.function, demand.word) == ("stock_level", "shrunk")
    assert demand.before.value == pytest.approx(
        400 / 100 / 50
    )  # threads there over requests per second: Little's law
    assert (found.bound, found.explained) == (None, None)
    assert any("of the edited code's thread time was waiting" in s for s in found.sentences)


def test_a_wait_that_grew_is_no_code_that_cost_moved_to() -> None:
    polled: dict[Stack, float] = {(PAGE, LEVEL, Frame("[poll]", kind=FrameKind.WAIT)): 390.0}
    after = Profile("py-spy dump", "", ProfileMode.WALL, 8.0, 12.0, polled, ticks=100)
    found = attributed(
        ONE, VersionProfiles(wall(400.0, 0.0)), VersionProfiles(Measured(after, 50.0)), None
    )
    assert found is not None
    assert found.moved == ()


def test_sockets_whose_paths_differ_from_start_to_start_are_one_box_of_the_picture() -> None:
    def waiting(path: str) -> VersionProfiles:
        stacks: dict[Stack, float] = {
            (PAGE, LEVEL, Frame(f"[socket unix:{path}]", kind=FrameKind.WAIT)): 10.0
        }
        return VersionProfiles(
            Measured(
                Profile("py-spy dump", "", ProfileMode.WALL, 8.0, 12.0, stacks, ticks=100), 50.0
            )
        )

    picture = difference_picture(waiting("/tmp/a/w.sock"), waiting("/tmp/b/w.sock"), "two starts")
    assert "[socket unix]" in picture
    assert "Vanished" not in picture


def test_a_gain_beyond_what_the_edited_code_used_of_the_cpu_is_called_out() -> None:
    before, after = (
        VersionProfiles(wall(0.0, 100.0), on_cpu(50.0, 950.0)),
        VersionProfiles(wall(0.0, 100.0), on_cpu(5.0, 950.0)),
    )
    found = attributed(ONE, before, after, Interval(0.5, 0.4, 0.6, 6))
    assert found is not None
    assert found.explained is False  # 5 % of the CPU, all gone, brings 5.3 %
    assert any("more than the edit can explain" in s for s in found.sentences)


def rows(computing: float, waiting: float = 0.0) -> Measured:
    """A wall profile in which the edited function computes, and may wait."""
    stacks = {
        (PAGE, LEVEL): computing,
        (PAGE, LEVEL, LOCK): waiting,
        (PAGE,): 100.0 - computing - waiting,
    }
    return Measured(
        Profile("py-spy dump", "", ProfileMode.WALL, 8.0, 12.0, stacks, ticks=100), 50.0
    )


def test_code_that_computes_is_compared_by_its_cpu_time_of_which_there_are_many_samples() -> None:
    found = attributed(
        ONE,
        VersionProfiles(rows(5.0), on_cpu(400.0, 600.0)),
        VersionProfiles(rows(8.0), on_cpu(800.0, 600.0)),
        None,
    )
    assert found is not None
    (demand,) = found.demands
    assert (demand.word, demand.before.n) == ("grown", 1000)


def test_code_that_began_to_wait_is_compared_by_its_thread_time() -> None:
    found = attributed(
        ONE,
        VersionProfiles(rows(20.0), on_cpu(400.0, 600.0)),
        VersionProfiles(rows(20.0, 60.0), on_cpu(400.0, 600.0)),
        None,
    )
    assert found is not None
    (demand,) = found.demands
    assert (demand.word, demand.before.n) == ("grown", 100)


def test_what_cannot_be_told_apart_is_given_with_both_intervals() -> None:
    found = attributed(
        ONE, VersionProfiles(None, on_cpu(4.0, 6.0)), VersionProfiles(None, on_cpu(8.0, 6.0)), None
    )
    assert found is not None
    assert "no clear difference" in found.sentences[0]
    assert found.sentences[0].count(" to ") == 2


def test_unlike_profiles_are_not_compared() -> None:
    assert (
        attributed(
            ONE, VersionProfiles(wall(1.0, 1.0)), VersionProfiles(None, on_cpu(1.0, 1.0)), None
        )
        is None
    )


def test_two_checkouts_name_the_same_function_alike() -> None:
    stacks: dict[Stack, float] = {
        (Frame("f", "/tmp/perfhunt-checkout-1/shop/shop/a.py", 3), Frame("g", "/usr/lib/b.py")): 2.0
    }
    found = in_place(
        Profile("t", "", ProfileMode.CPU, 1.0, 1.0, stacks), "/tmp/perfhunt-checkout-1/shop"
    )
    ((stack, weight),) = found.stacks.items()
    assert ([f.file for f in stack], weight) == (["shop/a.py", "/usr/lib/b.py"], 2.0)
    assert is_frame_of(stack[0], Atom(Kind.CODE, "shop/a.py", "f"))


def test_the_waiting_share_counts_only_stacks_of_the_edited_code() -> None:
    assert waiting_share(wall(30.0, 70.0).profile, (ATOM,)) == 1.0
    assert waiting_share(on_cpu(30.0, 70.0).profile, (ATOM,)) == 0.0
    assert waiting_share(Profile("t", "", ProfileMode.WALL, 1.0, 1.0, {}), (ATOM,)) == 0.0


def test_a_run_without_a_hold_has_no_profile_to_compare() -> None:
    assert profiles_of(replace(sample_run(), trials=())) == VersionProfiles()
    assert difference_picture(VersionProfiles(), VersionProfiles(), "") == ""


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stored run of the question in perfhunt.toml, as it is read back: without bodies and header
    values.
    """
    (tmp_path / "perfhunt.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    question = read_question(None, tmp_path, {}, mark=mark_of(STORE))
    return replace(sample_run(), question=question.redacted())


def test_what_a_stored_run_may_not_hold_comes_from_the_test_file(compared: Run) -> None:
    (endpoint,) = question_again(compared, None, STORE).traffic
    assert endpoint.body == '{"sku":"A1"}'
    assert dict(endpoint.headers)["Authorization"] == "Basic c2VjcmV0"


def test_a_stored_question_wins_over_an_slo_edited_since(compared: Run, tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_text(TOML.replace("100ms", "900ms"))
    again = question_again(compared, None, STORE)
    assert again.slo == compared.question.slo
    assert again.traffic[0].body == '{"sku":"A1"}'


def test_bodies_that_are_nowhere_to_be_had_are_not_made_up(compared: Run, tmp_path: Path) -> None:
    (tmp_path / "perfhunt.toml").write_text(TOML.replace("A1", "B2"))
    with pytest.raises(QuestionError, match="does not ask what run") as refused:
        question_again(compared, None, STORE)
    assert int(refused.value.exit_code) == 104


def test_options_of_a_locustfile_are_asked_again_with_the_values_of_the_test_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        'locustfile = "l.py"\n[locust]\noptions = { tenant = "%s" }\n'
        '[slo]\nlatency = { p99 = "<= 1s" }\n'
    )
    (tmp_path / "l.py").write_text("")
    (tmp_path / "perfhunt.toml").write_text(text % "acme")
    monkeypatch.chdir(tmp_path)
    asked = read_question(None, tmp_path, {}, mark=mark_of(STORE))
    assert asked.locust_options == (("tenant", ("acme",)),)
    stored = replace(sample_run(), question=asked.redacted())
    assert "acme" not in repr(stored)
    assert question_again(stored, None, STORE).locust_options == asked.locust_options
    (tmp_path / "perfhunt.toml").write_text(text % "globex")
    with pytest.raises(QuestionError, match="does not ask what run"):
        question_again(stored, None, STORE)


def test_a_store_without_an_investigation_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no investigation") as refused:
        stored_run(VerifyRequest(store=tmp_path / "none"))
    assert "perfhunt investigate" in refused.value.hint


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (replace(sample_run(), ended="stopped: ^C"), "cut short"),
        (replace(sample_run(), kind=RunKind.PROFILE), "is a profile"),
    ],
    ids=["stopped", "profile"],
)
def test_runs_that_measured_no_whole_ramp_are_refused(tmp_path: Path, run: Run, said: str) -> None:
    keep_run(tmp_path, run)
    with pytest.raises(UsageError, match=said):
        stored_run(VerifyRequest(run=run.id, store=tmp_path))


def result(word: Word, directory: Path | None) -> VerifyResult:
    return VerifyResult(
        Verdict(word, "CPU per request is as if 12 % slower", "paired"), ONE, PATCH, directory
    )


def test_json_carries_word_exit_code_and_where_it_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(keep(concluded(result(Word.REVERT, tmp_path))), as_json=True, quiet=False)
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["word"], event["exit_code"]) == ("verdict", "REVERT", 90)
    assert event["directory"] == str(tmp_path)
    kept = json.loads((tmp_path / "verdict.json").read_text())
    assert kept["verdict"]["reason"] == "CPU per request is as if 12 % slower"
    assert (tmp_path / "change.patch").read_bytes() == b"patch"


def test_quiet_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show(result(Word.KEEP, tmp_path), as_json=False, quiet=True)
    assert capsys.readouterr().out == "KEEP: CPU per request is as if 12 % slower\n"


def test_a_revert_names_the_git_command_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(concluded(result(Word.REVERT, tmp_path)), as_json=False, quiet=False)
    assert f"apply -R {tmp_path}/change.patch" in capsys.readouterr().out


def test_a_regression_in_history_is_taken_back_by_a_commit(tmp_path: Path) -> None:
    past = replace(PATCH, base="a" * 40, revision="b" * 40)
    step = concluded(replace(result(Word.REVERT, tmp_path), patch=past)).verdict.next_step
    assert f"git revert --no-commit {'a' * 12}..{'b' * 12}" in step


def test_history_is_never_rewritten_on_request() -> None:
    with pytest.raises(UsageError, match="--head names a revision"):
        refuse_to_rewrite(True, "HEAD")


def test_a_verdict_that_measured_nothing_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    verdict = Verdict(Word.INVALID, "the kernel was 6.8, and is 6.9", "rerun")
    show(
        keep(concluded(replace(result(Word.INVALID, None), verdict=verdict))),
        as_json=False,
        quiet=False,
    )
    assert capsys.readouterr().out.startswith("VERDICT INVALID")
    assert list(tmp_path.iterdir()) == []


def test_what_the_kind_of_change_accounts_for() -> None:
    def of(kind: Kind) -> frozenset[str]:
        atom = Atom(kind, "x", "x")
        return explained(OneChange(ONE.change, (Piece((atom,)),), "one-atom", ""))

    assert of(Kind.CODE) == frozenset()
    assert of(Kind.DEPENDENCY) == {"distributions"}
    assert of(Kind.CONFIG) == {"env_sha256", "workers"}


def test_a_budget_needs_its_unit() -> None:
    assert duration_of("--budget", "5m") == 300.0
    with pytest.raises(UsageError, match="--budget"):
        duration_of("--budget", "5")


def test_a_running_process_and_a_command_are_not_asked_for_at_once() -> None:
    done = CliRunner().invoke(app, ["verify", "--pid", "1"], obj=("serve",))
    assert isinstance(done.exception, UsageError)
    assert "Give one of them" in done.exception.hint
