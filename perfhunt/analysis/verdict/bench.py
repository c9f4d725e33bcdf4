"""A verdict on one command: wall clock, CPU and peak memory of whole processes, runs interleaved in
pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, geometric_mean, median_high, stdev, variance

from scipy import stats

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import COMMAND_CPU, PEAK_RSS, WALL
from perfhunt.analysis.verdict.family import (
    MARGIN,
    EstimateFamily,
    judge_family,
)
from perfhunt.analysis.verdict.sequential import ALPHA, Estimate
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.units import Seconds, Share, format_duration
from perfhunt.model.verdict.command_run import CommandRun, CommandRuns
from perfhunt.model.verdict.verdict import Verdict, Word

MINIMUM_PAIRS = 5
# How far a quiet host wanders between two times of day; runs that were not interleaved cannot
# average it out.
HOST_DRIFT: Share = 0.02
NOT_INTERLEAVED = "the runs were not interleaved: 2 % of host drift is added to every interval"

# A modified z-score of 10, in median absolute deviations (Iglewicz & Hoaglin 1993 take 3.5 for
# doubtful), of a run that is also a twentieth slower than the middle one.
OUTLIER, OUTLIER_SLOWER = 14.826, 1.05
# A first run was cold when it is the slowest, and beyond both of these from the middle one.
COLD_DEVIATIONS, COLD_SLOWER = 5.0, 0.02
TINY: Seconds = 0.005  # a command so quick is mostly the start of its process

Series = Mapping[str, tuple[list[float], list[float]]]  # endpoint -> values before and after


def judge_commands(
    base: CommandRuns, head: CommandRuns, interleaved: bool = True, of: int = 1
) -> Verdict:
    """The verdict on two versions of a command; run i of one is the pair of run i of the other when
    `interleaved`.

    Not interleaved (two files made at different times), the noise between times of day is added to
    every interval. INVALID when a run failed or there are fewer than five of either. The sample
    size is fixed in advance: one look, level 0.02, shared among the `of` verdicts that are given
    at once (Bonferroni).
    """
    seconds = math.fsum(run.wall for runs in (base, head) for run in runs.runs)
    pairs = min(len(base.runs), len(head.runs))
    if failed := _failed_runs(base) or _failed_runs(head):
        return Verdict(Word.INVALID, failed, "bench", seconds=seconds)
    if pairs < MINIMUM_PAIRS:
        reason = f"{pairs} runs each; at least {MINIMUM_PAIRS} are needed"
        return Verdict(Word.INVALID, reason, "bench", pairs=pairs, seconds=seconds)
    family = _family(_series(base, head), interleaved, ALPHA / of)
    verdict = judge_family(
        family,
        "bench",
        to_resolve=lambda: _to_resolve(family, pairs, seconds),
    )
    return replace(
        verdict,
        pairs=pairs,
        seconds=seconds,
        noise="" if interleaved else NOT_INTERLEAVED,
        cautions=(*timing_cautions(base), *timing_cautions(head)),
    )


def _failed_runs(command: CommandRuns) -> str:
    failed = sum(run.exit_code != 0 for run in command.runs)
    if not failed:
        return ""
    return (
        f"{failed} runs of `{command.name}` failed;"
        " a command that fails is not the command that was asked"
    )


def _series(base: CommandRuns, head: CommandRuns) -> Series:
    """What was read in every run of both."""
    readings: dict[str, Callable[[CommandRun], float | None]] = {
        WALL.name: lambda run: run.wall,
        COMMAND_CPU.name: lambda run: run.cpu,
        PEAK_RSS.name: lambda run: run.peak_rss,
    }
    series = {
        name: (_positive(map(read, base.runs)), _positive(map(read, head.runs)))
        for name, read in readings.items()
    }
    whole = (len(base.runs), len(head.runs))
    return {
        name: sides for name, sides in series.items() if (len(sides[0]), len(sides[1])) == whole
    }


def _positive(values: Iterable[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None and value > 0]


def _family(series: Series, interleaved: bool, level: Share) -> EstimateFamily:
    estimate = _paired if interleaved else _unpaired
    return EstimateFamily(
        estimates={name: estimate(before, after) for name, (before, after) in series.items()},
        level=level,
        values={
            name: (geometric_mean(before), geometric_mean(after))
            for name, (before, after) in series.items()
        },
    )


def _paired(before: Sequence[float], after: Sequence[float]) -> Estimate:
    return sequential.estimate([math.log(b / a) for b, a in zip(before, after, strict=False)])


def _unpaired(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Welch on logs (Welch 1947), the drift between the two times added and counted as known."""
    old, new = ([math.log(value) for value in side] for side in (before, after))
    within = variance(old) / len(old) + variance(new) / len(new)
    df = float(stats.ttest_ind(old, new, equal_var=False).df) if within > 0 else 0.0
    return Estimate(
        mean=fmean(old) - fmean(new),
        error=math.sqrt(within + 2 * HOST_DRIFT**2),
        df=df or len(old) + len(new) - 2.0,
        n=min(len(old), len(new)),
        sd=math.hypot(stdev(old), stdev(new)),
    )


def _to_resolve(family: EstimateFamily, pairs: int, seconds: Seconds) -> Seconds | None:
    """Seconds until the margin would be resolved: the interval shrinks with the square root of the
    pairs.
    """
    sd = min(family.estimates[name].sd for name in family.main)
    needed = sequential.rounds_to_see(MARGIN, sd, 1.0 / len(family.estimates))
    return (needed - pairs) * seconds / pairs if needed > pairs else None


def timing_cautions(command: CommandRuns) -> list[Caution]:
    """Doubts about the timings of the runs that did not fail: a slow first run, outliers, a command
    too quick to time.
    """
    walls = [run.wall for run in command.measured]
    if not walls:
        return []
    middle, slowest, cautions = median_high(walls), max(walls), []
    spread = median_high(abs(wall - middle) for wall in walls)
    if walls[0] == slowest and slowest - middle > max(
        COLD_DEVIATIONS * spread, COLD_SLOWER * middle
    ):
        cautions.append(_cold_start(command.name))
    elif spread and slowest - middle > OUTLIER * spread and slowest > OUTLIER_SLOWER * middle:
        cautions.append(_outlier(command.name, slowest, middle))
    if middle < TINY:
        cautions.append(_too_quick(command.name, middle))
    return cautions


def _cold_start(name: str) -> Caution:
    sentence = f"the first run of `{name}` was the slowest by far: caches were probably cold."
    return Caution(CautionCode.COLD_START, sentence, "add --warmup 1")


def _outlier(name: str, slowest: Seconds, middle: Seconds) -> Caution:
    sentence = (
        f"a run of `{name}` took {format_duration(slowest)} against a median of"
        f" {format_duration(middle)}:"
        " something interfered."
    )
    return Caution(
        CautionCode.OUTLIER, sentence, "stop what else runs on this host and measure again"
    )


def _too_quick(name: str, middle: Seconds) -> Caution:
    sentence = f"`{name}` takes {middle * 1e3:.2g} ms: starting the process is most of it."
    return Caution(CautionCode.TOO_QUICK, sentence, "let the command do its work many times over")
