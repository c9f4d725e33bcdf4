"""The curve as it forms: for each rate that was tried the share of requests over the limits, as a
row with a bar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from perfhunt.cli.view.lines import duration_text, over_limits
from perfhunt.model.trial import Phase, Trial
from perfhunt.model.units import PerSecond, Seconds, Share, format_rate

# Bars are logarithmic, from here (one of a thousand) to all: an SLO allows a percent or less.
LEAST: Share = 0.001
# Trials whose rates are this close are one row.
ALIKE: Share = 0.01
_ELSEWHERE = frozenset({Phase.WARMUP, Phase.HOLD, Phase.ABOVE, Phase.QUIET})  # not of the search
_WORDS, _LONGEST = 27, 60  # characters of a row before its bar, and of a bar


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What is known of one rate: of `n` requests `over` were over a limit; the slowest p99."""

    rate: PerSecond
    n: int
    over: int
    p99: Seconds | None

    @property
    def share(self) -> Share:
        return self.over / self.n if self.n else 0.0


def with_trial(points: tuple[CurvePoint, ...], trial: Trial) -> tuple[CurvePoint, ...]:
    """The points with one trial more, by rate; one that does not count for the curve changes
    nothing.
    """
    if trial.invalid or trial.step.phase in _ELSEWHERE or not trial.n:
        return points
    new = CurvePoint(trial.step.rate, trial.n, over_limits(trial), trial.response.p99)
    others = []
    for point in points:
        if abs(point.rate / new.rate - 1) <= ALIKE:
            p99 = max((p for p in (point.p99, new.p99) if p is not None), default=None)
            new = replace(point, n=point.n + new.n, over=point.over + new.over, p99=p99)
        else:
            others.append(point)
    return tuple(sorted((*others, new), key=lambda point: point.rate))


def curve_lines(
    points: tuple[CurvePoint, ...], rows: int, width: int, near: PerSecond | None = None
) -> list[str]:
    """A title and at most `rows` rows of `width` characters, by rate: those closest to the rate
    `near`, the highest where that is None. None without points.
    """
    if not points:
        return []
    middle = near or points[-1].rate
    nearest = sorted(points, key=lambda point: abs(math.log(point.rate / middle)))[:rows]
    shown = sorted(nearest, key=lambda point: point.rate)
    room = min(_LONGEST, max(0, width - _WORDS))
    title = f"{'rate':>8} {'over':>7} {'p99':>9}"
    scale = "share over the limits, 0.1 % to 100 %"
    return [
        f"{title}  {scale if len(scale) <= room else ''}".rstrip(),
        *(
            f"{format_rate(p.rate):>8} {_percent(p.share):>7} {duration_text(p.p99):>9}"
            f"  {_bar(p.share, room)}".rstrip()
            for p in shown
        ),
    ]


def _percent(share: Share) -> str:
    return f"{share * 100:.1f} %" if share < 0.0995 else f"{share * 100:.0f} %"


def _bar(share: Share, room: int) -> str:
    if share < LEAST:
        return ""
    part = 1 - math.log(share) / math.log(LEAST)
    return "█" * max(1, round(part * room))
