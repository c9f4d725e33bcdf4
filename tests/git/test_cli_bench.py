"""`perfhunt bench` with a timer whose every reading is known."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.cli.app import app
from perfhunt.cli.verbs.bench import summary
from perfhunt.errors import ChangeRefused, StoreError, UsageError
from perfhunt.jobs.bench import bench as jobs_bench
from perfhunt.jobs.bench import measuring
from perfhunt.jobs.bench.bench import run_bench
from perfhunt.jobs.bench.request import BenchRequest
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports import hyperfine
from perfhunt.target.command_timer import Command, time_command
from tests.git.repositories import commit_all, write_files

FILES = {"work.py": "def work():\n    return sum(range(10))\n"}
WOBBLE = (0.000, 0.004, -0.003, 0.002, -0.004, 0.001, 0.003, -0.002, -0.001, 0.000)


class Stopwatch:
    """Reads one second for a command, or what its checkout's work.py says; wobbles by at most 0.4
    %.
    """

    def __init__(self) -> None:
        self.timed: list[str] = []

    def __call__(self, command: Command, timeout: float | None = None) -> CommandRun:
        self.timed.append(command.name)
        text = (command.directory / "work.py").read_text() if command.directory else ""
        wall = (0.5 if "faster" in text else 1.0) + WOBBLE[len(self.timed) % len(WOBBLE)]
        return CommandRun(wall, wall * 0.9, wall * 0.1, 10_000_000, 1 if "broken" in text else 0)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    made = Stopwatch()
    for module in (jobs_bench, measuring):
        monkeypatch.setattr(module, "TIMERS", {"perfhunt": made, "hyperfine": made})
    return made


def edit(root: Path, word: str) -> None:
    write_files(
        root, {"work.py": f'def work():\n    faster = "{word}"\n    return sum(range(5)), faster\n'}
    )


def test_two_versions_from_git_are_interleaved_and_the_faster_one_is_kept(
    stopwatch: Stopwatch, shop: Path
) -> None:
    edit(shop, "faster")
    result = run_bench(BenchRequest(("python", "work.py"), base="HEAD"))
    assert result.verdict is not None
    assert result.verdict.word is Word.KEEP
    assert result.exit_code == 0
    base, head = "python work.py @ HEAD", "python work.py @ working tree"
    assert stopwatch.timed[:6] == [base, head, base, head, head, base]  # the warm-up, then ABBA


def test_a_slower_version_is_reverted_with_exit_code_90(stopwatch: Stopwatch, shop: Path) -> None:
    edit(shop, "faster")
    commit_all(shop, "quick")
    write_files(shop, FILES)
    result = run_bench(BenchRequest(("python", "work.py"), base="HEAD"))
    assert result.verdict is not None
    assert (result.verdict.word, result.exit_code) == (Word.REVERT, 90)


def test_two_versions_that_do_not_differ_are_refused(stopwatch: Stopwatch, shop: Path) -> None:
    with pytest.raises(ChangeRefused, match="no edit"):
        run_bench(BenchRequest(("python", "work.py"), base="HEAD"))
    assert stopwatch.timed == []


def test_a_version_that_fails_is_no_measurement(stopwatch: Stopwatch, shop: Path) -> None:
    edit(shop, "broken")
    result = run_bench(BenchRequest(("python", "work.py"), base="HEAD"))
    assert result.verdict is not None
    assert (result.verdict.word, result.exit_code) == (Word.INVALID, 91)


def test_one_command_is_timed_and_exported_as_hyperfine_does(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    path = tmp_path / "times.json"
    result = run_bench(BenchRequest(("true",), runs=5, export=path))
    (read,) = hyperfine.read(path.read_text())
    assert [r.wall for r in read.runs] == [r.wall for r in result.timed[0].runs]
    assert len(read.runs) == 5
    assert any(line.strip().startswith("wall  1") for line in summary(result.timed[0]))


def test_an_export_of_another_day_is_compared_with_the_drift_between_days_in_the_interval(
    stopwatch: Stopwatch, tmp_path: Path
) -> None:
    path = tmp_path / "old.json"
    path.write_text(
        json.dumps({"results": [{"command": "true", "times": [2.0, 2.01, 1.99, 2.0, 2.02, 1.98]}]})
    )
    result = run_bench(BenchRequest(("true",), compare=path))
    assert result.verdict is not None
    assert result.verdict.word is Word.KEEP
    assert "not interleaved" in result.verdict.noise


def test_an_export_of_several_commands_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(
        json.dumps({"results": [{"command": c, "times": [1.0] * 5} for c in ("a", "b")]})
    )
    with pytest.raises(StoreError, match="2 commands"):
        run_bench(BenchRequest(("true",), compare=path))


def test_json_ends_with_the_verdict(stopwatch: Stopwatch, shop: Path) -> None:
    edit(shop, "faster")
    words = ["bench", "--base", "HEAD", "--json"]
    done = CliRunner().invoke(app, words, obj=("python", "work.py"))
    event = json.loads(done.stdout)
    assert (event["event"], event["word"], event["exit_code"]) == ("verdict", "KEEP", 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "times a command"),
        (["--base", "a", "--compare", "b"], "both name"),
        (["--head", "a"], "needs a --base"),
        (["--timeout", "0s"], "no time"),
        (["sleep 1"], "stands behind --"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["bench", *words], obj=("true",) if words else ())
    assert isinstance(done.exception, UsageError)
    assert said in done.exception.message


PYTHON = (sys.executable, "-S", "-c")


def timed_once(program: str) -> CommandRun:
    return time_command(Command("it", (*PYTHON, program)), 60.0)


def test_what_a_command_prints_goes_where_somebody_reads_it() -> None:
    """grep and others do less when nobody does."""
    piped = "import os, stat; os._exit(0 if stat.S_ISFIFO(os.fstat(1).st_mode) else 3)"
    assert timed_once(piped).exit_code == 0
    # Far more than a pipe holds.
    assert timed_once("import os\nfor _ in range(64): os.write(1, bytes(1 << 16))").exit_code == 0


def test_a_run_that_failed_says_what_it_printed_last() -> None:
    run = timed_once("import sys; print('one'); sys.exit('no such file: x\\x1b[1m')")
    assert run.exit_code == 1
    assert run.said.startswith("no such file: x") and "\x1b" not in run.said


def test_what_a_command_leaves_behind_holds_nobody_up() -> None:
    left = "import subprocess; subprocess.Popen(['sleep', '30'])"
    assert timed_once(left).wall < 10


def test_failed_runs_are_in_no_mean() -> None:
    runs = (CommandRun(1.0), CommandRun(9.0, exit_code=2, said="disk full"), CommandRun(3.0))
    lines = summary(CommandRuns("it", runs))
    assert "2 s" in lines[1] and "n=2" in lines[1]
    assert (
        "1 of 3 runs failed" in lines[-2]
        and "exit code 2, and said last" in lines[-2]
        and lines[-1].strip() == "disk full"
    )
    lines = summary(CommandRuns("it", runs[1:2]))
    assert "every run failed" in lines[1]


def test_a_cleanup_is_run_after_each_run_and_failures_may_count(tmp_path: Path) -> None:
    fails = (*PYTHON, "import sys; sys.exit(3)")
    note = tmp_path / "cleaned"
    append = (*PYTHON, f"open({str(note)!r}, 'a').write('x')")
    request = BenchRequest(fails, runs=2, warmup=1, cleanup=append, ignore_failure=True)
    result = run_bench(request)
    assert (result.exit_code, note.read_text()) == (0, "xxx")
    assert not any("failed" in line for line in summary(result.timed[0]))
    assert run_bench(BenchRequest(fails, runs=2, warmup=0)).exit_code == 91
    broken = BenchRequest((*PYTHON, ""), runs=1, warmup=0, cleanup=fails)
    with pytest.raises(UsageError, match=r"the cleanup command .* failed with exit code 3"):
        run_bench(broken)
