"""Both ways of verifying, from the command line to the verdict on disk, with the load and the
processes left out.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from perfhunt.analysis.verdict.pairs import BASE, HEAD
from perfhunt.cli.app import app
from perfhunt.errors import AttachFailed, ChangeRefused, PerfhuntError, Stopped
from perfhunt.jobs.stored.pack import pack_run
from perfhunt.jobs.verify import command as verify_command
from perfhunt.jobs.verify import process as verify_process
from perfhunt.jobs.verify import versions as verify_versions
from perfhunt.jobs.verify.attribution import VersionProfiles
from perfhunt.model.profile import Frame, FrameKind, Profile, ProfileMode
from perfhunt.model.question import Question
from perfhunt.model.run import Run, RunKind
from perfhunt.model.verdict.attribution import Measured
from perfhunt.model.verdict.change import Change
from perfhunt.model.verdict.verdict import Verdict, Word
from perfhunt.store.rundir import RunDirectory
from perfhunt.store.testfile import read_question
from perfhunt.target.launch import ServiceCommand
from tests.git.repositories import git, project_repository, write_files
from tests.sample_run import keep, sample_run

TOML = 'schema = 1\n[target]\nurl = "http://127.0.0.1:1"\n[slo]\nlatency = { p99 = "<= 100ms" }\n'
STOCK = "def level(sku):\n    return 3\n"
FILES = {
    "web/stock.py": STOCK,
    "web/pages.py": "def title(name):\n    return name.title()\n",
    "perfhunt.toml": TOML,
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    project_repository(root, {**FILES, ".gitignore": ".perfhunt/\n"})
    monkeypatch.chdir(root / "web")
    return root


def verify(
    *words: str, command: tuple[str, ...] = ()
) -> tuple[int, list[str], BaseException | None]:
    done = CliRunner().invoke(app, ["verify", *words, "--json"], obj=command)
    return done.exit_code, done.stdout.splitlines(), done.exception


def profiles(waiting: float, file: str = "web/stock.py") -> VersionProfiles:
    level, page = Frame("level", file, 2), Frame("title", "web/pages.py")
    stacks = {(level, Frame("[lock]", kind=FrameKind.WAIT)): waiting, (page,): 50.0}
    return VersionProfiles(
        Measured(Profile("py-spy dump", "", ProfileMode.WALL, 8.0, 10.0, stacks, ticks=80), 100.0)
    )


class Bench:
    """What was asked of a bench that measures nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, word: Word) -> None:
        self.texts: dict[str, str] = {}
        self.words: tuple[str, ...] = ()
        self.question: Question | None = None
        self.budget = 0.0
        self.word = word
        monkeypatch.setattr(verify_command, "paired_bench", self.paired_bench)
        monkeypatch.setattr(
            verify_versions, "survey", lambda question, _: SimpleNamespace(question=question)
        )
        monkeypatch.setattr(verify_command, "verify_paired", self.verify_paired)
        monkeypatch.setattr(
            verify_command,
            "profile_versions",
            lambda *_: {BASE: profiles(400.0), HEAD: profiles(1.0)},
        )

    @contextmanager
    def paired_bench(
        self,
        question: Question,
        commands: Mapping[str, ServiceCommand],
        directory: Path,
        watch: object,
        change: Change,
    ) -> Iterator[object]:
        directory.mkdir(parents=True)
        self.question = question
        self.texts = {
            name: (command.directory / "stock.py").read_text() for name, command in commands.items()
        }
        self.words = commands[HEAD].words
        yield SimpleNamespace(bench=SimpleNamespace(watch=watch), starter=None)

    def verify_paired(
        self, paired: object, bench: object, budget: float, analysis: object
    ) -> Verdict:
        self.budget = budget
        return Verdict(self.word, "as was asked for", "paired", pairs=6, looks=1, seconds=200.0)


def test_both_versions_are_checked_out_and_started_where_the_command_was_typed(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch, Word.KEEP)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    code, lines, _ = verify(
        "--base", "HEAD", "--budget", "6m", command=("serve", "--port", "{port}")
    )
    event = json.loads(lines[-1])
    assert (code, event["word"]) == (0, "KEEP")
    assert bench.texts == {BASE: STOCK, HEAD: STOCK.replace("3", "4")}
    assert bench.words == ("serve", "--port", "{port}")
    assert bench.budget == 360.0
    assert bench.question is not None
    assert bench.question.target.environment == "local"
    assert [(d["function"], d["word"]) for d in event["attribution"]["demands"]] == [
        ("level", "shrunk")
    ]
    kept = Path(event["directory"])
    assert "<svg" in (kept / "difference.svg").read_text()
    assert b"+    return 4" in (kept / "change.patch").read_bytes()
    assert len(git(shop, "worktree", "list").splitlines()) == 1


def test_versions_that_both_ran_the_users_own_copy_were_not_compared(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bench(monkeypatch, Word.NO_CHANGE)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    own = profiles(1.0, str(shop / "web/stock.py"))
    monkeypatch.setattr(verify_command, "profile_versions", lambda *_: {BASE: own, HEAD: own})
    code, lines, _ = verify("--base", "HEAD", command=("serve", "--port", "{port}"))
    event = json.loads(lines[-1])
    assert (code, event["word"]) == (91, "INVALID")
    assert "of your own tree" in event["verdict"]["reason"]


def test_ci_gets_the_verdict_as_files_and_notes_beside_the_lines_of_the_edit(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bench(monkeypatch, Word.REVERT)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    words = ("verify", "--base", "HEAD", "--quiet", "--artifacts", "out")
    done = CliRunner().invoke(app, words, obj=("serve",))
    assert done.exit_code == 90
    left = shop / "web" / "out"
    comment = (left / "comment.md").read_text()
    assert "perfhunt: REVERT" in comment.splitlines()[1]
    assert summary.read_text() in comment
    for name in ("difference.svg", "verdict.json", "change.patch", "junit-verdict.xml"):
        assert (left / name).stat().st_size
    assert done.stdout == "REVERT: as was asked for\n"
    assert "::error file=web/stock.py,line=2,title=perfhunt%3A REVERT" in done.stderr


def test_a_folder_for_ci_that_is_none_costs_no_verdict(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bench(monkeypatch, Word.REVERT)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4"), "web/.perfhunt/out": ""})
    code, lines, _ = verify("--base", "HEAD", "--artifacts", ".perfhunt/out", command=("serve",))
    event = json.loads(lines[-1])
    assert (code, event["word"]) == (90, "REVERT")
    told = [caution["sentence"] for caution in event["verdict"]["cautions"]]
    assert any("copies in .perfhunt/out are missing" in sentence for sentence in told)


def test_a_program_in_an_ignored_environment_is_found_in_the_users_own_tree(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch, Word.KEEP)
    write_files(
        shop,
        {
            "web/stock.py": STOCK.replace("3", "4"),
            "web/.perfhunt/bin/serve": "",
            "web/start.sh": "",
        },
    )
    git(shop, "add", "web/start.sh")
    for typed, started in (
        (".perfhunt/bin/serve", str(shop / "web/.perfhunt/bin/serve")),
        ("./start.sh", "./start.sh"),
    ):
        verify("--base", "HEAD", "--compound", "both", command=(typed, "-x"))
        assert bench.words == (started, "-x")


def test_a_slower_version_is_taken_out_of_the_working_tree_on_request(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bench(monkeypatch, Word.REVERT)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    code, lines, _ = verify("--base", "HEAD", "--revert", command=("serve",))
    assert code == 90
    assert "was taken out" in json.loads(lines[-1])["verdict"]["next_step"]
    assert git(shop, "status", "--short") == ""


def test_without_that_request_the_working_tree_is_left_alone(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Bench(monkeypatch, Word.REVERT)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    _, lines, _ = verify("--base", "HEAD", command=("serve",))
    assert "apply -R" in json.loads(lines[-1])["verdict"]["next_step"]
    assert git(shop, "status", "--short") != ""


def test_two_changes_are_refused_before_anything_is_started(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch, Word.KEEP)
    write_files(
        shop,
        {
            "web/stock.py": STOCK.replace("3", "4"),
            "web/pages.py": "def title(name):\n    return name.upper()\n",
        },
    )
    _, _, error = verify("--base", "HEAD", command=("serve",))
    assert isinstance(error, ChangeRefused)
    assert "web/pages.py" in error.message
    assert bench.words == ()
    code, lines, _ = verify("--base", "HEAD", "--compound", "one release", command=("serve",))
    event = json.loads(lines[-1])
    assert (code, event["verdict"]["attributable"], event["change"]["compound"]) == (
        0,
        False,
        "one release",
    )


@pytest.mark.parametrize(
    "trouble",
    [AttachFailed("ptrace is forbidden", "ask root"), Stopped("ptrace is forbidden: SIGTERM")],
)
def test_a_verdict_stands_when_the_profiling_after_it_fails_or_is_stopped(
    shop: Path, monkeypatch: pytest.MonkeyPatch, trouble: PerfhuntError
) -> None:
    Bench(monkeypatch, Word.KEEP)

    def fails(*_: object) -> object:
        raise trouble

    monkeypatch.setattr(verify_command, "profile_versions", fails)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    code, lines, _ = verify("--base", "HEAD", command=("serve",))
    event = json.loads(lines[-1])
    assert (code, event["word"], event["attribution"]) == (0, "KEEP", None)
    assert "ptrace is forbidden" in event["verdict"]["cautions"][0]["sentence"]


@pytest.fixture
def investigated(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A stored investigation of HEAD, and a target that looks like it did then."""
    whole = sample_run()
    revision = git(shop, "rev-parse", "HEAD")
    found = replace(whole.environment, git_revision=revision, git_dirty=False)
    assert whole.target is not None
    target = replace(whole.target, git_root=str(shop))
    run = replace(whole, environment=found, target=target)
    store = shop / "web" / ".perfhunt"
    keep(store, run)
    monkeypatch.setattr(verify_process, "question_again", lambda stored, *_: stored.question)
    monkeypatch.setattr(verify_process, "aimed", lambda _, asked: nullcontext((asked, target)))
    monkeypatch.setattr(verify_process, "stale", lambda *_: ())
    monkeypatch.setattr(verify_process, "surroundings", lambda *_: found)

    @contextmanager
    def bench(*_: object) -> Iterator[object]:
        yield SimpleNamespace(store=store)

    def again(question: Question, lab: SimpleNamespace, options: object) -> Run:
        new = replace(run, id="20261123T060000Z-ffffff", kind=RunKind.VERIFY, question=question)
        lab.place = RunDirectory.create(store, new).finish(new)
        return new

    monkeypatch.setattr(verify_process, "workbench", bench)
    monkeypatch.setattr(verify_process, "investigate", again)
    return run


def test_a_restarted_service_is_asked_again_and_the_verdict_lies_beside_the_new_run(
    shop: Path, investigated: Run
) -> None:
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    code, lines, _ = verify("--pid", "4242")
    event = json.loads(lines[-1])
    assert (code, event["word"]) == (
        91,
        "INCONCLUSIVE",
    )  # the very same figures, with the noise of one restart
    assert event["verdict"]["method"] == "rerun"
    assert (Path(event["directory"]) / "run.json").exists()
    assert (
        json.loads((Path(event["directory"]) / "verdict.json").read_text())["word"]
        == "INCONCLUSIVE"
    )


def test_a_service_whose_surroundings_changed_is_invalid_and_gets_no_load(
    shop: Path, investigated: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    newer = replace(investigated.environment, kernel="6.9.0")
    monkeypatch.setattr(verify_process, "surroundings", lambda *_: newer)
    code, lines, _ = verify("--pid", "4242")
    event = json.loads(lines[-1])
    assert (code, event["word"], event["directory"]) == (91, "INVALID", None)
    assert "kernel was 6.8.0, and is 6.9.0" in event["verdict"]["reason"]


def test_a_packed_baseline_of_another_host_is_invalid_with_what_holds_there_instead(
    shop: Path, investigated: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = read_question(None, shop / "web", {})
    keep(tmp_path / "main", replace(investigated, question=asked))
    file = tmp_path / "baseline.pack"
    file.write_bytes(pack_run("last", tmp_path / "main").content)
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    there = replace(investigated.environment, host="elsewhere")
    monkeypatch.setattr(verify_process, "surroundings", lambda *_: there)
    code, lines, _ = verify("--pid", "4242", "--against", str(file))
    event = json.loads(lines[-1])
    assert (code, event["word"]) == (91, "INVALID")
    assert "and is elsewhere" in event["verdict"]["reason"]
    assert "-- COMMAND in the place of --pid" in event["verdict"]["next_step"]


def test_a_process_that_does_not_run_the_edit_is_refused(
    shop: Path, investigated: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(shop, {"web/stock.py": STOCK.replace("3", "4")})
    monkeypatch.setattr(
        verify_process, "stale", lambda *_: ("process 4242 started 9 s before the edit",)
    )
    _, _, error = verify("--pid", "4242")
    assert isinstance(error, ChangeRefused)
    assert "Restart the service" in error.hint
