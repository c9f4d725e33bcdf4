"""What codes are called on a page that is read in a meeting: no key of a test file, no sign of a
comparison.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from perfhunt.model.finding import BottleneckClass
from perfhunt.model.slo import Judged, Measure, Objective
from perfhunt.model.trial import FITTED_PHASES, Phase, Trial
from perfhunt.model.units import format_duration
from perfhunt.reports.words import CLASSES

_SIGNS = {"<=": "at most", "<": "below", ">=": "at least", ">": "above"}
_COMPARED = re.compile(r"(?<=\s)(<=|>=|<|>) (?=[0-9.])")
_KEYS: Mapping[tuple[str, str], str] = {
    (Measure.THROUGHPUT, "sustained"): "throughput",
    (Measure.ERRORS, "any"): "failed requests",
    (Measure.ERRORS, "http_5xx"): "server errors (5xx)",
    (Measure.ERRORS, "http_4xx"): "client errors (4xx)",
    (Measure.ERRORS, "transport"): "broken connections",
    (Measure.RESOURCES, "cpu"): "CPU",
    (Measure.RESOURCES, "memory"): "memory",
    (Measure.RESOURCES, "oom_kills"): "out-of-memory kills",
    (Measure.RESOURCES, "memory_growth"): "growth of memory",
    (Measure.RESOURCES, "fds_growth"): "growth of open files",
    (Measure.RESOURCES, "threads_growth"): "growth of threads",
}
_NAMES = "|".join(
    (rf"{Measure.LATENCY}\.p[0-9]+(?:\.[0-9]+)?", *(rf"{measure}\.{key}" for measure, key in _KEYS))
)
_NAMED = re.compile(rf"\b({_NAMES})\b(?:\[([^\]]*)\])?")
# What a suspect's kind of time is, where the class alone says little.
_KINDS: Mapping[str, str] = {
    BottleneckClass.CPU: "runs on the CPU",
    BottleneckClass.GIL: "holds the GIL",
    BottleneckClass.EVENT_LOOP: "keeps the event loop busy",
    BottleneckClass.EVENT_LOOP_BLOCKED: "blocks the event loop",
    BottleneckClass.LOCK: "holds a lock",
    BottleneckClass.DATABASE: "waits for the database",
    BottleneckClass.DOWNSTREAM: "waits for another service",
    BottleneckClass.POOL: "holds what a pool lends",
    BottleneckClass.WORKERS: "occupies a worker",
    BottleneckClass.DISK: "waits for the disk",
    BottleneckClass.SLEEP: "sleeps",
    BottleneckClass.GC: "collects garbage",
    BottleneckClass.LIMITER: "lets only so many requests through",
    BottleneckClass.OTHER: "waits",
}
PHASE_WORDS: Mapping[Phase, str] = {
    Phase.WARMUP: "warm-up",
    Phase.BASELINE: "baseline",
    Phase.RAMP: "climb",
    Phase.COARSE: "search",
    Phase.PASS: "search",
    Phase.STAIRCASE: "search",
    Phase.REFERENCE: "reference",
    Phase.SOAK: "soak",
    Phase.CAPACITY: "capacity",
    Phase.HOLD: "profiled",
    Phase.ABOVE: "above the knee",
    Phase.QUIET: "not profiled",
    Phase.JUDGE: "judged",
    Phase.FIXED: "compared",
}
_USES: Mapping[Phase, str] = {
    Phase.WARMUP: "not counted: the service warms up",
    Phase.BASELINE: "counts for the baseline",
    Phase.RAMP: "not in the knee: too short to be steady, it says where to look",
    Phase.REFERENCE: "counts for the drift: the same load again",
    Phase.SOAK: "counts for what grows",
    Phase.CAPACITY: "counts for the capacity",
    Phase.HOLD: "not in the knee: a profiler was attached",
    Phase.ABOVE: "not in the knee: profiled where the service breaks",
    Phase.QUIET: "counts for the probe effect: the same load without a profiler",
    Phase.JUDGE: "counts for the SLO",
    Phase.FIXED: "counts for the comparison",
}


def objective_words(objective: Objective) -> str:
    """`p99 latency`, `p99 latency of checkout`, `server errors (5xx)`."""
    return _named(objective.measure, objective.key, objective.route or "")


def _named(measure: str, key: str, route: str) -> str:
    words = _KEYS.get((measure, key))
    if words is None:
        words = f"{key} latency" if measure == Measure.LATENCY else key.replace("_", " ")
    return f"{words} of {route}" if route else words


def _words_of(name: re.Match[str]) -> str:
    measure, _, key = name[1].partition(".")
    return _named(measure, key, name[2] or "")


def plain(text: str) -> str:
    """A sentence with the names of objectives, and comparisons with a number, in words."""
    named = _NAMED.sub(_words_of, text)
    return _COMPARED.sub(lambda found: f"{_SIGNS[found[1]]} ", named)


def asked_words(judged: Judged) -> str:
    """`at most 250 ms`, `at least 120/s for 60 s`, `none` where nothing at all may be."""
    objective = judged.objective
    if objective.op == "<=" and objective.limit == 0:
        return "none may be"
    window = f" for {format_duration(objective.window)}" if objective.window else ""
    return f"{_SIGNS[objective.op]} {objective.format(objective.limit)}{window}"


def kind_words(category: str) -> str:
    """What a suspect's time is: `waits for the database`."""
    return _KINDS.get(category, CLASSES.get(category, category))


def use_words(trial: Trial) -> str:
    """Whether a trial counts, for what, and why not where it does not."""
    if trial.invalid:
        return trial.invalid if trial.set_aside else f"not counted: {trial.invalid}"
    fitted = "counts: the knee is fitted to it"
    use = fitted if trial.step.phase in FITTED_PHASES else _USES.get(trial.step.phase, "")
    return f"{use}; overloaded: {trial.overload}" if trial.overload else use
