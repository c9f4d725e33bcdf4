"""`perfhunt bench` as users of hyperfine know it: parameters, where output goes, warnings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perfhunt.analysis.verdict.bench import judge_commands
from perfhunt.analysis.verdict.relative import relative_times
from perfhunt.cli.app import app
from perfhunt.cli.verbs.bench import comparison
from perfhunt.errors import StoreError, UsageError
from perfhunt.jobs.bench import bench as jobs_bench
from perfhunt.jobs.bench import measuring
from perfhunt.jobs.bench.bench import run_bench
from perfhunt.jobs.bench.measuring import failure_of
from perfhunt.jobs.bench.parameters import MOST, combinations, filled
from perfhunt.jobs.bench.request import BenchRequest, check
from perfhunt.jobs.request import words_of
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports import hyperfine
from perfhunt.target.command_timer import Command, time_command

PYTHON = (sys.executable, "-S", "-c")


def once(program: str, output: Path | None = None) -> CommandRun:
    return time_command(Command(name="it", words=(*PYTHON, program), output=output), 60.0)


def test_several_parameters_give_every_combination() -> None:
    assert combinations(["a=x,y", "n=1..3"]) == tuple(
        (("a", a), ("n", n)) for a in "xy" for n in "123"
    )
    assert combinations([]) == ((),)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("n=0..1:0.25", ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        ("n=-1..1,9", ["-1", "0", "1", "9"]),
        ("n=0.1..0.3:0.1", ["0.1", "0.2", "0.3"]),  # in binary 0.1 + 0.2 is beyond 0.3
        ("n=1..2:0.0000005", None),
        (r"n=a\,b,c", ["a,b", "c"]),
        ("n=../x,1..", ["../x", "1.."]),  # no ranges
        ("n==,a=b", ["=", "a=b"]),
    ],
)
def test_a_parameters_values_are_a_list_or_a_range(text: str, values: list[str] | None) -> None:
    if values is None:
        with pytest.raises(UsageError, match=f"more than {MOST}"):
            combinations([text])
    else:
        assert [each[0][1] for each in combinations([text])] == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["n"], "is not NAME=VALUES"),
        (["=1"], "is not NAME=VALUES"),
        (["{n}=1"], "is not NAME=VALUES"),
        (["n=5..1"], "holds no number"),
        (["n=1..5:0"], "holds no number"),
        (["n=1", "n=2"], "given twice"),
        (["n=1..100", "m=1..100"], "10000 combinations"),
        (["other=1"], "other is used nowhere"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(given: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        check(BenchRequest(("echo", "{n}{m}"), parameters=tuple(given)))
    assert refused.value.hint


def test_a_value_is_put_in_once_and_other_braces_stay() -> None:
    words = ("{a}", "x{a}{b}", "{}", "{c}")
    assert filled(words, (("a", "{b}"), ("b", "2"))) == ("{b}", "x{b}2", "{}", "{c}")


def test_each_combination_is_run_in_turns_and_told_apart(tmp_path: Path) -> None:
    log = tmp_path / "log"
    append = f"open({str(log)!r}, 'a').write('{{n}}{{m}}')"
    request = BenchRequest((*PYTHON, append), parameters=("n=1,2", "m=a"), runs=2, warmup=1)
    result = run_bench(request)
    assert log.read_text() == "1a2a" + "1a2a" + "2a1a"  # the warm-up, then ABBA
    assert [timed.parameters for timed in result.timed] == [
        (("n", "1"), ("m", "a")),
        (("n", "2"), ("m", "a")),
    ]
    assert [timed.name.partition("(")[2] for timed in result.timed] == ["n=1, m=a)", "n=2, m=a)"]
    assert any("the quickest" in line for line in comparison(result))


def test_an_export_of_combinations_is_compared_each_with_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As hyperfine writes them: quicker now with 1, slower with 2, so that 90 is the exit code."""
    entries = [
        {"command": f"x {n}", "times": [2.0, 2.01, 1.99, 2.0, 2.02], "parameters": {"n": n}}
        for n in "21"
    ]
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"results": entries}))
    wobble = iter([0.0, 0.01, 0.02, 0.0, 0.01, 0.02] * 2)

    def timer(command: Command, timeout: float | None) -> CommandRun:
        return CommandRun((1.0 if command.words[1] == "1" else 4.0) + next(wobble))

    for module in (jobs_bench, measuring):
        monkeypatch.setattr(module, "TIMERS", {"perfhunt": timer})
    request = BenchRequest(("x", "{n}"), parameters=("n=1,2",), compare=old, runs=5, warmup=1)
    result = run_bench(request)
    assert [verdict.word for verdict in result.verdicts] == [Word.KEEP, Word.REVERT]
    assert result.exit_code == 90
    other = BenchRequest(("x", "{n}"), parameters=("n=3",), compare=old)
    with pytest.raises(StoreError, match="n=3"):
        run_bench(other)


def test_verdicts_given_at_once_share_one_error_rate() -> None:
    walls = [1.00, 1.01, 1.02, 0.99, 1.00, 1.01]
    base = CommandRuns("base", tuple(CommandRun(2 * wall) for wall in walls))
    head = CommandRuns("head", tuple(CommandRun(wall**3) for wall in walls))
    alone = judge_commands(base, head)
    wall = alone.effect("wall")
    assert alone.word is Word.KEEP and wall is not None and wall.p is not None
    assert judge_commands(base, head, of=int(0.02 / wall.p) + 1).word is not Word.KEEP


def test_times_as_long_as_the_quickest_are_of_pairs_of_runs() -> None:
    quick = CommandRuns("a", (CommandRun(1.0), CommandRun(2.0), CommandRun(0.1, exit_code=1)))
    slow = CommandRuns("b", (CommandRun(3.0), CommandRun(6.0), CommandRun(90.0)))
    failed = CommandRuns("c", (CommandRun(1.0, exit_code=1),) * 3)
    by = relative_times([slow, quick, failed])
    assert [each.quickest for each in by] == [False, True, False]
    assert by[0].times is not None
    # Three times as long in both pairs: the spread of the runs themselves is in neither.
    assert (by[0].times.low, by[0].times.value, by[0].times.high) == pytest.approx((3, 3, 3))
    assert by[1].times is by[2].times is None


def test_output_goes_to_a_file_that_holds_that_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("of an earlier run, and longer")
    run = once("import sys; print('told'); sys.exit('why')", output=path)
    assert path.read_text() == "told\n"
    assert (run.exit_code, run.said) == (1, "why")


def test_output_that_cannot_be_written_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, tmp_path, tmp_path / "no" / "such"):
        with pytest.raises(UsageError, match="cannot be written"):
            once("", output=path)


def test_output_to_the_null_device_is_cautioned_by_any_name(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    request = BenchRequest((*PYTHON, ""), runs=1, warmup=0, output=link)
    assert "null-output" in [caution.code for caution in run_bench(request).cautions]
    done = CliRunner().invoke(app, ["bench", "--output", "null", "-r", "1"], obj=("true",))
    assert "caution: what was printed went to /dev/null" in done.stdout
    done = CliRunner().invoke(app, ["bench", "-r", "1"], obj=("true",))
    assert "/dev/null" not in done.stdout


def test_a_failed_run_tells_the_end_of_its_standard_error_before_its_output() -> None:
    program = "import sys; print('out'); print('one\\ntwo', file=sys.stderr); sys.exit(3)"
    assert once(program).said == "one\ntwo"
    assert once("print('out', end=''); raise SystemExit(3)").said == "out"


def test_how_a_run_was_ended_is_said_and_kept() -> None:
    run = once("import os; os.kill(os.getpid(), 9)")
    assert (run.exit_code, failure_of(run)) == (-9, "ended by SIGKILL")
    assert failure_of(CommandRun(1.0, exit_code=-35)) == "ended by signal 35"
    timed = CommandRuns("it", (run,), (("n", "1"),))
    (read,) = hyperfine.read(hyperfine.write([timed]))
    assert (read.runs[0].exit_code, read.parameters) == (-9, (("n", "1"),))
    theirs = {"command": "it", "times": [1.0, 2.0], "exit_codes": [0, None]}
    (read,) = hyperfine.read(json.dumps({"results": [theirs]}))
    assert len(read.measured) == 1


def test_what_goes_on_after_a_run_is_told() -> None:
    daemon = "import os, time\nif os.fork() == 0:\n os.setsid()\n os.fork() or time.sleep(60)"
    assert once(daemon).left
    assert not once("import subprocess; subprocess.run(['true'])").left


def test_doubts_are_told_without_a_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that was cold; and a shell that takes a third of the time."""
    walls = iter([0.9, 0.3, 0.31, 0.3, 0.31] + [0.1] * 5)

    def timer(command: Command, timeout: float | None) -> CommandRun:
        return CommandRun(next(walls))

    for module in (jobs_bench, measuring):
        monkeypatch.setattr(module, "TIMERS", {"perfhunt": timer})
    result = run_bench(BenchRequest(("bash", "-ec", "work"), runs=5, warmup=0))
    assert [caution.code for caution in result.cautions] == ["shell-start", "cold-start"]
    assert "32.3 %" in result.cautions[0].sentence
    assert "--warmup 2" in result.cautions[1].next and "--prepare" in result.cautions[1].next


def test_words_that_no_shell_would_split_are_refused_by_the_options_name() -> None:
    assert words_of("--prepare", "make 'a b'") == ("make", "a b")
    with pytest.raises(UsageError, match="--prepare"):
        words_of("--prepare", "make 'a")


def test_a_line_for_a_shell_is_refused_with_how_to_give_it_one() -> None:
    with pytest.raises(UsageError) as refused:
        time_command(Command(name="it", words=("echo hi | cat",)))
    assert "sh -c" in refused.value.hint
