"""A verdict on one command: wall clock, CPU and peak memory of whole processes, runs interleaved in
pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfhunt.analysis.verdict import sequential
from perfhunt.analysis.verdict.endpoints import COMMAND_CPU, PEAK_RSS, WALL
from perfhunt.analysis.verdict.rounds import (
    USUAL_BAR,
    Bar,
    EstimateFamily,
    effects_of,
    inconclusive,
    main_endpoints,
    smallest_of,
    word_of,
)
from perfhunt.analysis.verdict.sequential import ALPHA, Estimate
from perfhunt.model.finding import Caution, CautionCode
from perfhunt.model.units import Bytes, Seconds, Share
from perfhunt.model.verdict.verdict import Verdict, Word

MINIMUM_PAIRS = 5
# modified z-score of 10 by the median absolute deviation (Iglewicz & Hoaglin 1993), doubtful at
# best
_OUTLIER = 14.826
_TINY: Seconds = 0.005


@dataclass(frozen=True, slots=True)
class CommandRun:
    """One run of a command: what it took. `exit_code` other than 0 makes it no measurement. None:
    not read.
    """

    wall: Seconds
    user: Seconds | None = None
    system: Seconds | None = None
    peak_rss: Bytes | None = None
    exit_code: int = 0

    @property
    def cpu(self) -> Seconds | None:
        if self.user is None or self.system is None:
            return None
        return self.user + self.system


@dataclass(frozen=True, slots=True)
class Timed:
    """Every run of one version of a command, in the order they were made. `name` is the command or
    the revision.
    """

    name: str
    runs: tuple[CommandRun, ...]


def judge_commands(
    base: Timed, head: Timed, interleaved: bool = True, bar: Bar = USUAL_BAR
) -> Verdict:
    """The verdict on two versions of a command; run i of one is the pair of run i of the other when
    `interleaved`.

    Not interleaved (two files made at different times), the noise between times of day is added to
    every interval. INVALID when a run failed or there are fewer than five of either. The sample
    size is fixed in advance: one look, level 0.02.
    """
    failed = [t.name for t in (base, head) for r in t.runs if r.exit_code != 0]
    seconds = math.fsum(r.wall for t in (base, head) for r in t.runs)
    if failed:
        reason = (
            f"{failed.count(failed[0])} runs of `{failed[0]}` failed; a command that fails is not"
            " the command that was asked"
        )
        return Verdict(Word.INVALID, reason, "bench", seconds=seconds)
    n = min(len(base.runs), len(head.runs))
    if n < MINIMUM_PAIRS:
        return Verdict(
            Word.INVALID,
            f"{n} runs each; at least {MINIMUM_PAIRS} are needed",
            "bench",
            pairs=n,
            seconds=seconds,
        )
    series: dict[str, tuple[Sequence[float | None], Sequence[float | None]]] = {
        WALL.name: ([r.wall for r in base.runs], [r.wall for r in head.runs]),
        COMMAND_CPU.name: ([r.cpu for r in base.runs], [r.cpu for r in head.runs]),
        PEAK_RSS.name: ([r.peak_rss for r in base.runs], [r.peak_rss for r in head.runs]),
    }
    kept = {k: (_positive(a), _positive(b)) for k, (a, b) in series.items()}
    kept = {
        k: (a, b)
        for k, (a, b) in kept.items()
        if len(a) == len(base.runs) and len(b) == len(head.runs)
    }
    judge = _paired if interleaved else _unpaired
    evidence = EstimateFamily(
        {k: judge(a, b) for k, (a, b) in kept.items()},
        ALPHA,
        {k: _middles(a, b) for k, (a, b) in kept.items()},
    )
    effects = effects_of(evidence)
    word, reason = word_of(evidence, effects, bar)
    smallest = smallest_of(evidence, effects)
    more = None
    if word is Word.INCONCLUSIVE:
        more = _more(evidence, n, seconds, bar)
        reason = inconclusive(reason, smallest, bar.margin, more)
    noise = (
        ""
        if interleaved
        else "the runs were not interleaved: 2 % of host drift is added to every interval"
    )
    return Verdict(
        word,
        reason,
        "bench",
        effects,
        n,
        1,
        seconds,
        ALPHA,
        ALPHA,
        smallest,
        bar.margin,
        more,
        noise,
        cautions=cautions(base, head),
    )


def _positive(values: Sequence[float | None]) -> list[float]:
    return [float(v) for v in values if v is not None and v > 0]


def _paired(before: Sequence[float], after: Sequence[float]) -> Estimate:
    return sequential.estimate([math.log(b / a) for a, b in zip(after, before, strict=False)])


def _unpaired(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Welch on logs (Welch 1947), with the drift between the two times added and counted as
    known.
    """
    (mean_a, var_a, n_a), (mean_b, var_b, n_b) = (
        _moments([math.log(v) for v in side]) for side in (before, after)
    )
    se_a, se_b = var_a / n_a, var_b / n_b
    within = se_a + se_b
    df = (
        within**2 / (se_a**2 / (n_a - 1) + se_b**2 / (n_b - 1))
        if within > 0
        else float(n_a + n_b - 2)
    )
    total = math.sqrt(within + 2 * 0.02**2)
    return Estimate(mean_a - mean_b, total, df, min(n_a, n_b), math.sqrt(var_a + var_b))


def _moments(values: Sequence[float]) -> tuple[float, float, int]:
    mean = math.fsum(values) / len(values)
    return mean, math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1), len(values)


def _middles(before: Sequence[float], after: Sequence[float]) -> tuple[float | None, float | None]:
    a, b = (math.exp(math.fsum(map(math.log, side)) / len(side)) for side in (before, after))
    return a, b


def _more(evidence: EstimateFamily, n: int, seconds: Seconds, bar: Bar) -> Seconds | None:
    """Seconds until the margin would be resolved: the interval shrinks with the square root of the
    pairs.
    """
    sd: Share = min(evidence.estimates[name].sd for name in main_endpoints(evidence))
    needed = sequential.rounds_to_see(bar.margin, sd, 1.0 / len(evidence.estimates))
    return (needed - n) * seconds / n if needed > n else None


def cautions(base: Timed, head: Timed) -> tuple[Caution, ...]:
    """Doubts about the timings: a slow first run, outliers, commands too quick to time."""
    found = []
    for timed in (base, head):
        walls = sorted(r.wall for r in timed.runs)
        middle = walls[len(walls) // 2]
        spread = sorted(abs(w - middle) for w in walls)[len(walls) // 2]
        first = timed.runs[0].wall
        if first == walls[-1] and first - middle > max(5 * spread, 0.02 * middle):
            sentence = (
                f"the first run of `{timed.name}` was the slowest by far: caches were probably"
                " cold."
            )
            found.append(Caution(CautionCode.COLD_START, sentence, "add --warmup 1"))
        elif spread and (walls[-1] - middle) > _OUTLIER * spread and walls[-1] > 1.05 * middle:
            sentence = (
                f"a run of `{timed.name}` took {walls[-1]:.3g} s against a median of {middle:.3g}"
                " s: something interfered."
            )
            found.append(
                Caution(
                    CautionCode.OUTLIER,
                    sentence,
                    "stop what else runs on this host and measure again",
                )
            )
        if middle < _TINY:
            sentence = (
                f"`{timed.name}` takes {middle * 1e3:.2g} ms: starting the process is most of it."
            )
            found.append(
                Caution(
                    CautionCode.TOO_QUICK, sentence, "let the command do its work many times over"
                )
            )
    return tuple(found)
