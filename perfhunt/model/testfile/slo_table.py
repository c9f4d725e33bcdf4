"""The `[slo]` table: objectives with units, per route where asked, and the checks that they make
sense together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from perfhunt.model.question import RequestTemplate
from perfhunt.model.slo import Measure, Objective, Slo
from perfhunt.model.testfile.strict import Reader, did_you_mean, kind, show
from perfhunt.model.testfile.thresholds import ThresholdError, is_blank, k6_objectives, objective

_EXAMPLE = '[slo] with latency = { p99 = "<= 400ms" }'


@dataclass(slots=True)
class SloReading:
    """What was read so far: objectives with the key each came from, and the keys still blank."""

    objectives: list[tuple[str, Objective]] = field(default_factory=list)
    blank: list[str] = field(default_factory=list)


def read_slo(
    top: Reader, endpoints: Sequence[RequestTemplate], any_route: bool
) -> tuple[Slo, SloReading]:
    """The SLO of a file and how it was read; problems go to the reader. `any_route`: a locustfile
    names its own routes.
    """
    reading = SloReading()
    table = top.child("slo", _EXAMPLE)
    if table is None:
        return Slo(()), reading
    routes = _Routes(tuple(endpoints), any_route)
    _read_objectives(table, None, reading)
    for child in table.children("route", '[[slo.route]] with match = "GET /path"'):
        _read_route(child, routes, reading)
    _read_expressions(table, routes, reading)
    at_load = table.optional_rate("at_load")
    samples = table.integer("min_samples", 100, low=1)
    table.finish(
        {
            "p99": "in latency",
            "p95": "in latency",
            "p50": "in latency",
            "http_5xx": "in errors",
            "cpu": "in resources",
        }
    )
    _check_together(table, reading.objectives)
    return Slo(tuple(o for _, o in reading.objectives), at_load, samples), reading


@dataclass(frozen=True, slots=True)
class _Routes:
    """Which endpoint a `match` means."""

    endpoints: tuple[RequestTemplate, ...]
    any_name: bool

    def named(self, match: str) -> str:
        """The endpoint's name for a name, a `METHOD /path` or a URL. Raises ThresholdError."""
        path = "/" + match.split("://", 1)[1].partition("/")[2] if "://" in match else match
        for endpoint in self.endpoints:
            bare = endpoint.path.partition("?")[0]
            spelled = (
                endpoint.name,
                f"{endpoint.method} {endpoint.path}",
                f"{endpoint.method} {bare}",
            )
            if match in spelled or path in (endpoint.path, bare):
                return endpoint.name
        if self.any_name and match:
            return match
        known = [e.name for e in self.endpoints] + [
            f"{e.method} {e.path.partition('?')[0]}" for e in self.endpoints
        ]
        raise ThresholdError(
            f"{match!r} is no endpoint of [[traffic]]", did_you_mean(match, set(known))
        )


def _read_route(table: Reader, routes: _Routes, reading: SloReading) -> None:
    match = table.text("match", example='match = "POST /checkout"')
    try:
        route = routes.named(match)
    except ThresholdError as error:
        table.wrong(
            "match",
            error.wrong if match else "is missing",
            error.instead if match else 'write match = "POST /checkout"',
        )
        route = match or table.path  # read on: the objectives below may be wrong too
    before = len(reading.objectives) + len(reading.blank) + len(table.problems)
    _read_objectives(table, route, reading, skip=(Measure.RESOURCES,))
    table.finish({"resources": "in [slo]: CPU and memory are those of the whole target"})
    if len(reading.objectives) + len(reading.blank) + len(table.problems) == before:
        table.wrong("", "has no objective", 'write latency = { p99 = "<= 400ms" }')


def _read_objectives(
    table: Reader, route: str | None, reading: SloReading, skip: tuple[Measure, ...] = ()
) -> None:
    for measure in Measure:
        if measure in skip:
            continue
        lines = table.child(measure.value, f"a table: {measure.value} = {{ ... }}")
        for key, value in _undotted(lines.table if lines else {}).items():
            assert lines is not None
            _read_objective(lines, measure, key, value, route, reading)


def _undotted(lines: dict[str, Any] | Any) -> dict[str, Any]:
    """TOML reads an unquoted `p99.9 = "x"` as `p99 = { 9 = "x" }`; this undoes it."""
    flat: dict[str, Any] = {}
    for key, value in lines.items():
        if isinstance(value, dict) and value and all(part.isdigit() for part in value):
            flat.update({f"{key}.{part}": inner for part, inner in value.items()})
        else:
            flat[key] = value
    return flat


def _read_objective(
    lines: Reader, measure: Measure, key: str, value: object, route: str | None, reading: SloReading
) -> None:
    if not isinstance(value, str):
        lines.wrong(
            key,
            f"{show(value)} is {kind(value)}",
            'write a comparison with a unit in quotes, like "<= 400ms" or "< 0.1%"',
        )
    elif is_blank(value):
        reading.blank.append(lines.at(key))
    else:
        try:
            reading.objectives.append((lines.at(key), objective(measure, key, value, route)))
        except ThresholdError as error:
            lines.wrong(key, error.wrong, error.instead)


def _read_expressions(table: Reader, routes: _Routes, reading: SloReading) -> None:
    for path, text in _expressions(table):
        try:
            reading.objectives.extend(
                (table.at(path), o) for o in k6_objectives(text, routes.named)
            )
        except ThresholdError as error:
            table.wrong(path, error.wrong, error.instead)


def _expressions(table: Reader) -> Iterable[tuple[str, str]]:
    """Key path and text of every k6 threshold: a list of strings, or k6's own table of metric to
    list of rules.
    """
    value = table.raw("expressions")
    example = 'write expressions = ["http_req_duration: p(95)<500"]'
    rules = value if isinstance(value, list) else []
    if isinstance(value, dict):
        rules = [
            f"{metric}: {rule}"
            for metric, own in value.items()
            for rule in (own if isinstance(own, list) else [own])
        ]
    elif value is not None and not isinstance(value, list):
        table.wrong("expressions", f"{show(value)} is {kind(value)}", example)
    for n, rule in enumerate(rules, start=1):
        if isinstance(rule, str):
            yield f"expressions[{n}]", rule
        else:
            table.wrong(f"expressions[{n}]", f"{show(rule)} is {kind(rule)}", example)


def _check_together(table: Reader, read: list[tuple[str, Objective]]) -> None:
    first: dict[str, str] = {}
    for path, own in read:
        if own.name in first:
            table.wrong(
                "",
                f"{own.name} is said twice, at {first[own.name]} and at {path}",
                "keep one of them",
            )
        first.setdefault(own.name, path)
    by_route: dict[str | None, list[Objective]] = {}
    for _, own in read:
        if own.measure is Measure.LATENCY:
            by_route.setdefault(own.route, []).append(own)
    for objectives in by_route.values():
        for low, high in pairwise(sorted(objectives, key=lambda o: o.percentile or 0.0)):
            if low.limit > high.limit:
                wrong = f"{low} can never be missed while {high} holds"
                table.wrong(
                    "", wrong, f"make the limit of {low.key} at most {high.format(high.limit)}"
                )
