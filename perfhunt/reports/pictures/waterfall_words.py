"""What load added to the mean latency, in the words and lines that all formats share."""

from __future__ import annotations

from collections.abc import Sequence

from perfhunt.model.finding import Rise, Waterfall
from perfhunt.model.interval import Interval
from perfhunt.model.run import Run
from perfhunt.model.trial import Phase
from perfhunt.model.units import Seconds, format_duration, format_share
from perfhunt.reports.words import LEAST, held_at, ms


def change_words(seconds: Seconds) -> str:
    """`+31.7`, `−2.4`: milliseconds with their sign."""
    return f"{_sign(seconds, '+')}{ms(abs(seconds))}"


def _sign(seconds: Seconds, positive: str = "") -> str:
    return "−" if seconds <= -LEAST else positive


def added_words(added: Interval) -> str:
    """`+31.7 (22 to 41.4)`: milliseconds; one number where the interval has no width."""
    low, high = (f"{_sign(v)}{ms(abs(v))}" for v in (added.low, added.high))
    change = change_words(added.value)
    return change if low == high else f"{change} ({low} to {high})"


def totals_words(waterfall: Waterfall, run: Run) -> str:
    """`mean 9.6 ms at the baseline, 35.2 ms at the knee (+25.5)`; `at the rate held` where there is
    no knee. Where the service had no room for profilers, what it is without them.
    """
    base, knee = format_duration(waterfall.base), format_duration(waterfall.knee)
    grown, alone = change_words(waterfall.growth), _mean_alone(run)
    if alone is None:
        return f"mean {base} at the baseline, {knee} {held_at(run)} ({grown} ms)"
    without = f"{format_duration(alone)} {held_at(run)}"
    return f"mean {base} at the baseline, {without}, {knee} with profilers as well ({grown} ms)"


def _mean_alone(run: Run) -> Seconds | None:
    """The mean latency without profilers, where the load that they were attached at was more than
    the service could take with them, and not without; else None.
    """
    watched = [t for t in run.trials if t.step.phase is Phase.HOLD]
    calm = [t for t in run.trials if t.step.phase is Phase.QUIET and not t.overload]
    swamped = bool(watched) and all(t.overload for t in watched)
    return calm[-1].response.mean if swamped and calm else None


def remarks(waterfall: Waterfall) -> tuple[str, ...]:
    """What a reader must know to read the parts, as sentences."""
    percentiles = ""
    if waterfall.base_p99 is not None and waterfall.knee_p99 is not None:
        before, after = format_duration(waterfall.base_p99), format_duration(waterfall.knee_p99)
        percentiles = f": the p99 went from {before} to {after}, and is not split"
    said = [
        f"Means add up, percentiles do not{percentiles}.",
        "Both latencies are those of the trials in which stacks were looked at.",
    ]
    if waterfall.closure is not None:
        said.append(f"{format_share(waterfall.closure)} of the growth is not accounted for.")
    if waterfall.inferred > 0:
        said.append(
            f"{format_share(min(1.0, waterfall.inferred))} of the growth no stack shows by itself:"
            " it is put down to a queue, since what that queue is for was taken."
        )
    if waterfall.differs:
        said.append(waterfall.differs)
    return tuple(said)


def every_part(waterfall: Waterfall) -> tuple[Rise, ...]:
    """The parts and what they leave, which sum to both latencies."""
    left = waterfall.unexplained
    return waterfall.parts if left is None else (*waterfall.parts, left)


def largest(parts: Sequence[Rise], most: int) -> list[Rise]:
    """The parts that load changed most, in the order they are in."""
    kept = sorted(parts, key=lambda part: -abs(part.added.value))[:most]
    return [part for part in parts if part in kept]
