"""Timings of a command become a verdict, and travel in hyperfine's own format."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from perfhunt.analysis.verdict.bench import judge_commands
from perfhunt.errors import StoreError
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Word
from perfhunt.reports import hyperfine

# As hyperfine 1.18 writes it (its manual, "Export"), two runs.
EXPORT = {
    "results": [
        {
            "command": "sleep 0.1",
            "mean": 0.1012,
            "stddev": 0.0003,
            "median": 0.1012,
            "user": 0.0006,
            "system": 0.0009,
            "min": 0.1010,
            "max": 0.1014,
            "times": [0.1010, 0.1014],
            "exit_codes": [0, 0],
        }
    ]
}


def timed(
    name: str, mean: float, n: int = 20, sd: float = 0.02, seed: int = 1, rss: int = 10_000_000
) -> CommandRuns:
    noise = np.random.default_rng(seed).normal(0.0, sd, n)
    return CommandRuns(
        name,
        tuple(
            CommandRun(mean * math.exp(x), 0.8 * mean * math.exp(x / 2), 0.1 * mean, rss)
            for x in noise
        ),
    )


def test_a_command_ten_percent_quicker_is_kept_and_one_slower_reverted() -> None:
    assert judge_commands(timed("base", 0.55), timed("head", 0.50, seed=2)).word is Word.KEEP
    assert judge_commands(timed("base", 0.50), timed("head", 0.55, seed=2)).word is Word.REVERT


def test_the_same_command_twice_is_no_change() -> None:
    assert judge_commands(timed("base", 0.5), timed("head", 0.5, seed=2)).word is Word.NO_CHANGE


def test_quicker_for_much_more_memory_is_for_a_person_to_weigh() -> None:
    hungry = timed("head", 0.4, seed=2, rss=20_000_000)
    assert judge_commands(timed("base", 0.5), hungry).word is Word.MIXED


def test_runs_not_interleaved_carry_the_drift_between_two_times() -> None:
    base, head = timed("base", 0.5), timed("head", 0.5, seed=2)
    together, apart = judge_commands(base, head), judge_commands(base, head, interleaved=False)
    assert together.effects[0].speed.half_width != apart.effects[0].speed.half_width
    assert apart.effects[0].speed.high - apart.effects[0].speed.low > 4 * 0.02 * math.sqrt(2) * 0.9
    assert "not interleaved" in apart.noise


def test_the_paired_p_value_is_that_of_students_t_on_logs() -> None:
    base, head = timed("base", 0.52), timed("head", 0.50, seed=2)
    wall = judge_commands(base, head).effect("wall")
    oracle = stats.ttest_rel(
        [math.log(r.wall) for r in base.runs], [math.log(r.wall) for r in head.runs]
    )
    assert wall is not None
    assert wall.p == pytest.approx(oracle.pvalue, rel=1e-9)


def test_a_command_that_fails_is_not_measured() -> None:
    broken = CommandRuns("head", (*timed("head", 0.1).runs, CommandRun(0.01, exit_code=1)))
    verdict = judge_commands(timed("base", 0.5), broken)
    assert verdict.word is Word.INVALID
    assert "`head` failed" in verdict.reason


def test_four_runs_are_too_few() -> None:
    assert judge_commands(timed("base", 0.5, n=4), timed("head", 0.1, n=4)).word is Word.INVALID


def test_a_slow_first_run_is_pointed_out_with_the_option_that_mends_it() -> None:
    walls = [0.9, 0.5, 0.51, 0.5, 0.52, 0.51]
    cold = CommandRuns("base", tuple(CommandRun(w) for w in walls))
    found = judge_commands(cold, timed("head", 0.5, n=6)).cautions
    assert [c.code for c in found] == ["cold-start"]
    assert "--warmup" in found[0].next


def test_an_export_of_hyperfine_is_read_time_by_time() -> None:
    (found,) = hyperfine.read(json.dumps(EXPORT))
    assert found.name == "sleep 0.1"
    assert [r.wall for r in found.runs] == [0.1010, 0.1014]
    assert found.runs[0].cpu is None


def test_what_is_written_is_read_back_the_same() -> None:
    both = timed("base", 0.5), timed("head", 0.4)
    assert hyperfine.read(hyperfine.write(both)) == both


def test_the_summary_numbers_written_are_those_of_the_times() -> None:
    (result,) = json.loads(hyperfine.write([timed("base", 0.5)]))["results"]
    assert result["mean"] == pytest.approx(np.mean(result["times"]))
    assert result["median"] == pytest.approx(np.median(result["times"]))
    assert result["stddev"] == pytest.approx(np.std(result["times"], ddof=1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", 'no list of "results"'),
        ('{"results": []}', 'no list of "results"'),
        ('{"results": [{"command": "x"}]}', 'no "times"'),
        ('{"results": [{"command": "x", "times": ["a"]}]}', "not a list of numbers"),
        (
            '{"results": [{"command": "x", "times": [1, 2], "exit_codes": [0]}]}',
            "1 values for 2 times",
        ),
    ],
)
def test_what_is_not_an_export_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        hyperfine.read(text, "old.json")
