"""The whole run along time: rate, latency, failures, CPU and memory, one small picture each, with
the phases of the run behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from perfhunt.model.run import Run
from perfhunt.model.trial import SecondRow, Trial
from perfhunt.model.units import Seconds, format_duration
from perfhunt.reports.html.plain_words import PHASE_WORDS
from perfhunt.reports.pictures.axes import Axis, nice_ceiling
from perfhunt.reports.pictures.chart_frame import WIDTH, chart
from perfhunt.reports.pictures.svg import element, lines, number

# Pixels: of one picture, and the margins of its plot.
HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 160, 66, 14, 14, 24
POINTS = 600  # along a line: one a pixel of the plot
LETTER = 6.6  # pixels, of the font of charts
TICKS = 4  # up a picture of this height
HEADROOM = 1.4  # times the lowest and highest latency, beyond which the axis ends
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class PlottedLine:
    """One line of a picture: the colour's class, its name, and stretches of (second of the run,
    value) that are not joined.
    """

    class_: str
    name: str
    stretches: tuple[tuple[tuple[Seconds, float], ...], ...]

    @property
    def values(self) -> list[float]:
        """All values."""
        return [value for stretch in self.stretches for _, value in stretch]


def over_time(run: Run) -> list[Markup]:
    """The pictures that have something to show; none for a run that kept no seconds."""
    trials = _in_order(run)
    if not any(t.rows for t in trials):
        return []
    end = max(t.started + t.seconds for t in trials)
    x = Axis(0.0, max(end, 1.0), LEFT, WIDTH - RIGHT)
    latency = _latency_lines(trials)
    drawn = [
        _picture("requests per second", _rate_lines(trials), trials, x),
        _picture("response time", latency, trials, x, log=True, word=format_duration),
        _picture("failed or turned away, per second", _failure_lines(trials), trials, x, least=1.0),
        _picture("CPU of the service, cores", _used(trials, "cpu", 1.0), trials, x),
        _picture("memory of the service, MiB", _used(trials, "rss", MEBIBYTE), trials, x),
    ]
    return [picture for picture in drawn if picture]


def phases_words(run: Run) -> str:
    """`Phases: baseline from 3 s, climb from 21 s.`: for who cannot tell stripes apart."""
    parts = [f"{phase} from {some[0].started:.0f} s" for phase, some in _phases(_in_order(run))]
    return f"Phases: {', '.join(parts)}." if parts else ""


def _phases(trials: Sequence[Trial]) -> Iterator[tuple[str, list[Trial]]]:
    for phase, some in groupby(trials, key=lambda t: PHASE_WORDS[t.step.phase]):
        yield phase, list(some)


def _in_order(run: Run) -> list[Trial]:
    """Every trial once, by when it began."""
    first = [run.baseline] if run.baseline is not None and run.baseline not in run.trials else []
    return sorted([*first, *run.trials], key=lambda t: t.started)


def merged(rows: Sequence[SecondRow], width: int) -> Iterator[tuple[float, SecondRow]]:
    """Seconds merged `width` at a time, each with its middle: counts add up, of percentiles the
    highest stays, for they have no mean.
    """
    for start in range(0, len(rows), width):
        some = rows[start : start + width]
        yield some[0].second + width / 2, _together(some)


def _together(some: Sequence[SecondRow]) -> SecondRow:
    last = some[-1]
    return SecondRow(
        second=some[0].second,
        due=sum(r.due for r in some),
        sent=sum(r.sent for r in some),
        done=sum(r.done for r in some),
        failed=sum(r.failed for r in some),
        shed=sum(r.shed for r in some),
        exceed=last.exceed,
        in_flight=max(r.in_flight for r in some),
        p50=max((r.p50 for r in some if r.p50 is not None), default=None),
        p99=max((r.p99 for r in some if r.p99 is not None), default=None),
        lag_p99=max((r.lag_p99 for r in some if r.lag_p99 is not None), default=None),
        generator_cpu=max(r.generator_cpu for r in some),
    )


def seconds_per_point(trials: Sequence[Trial]) -> int:
    """How many seconds a point stands for, so that no line has more than POINTS."""
    return max(1, -(-sum(len(t.rows) for t in trials) // POINTS))


def _line(
    class_: str, name: str, trials: Sequence[Trial], value: Callable[[SecondRow], float | None]
) -> PlottedLine:
    width = seconds_per_point(trials)
    return PlottedLine(
        class_,
        name,
        tuple(
            tuple(
                (trial.started + at, known)
                for at, row in merged(trial.rows, width)
                if (known := value(row)) is not None
            )
            for trial in trials
        ),
    )


def _rate_lines(trials: Sequence[Trial]) -> list[PlottedLine]:
    width = seconds_per_point(trials)
    return [
        _line("c-other-line", "due", trials, lambda row: row.due / width),
        _line("c-p99", "answered", trials, lambda row: row.done / width),
    ]


def _latency_lines(trials: Sequence[Trial]) -> list[PlottedLine]:
    return [
        _line("c-p50", "p50", trials, lambda row: row.p50),
        _line("c-p99", "p99", trials, lambda row: row.p99),
    ]


def _failure_lines(trials: Sequence[Trial]) -> list[PlottedLine]:
    width = seconds_per_point(trials)
    return [_line("c-bad", "failed", trials, lambda row: (row.failed + row.shed) / width)]


def _used(trials: Sequence[Trial], what: str, unit: float) -> list[PlottedLine]:
    """A reading of the whole trial, as a level from its start to its end."""
    levels = []
    for trial in trials:
        used = None if trial.resources is None else getattr(trial.resources, what)
        if used is not None:
            ends = (trial.started, trial.started + trial.seconds)
            levels.append(tuple((at, used / unit) for at in ends))
    return [PlottedLine("c-p99", "", tuple(levels))]


def _picture(
    title: str,
    drawn: Sequence[PlottedLine],
    trials: Sequence[Trial],
    x: Axis,
    *,
    log: bool = False,
    least: float = 1e-3,
    word: Callable[[float], str] = "{:,g}".format,
) -> Markup:
    values = [value for line in drawn for value in line.values]
    if not values:
        return lines()
    y = _values_axis(values, least, log)
    parts = [*_bands(trials, x), *_grid(x, y, word)]
    for line in drawn:
        for stretch in line.stretches:
            points = " ".join(f"{number(x.at(at))},{number(y.at(value))}" for at, value in stretch)
            if points:
                parts.append(element("polyline", class_=f"c-line {line.class_}", points=points))
    names = (element("b", line.name, class_=f"{line.class_}-ink") for line in drawn if line.name)
    words = element("figcaption", title, *names)
    return element("figure", words, chart(HEIGHT, f"{title} over the run", parts))


def _values_axis(values: Sequence[float], least: float, log: bool) -> Axis:
    if log:
        low, high = min(values) / HEADROOM, max(values) * HEADROOM
        return Axis(low, high, HEIGHT - BOTTOM, TOP, log=True)
    return Axis(0.0, nice_ceiling(max(*values, least)), HEIGHT - BOTTOM, TOP)


def _bands(trials: Sequence[Trial], x: Axis) -> Iterator[Markup]:
    """The phases as stripes, named where there is room."""
    for index, (phase, some) in enumerate(_phases(trials)):
        left, right = x.at(some[0].started), x.at(some[-1].started + some[-1].seconds)
        stripe = {"x": left, "y": TOP - 12, "width": max(right - left, 0.5)}
        yield element(
            "rect",
            element("title", phase),
            class_=f"c-phase{index % 2}",
            **stripe,
            height=HEIGHT - BOTTOM - TOP + 12,
        )
        if right - left > LETTER * len(phase):
            yield element("text", phase, class_="c-phase-name", x=left + 2, y=TOP - 3)


def _few(y: Axis) -> list[float]:
    """Of a logarithm's ticks the powers of ten alone, where all of them are too many."""
    ticks = y.ticks(TICKS - 1)
    tens = [tick for tick in ticks if f"{tick:e}".startswith("1.000000e")]
    return tens if len(ticks) > TICKS and len(tens) > 1 else ticks


def _grid(x: Axis, y: Axis, word: Callable[[float], str]) -> Iterator[Markup]:
    bottom = HEIGHT - BOTTOM
    for tick in _few(y):
        at = y.at(tick)
        yield element("line", class_="c-grid", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at)
        place = {"x": LEFT - 6, "y": at + 4}
        yield element("text", word(tick), class_="c-tick", **place, text_anchor="end")
    for tick in x.ticks(6):
        at = x.at(tick)
        yield element("line", class_="c-grid-x", x1=at, x2=at, y1=bottom, y2=bottom + 4)
        place = {"x": at, "y": bottom + 17}
        words = f"{tick:g} s"
        yield element("text", words, class_="c-tick", **place, text_anchor="middle")
