"""Readings as metrics: OpenMetrics text, which GitLab's metrics report and Prometheus read, and
OTLP in its JSON encoding.

OpenMetrics 1.0 has the text, opentelemetry-proto 1.x the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from perfhunt.model.run import Run
from perfhunt.model.slo import Judgement
from perfhunt.model.text.escaping import json_text, label, visible
from perfhunt.reports.ci.readings import Reading, ReadingUnit, run_readings
from perfhunt.version import __version__

# A metric's name ends in its unit (OpenMetrics, "UNIT"): the family, and how its values are said.
_FAMILIES: Mapping[ReadingUnit, tuple[str, str]] = {
    ReadingUnit.RATE: ("perfhunt_requests_per_second", "Rates in requests per second."),
    ReadingUnit.SECONDS: ("perfhunt_latency_seconds", "Times in seconds."),
    ReadingUnit.SHARE: ("perfhunt_ratio", "Shares, 0 to 1."),
    ReadingUnit.BYTES: ("perfhunt_size_bytes", "Sizes in bytes."),
    ReadingUnit.COUNT: ("perfhunt_count", "Counts, and what grows per hour."),
}
_SUFFIX: Mapping[ReadingUnit, str] = {
    ReadingUnit.RATE: "requests_per_second",
    ReadingUnit.SECONDS: "seconds",
    ReadingUnit.SHARE: "ratio",
    ReadingUnit.BYTES: "bytes",
}
# The Unified Code for Units of Measure, which OTLP asks for.
_UCUM: Mapping[ReadingUnit, str] = {
    ReadingUnit.RATE: "{request}/s",
    ReadingUnit.SECONDS: "s",
    ReadingUnit.SHARE: "1",
    ReadingUnit.BYTES: "By",
    ReadingUnit.COUNT: "1",
}
MET = "perfhunt_slo_met"


def openmetrics(run: Run) -> str:
    """The run's readings, and whether each objective held. Labels are the same from run to run, so
    that two branches can be compared.
    """
    target = run.question.target.name or run.question.target.url
    met = [
        f"{MET}{_labels(target, judged.objective.name)} {int(judged.verdict is Judgement.MET)}"
        for judged in run.judged
        if judged.verdict is not Judgement.UNKNOWN
    ]
    head = [f"# TYPE {MET} gauge", f"# HELP {MET} 1 where an objective holds; unknown: not there."]
    return _exposed([*readings_lines(target, run_readings(run)), *(head + met if met else [])])


def readings_text(target: str, readings: Sequence[Reading]) -> str:
    """Readings alone as OpenMetrics text."""
    return _exposed(readings_lines(target, readings))


def _exposed(lines: Sequence[str]) -> str:
    return "\n".join([*lines, "# EOF"]) + "\n"


def readings_lines(target: str, readings: Sequence[Reading]) -> list[str]:
    """The families of the readings, each as a whole: value, and both ends of its interval."""
    lines = []
    for unit, (family, words) in _FAMILIES.items():
        some = [reading for reading in readings if reading.unit is unit]
        if not some:
            continue
        lines.append(f"# TYPE {family} gauge")
        if unit in _SUFFIX:
            lines.append(f"# UNIT {family} {_SUFFIX[unit]}")
        lines.append(f"# HELP {family} {words}")
        for reading in some:
            lines += [
                f"{family}{_labels(target, reading.name, bound)} {value!r}"
                for bound, value in _bounds(reading)
            ]
    return lines


def _bounds(reading: Reading) -> list[tuple[str, float]]:
    ends = (("", reading.value), ("low", reading.low), ("high", reading.high))
    return [(bound, float(value)) for bound, value in ends if value is not None]


def _labels(target: str, of: str, bound: str = "") -> str:
    pairs = {"target": target, "of": of, "bound": bound}
    written = ",".join(f'{name}="{label(text)}"' for name, text in pairs.items() if text)
    return f"{{{written}}}"


def otlp(run: Run) -> str:
    """An ExportMetricsServiceRequest: a gauge for each reading, at the time the run began."""
    target = run.question.target.name or run.question.target.url
    metrics = [_gauge(reading, _nanoseconds(run.started)) for reading in run_readings(run)]
    resource = {
        "service.name": target,
        "perfhunt.run": run.id,
        "vcs.ref.head.revision": run.environment.git_revision,
    }
    request = {
        "resourceMetrics": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeMetrics": [
                    {"scope": {"name": "perfhunt", "version": __version__}, "metrics": metrics}
                ],
            }
        ]
    }
    return json_text(request, indent=2) + "\n"


def _nanoseconds(started: str) -> str:
    """A moment since 1970; "0", which OTLP reads as not known, for what is none."""
    try:
        return f"{datetime.fromisoformat(started).timestamp():.0f}000000000"
    except ValueError:
        return "0"


def _gauge(reading: Reading, nanoseconds: str) -> dict[str, Any]:
    points = [
        {
            "timeUnixNano": nanoseconds,
            "asDouble": value,
            "attributes": _attributes({"bound": bound}),
        }
        for bound, value in _bounds(reading)
    ]
    return {
        "name": f"perfhunt.{visible(reading.name)}",
        "description": visible(reading.title),
        "unit": _UCUM[reading.unit],
        "gauge": {"dataPoints": points},
    }


def _attributes(pairs: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"stringValue": visible(text)}} for key, text in pairs.items() if text
    ]
