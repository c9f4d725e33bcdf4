"""Comparisons with units (`<= 400ms for 60s`) and k6's threshold strings, as objectives.

The k6 grammar is that of its `metrics/thresholds_parser.go`: `aggregate operator number`, latency
in milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from perfhunt.model.slo import Measure, Objective
from perfhunt.model.testfile.strict import did_you_mean
from perfhunt.model.units import (
    Seconds,
    UnitError,
    parse_bytes_per_hour,
    parse_duration,
    parse_per_hour,
    parse_rate,
    parse_share,
)

BLANK = "__"  # what `init` writes where a person must choose a number

_COMPARISON = re.compile(r"\s*(<=|>=|==|=|<|>)\s*(.*?)(?:\s+for\s+(\S+))?\s*")
_BLANK = re.compile(r"\s*(<=|>=|<|>)?\s*(__.*)?\s*")
_K6 = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\{([^{}]*)\})?\s*:\s*(.+?)\s*", re.DOTALL)
_K6_RULE = re.compile(
    r"(count|rate|value|avg|min|med|max|p\(\s*([0-9]+(?:\.[0-9]+)?)\s*\))\s*(<=|>=|<|>|===|==|!=)\s*([0-9]+(?:\.[0-9]+)?)"
)


class ThresholdError(ValueError):
    """A threshold that cannot be used: what is wrong, and what to write instead."""

    def __init__(self, wrong: str, instead: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.instead = instead


@dataclass(frozen=True, slots=True)
class _Kind:
    """How objectives of one key are written: how the number is read, its direction, an example, the
    largest sensible limit.
    """

    read: Callable[[str], float]
    upper: bool
    example: str
    top: float = math.inf
    top_reason: str = ""
    zero: bool = False  # whether a limit of nothing makes sense


def _count(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,15}", text.strip()):
        raise UnitError(f"{text!r} is not a count (a whole number without a unit)")
    return float(text)


_USAGE = _Kind(
    read=parse_share,
    upper=True,
    example="< 70%",
    top=1.0,
    top_reason="it is a share of what the target may use",
)
_ERROR_SHARE = _Kind(
    read=parse_share,
    upper=True,
    example="< 0.1%",
    top=1.0,
    top_reason="it is a share of all requests",
    zero=True,
)
_COUNTED = _Kind(read=_count, upper=True, example="<= 0", zero=True)
_LATENCY = _Kind(read=parse_duration, upper=True, example="<= 400ms")
_RATE = _Kind(read=parse_rate, upper=False, example=">= 300/s for 60s")
_KINDS: dict[Measure, dict[str, _Kind]] = {
    Measure.THROUGHPUT: {"sustained": _RATE},
    Measure.ERRORS: {
        "http_5xx": _ERROR_SHARE,
        "http_4xx": _ERROR_SHARE,
        "any": _ERROR_SHARE,
        "transport": _COUNTED,
    },
    Measure.RESOURCES: {
        "cpu": _USAGE,
        "memory": _USAGE,
        "oom_kills": _COUNTED,
        "memory_growth": _Kind(parse_bytes_per_hour, upper=True, example="<= 10MiB/h"),
        "fds_growth": _Kind(parse_per_hour, upper=True, example="<= 10/h"),
        "threads_growth": _Kind(parse_per_hour, upper=True, example="<= 1/h"),
    },
}


def examples() -> tuple[tuple[Measure, str, str], ...]:
    """Every objective that can be written: its measure, its key (`p99` stands for all percentiles)
    and an example of its limit.
    """
    kinds = {Measure.LATENCY: {"p99": _LATENCY}, **_KINDS}
    return tuple(
        (of, key, kind.example) for of, keys in kinds.items() for key, kind in keys.items()
    )


def is_blank(text: str) -> bool:
    """Whether a limit was left as `init` wrote it: empty, an operator alone, or with `__` for its
    number.
    """
    return _BLANK.fullmatch(text) is not None


def percentile_key(key: str) -> str:
    """`p99.9` for p99.9, P99.90 or p(99.9). Raises ThresholdError for anything that is not a
    percentile.
    """
    match = re.fullmatch(r"[pP]\(?([0-9]{1,2}(?:\.[0-9]{1,4})?)\)?", key)
    if match is None or not 0 < float(match[1]) < 100:
        instead = 'write p50, p95, p99 or "p99.9" (quoted: the dot means a table otherwise)'
        if key in ("max", "p100"):
            instead = 'the largest of a run grows with its length: write "p99.9"'
        elif key in ("avg", "mean"):
            instead = "a mean hides the slow requests: write p50 or p95"
        raise ThresholdError(f"{key!r} is not a percentile of latency", instead)
    return f"p{float(match[1]):g}"


def objective(measure: Measure, key: str, text: str, route: str | None = None) -> Objective:
    """The objective of one line of the SLO, `key = "text"`. Raises ThresholdError."""
    if measure is Measure.LATENCY:
        key, rule = percentile_key(key), _LATENCY
    elif key in _KINDS[measure]:
        rule = _KINDS[measure][key]
    else:
        raise ThresholdError(
            f"{key!r} is not an objective of {measure}", did_you_mean(key, _KINDS[measure])
        )
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise ThresholdError(f"{text!r} has no comparison", f'write for example "{rule.example}"')
    window = _window(match[3])
    try:
        limit = rule.read(match[2])
    except UnitError as error:
        raise ThresholdError(str(error), f'write for example "{rule.example}"') from None
    made = Objective(measure=measure, key=key, op=match[1], limit=limit, window=window, route=route)
    _check(made, rule)
    return made


def _window(text: str | None) -> Seconds | None:
    if text is None:
        return None
    try:
        window = parse_duration(text)
    except UnitError as error:
        raise ThresholdError(
            f"the window after 'for': {error}", "write for example 'for 60s'"
        ) from None
    if not 0 < window < math.inf:
        raise ThresholdError(
            f"the window {text!r} is not a length of time", "write for example 'for 60s'"
        )
    return window


def _check(made: Objective, rule: _Kind) -> None:
    right = ("<", "<=") if rule.upper else (">", ">=")
    if made.op not in right:
        side = "an upper" if rule.upper else "a lower"
        raise ThresholdError(
            f"{made.measure}.{made.key} is {side} limit, {made.op!r} is not",
            f'write for example "{rule.example}"',
        )
    if not math.isfinite(made.limit):
        raise ThresholdError(
            "the limit is not a finite number", f'write for example "{rule.example}"'
        )
    if made.limit > rule.top:
        raise ThresholdError(
            f"{made.format(made.limit)} can never be exceeded: {rule.top_reason}",
            f'like "{rule.example}"',
        )
    if made.limit == 0 and (not rule.zero or made.op == "<"):
        raise ThresholdError(
            "nothing can ever be below that limit",
            f'write for example "{"<= 0" if rule.zero else rule.example}"',
        )


def k6_objectives(expression: str, route: Callable[[str], str]) -> tuple[Objective, ...]:
    """The objectives of one k6 threshold, `metric{tag:value}: rule`, or several rules with commas.

    `route` turns the value of a `name` or `url` tag into an endpoint's name and raises
    ThresholdError when there is none.
    """
    match = _K6.fullmatch(expression)
    if match is None:
        raise ThresholdError(
            f"{expression!r} is not a k6 threshold",
            'write for example "http_req_duration: p(95)<500"',
        )
    rules = [rule.strip(" \t\r\n'\"") for rule in match[3].strip("[] \t").split(",")]
    where = _k6_route(match[2], route)
    return tuple(_k6_rule(match[1], rule, where) for rule in rules)


def _k6_route(tags: str | None, route: Callable[[str], str]) -> str | None:
    endpoint: str | None = None
    for tag in filter(None, (t.strip() for t in (tags or "").split(","))):
        key, _, value = tag.partition(":")
        if key.strip() in ("name", "url"):
            endpoint = route(value.strip(" '\""))
        # Failed requests already count against every latency objective here, so this tag asks for
        # less than is judged.
        elif tag.replace(" ", "") != "expected_response:true":
            raise ThresholdError(
                f"the tag {tag!r} cannot be selected on",
                "only {name:...} and {url:...} choose an endpoint here",
            )
    return endpoint


def _k6_rule(metric: str, text: str, route: str | None) -> Objective:
    makers = {
        "http_req_duration": _k6_duration,
        "http_req_failed": _k6_failed,
        "http_reqs": _k6_requests,
    }
    if metric not in makers:
        raise ThresholdError(
            f"the k6 metric {metric!r} is not measured here", did_you_mean(metric, makers)
        )
    match = _K6_RULE.fullmatch(text)
    if match is None:
        raise ThresholdError(
            f"{text!r} is not a k6 rule", "write aggregate, operator and a bare number: p(95)<500"
        )
    return makers[metric](match[1], match[2], match[3], match[4], route)


def _k6_duration(
    aggregate: str, percent: str | None, op: str, number: str, route: str | None
) -> Objective:
    key = f"p{percent}" if percent else {"med": "p50"}.get(aggregate, aggregate)
    return objective(Measure.LATENCY, key, f"{op} {number}ms", route)


def _k6_failed(
    aggregate: str, _percent: str | None, op: str, number: str, route: str | None
) -> Objective:
    if aggregate != "rate":
        raise ThresholdError(f"http_req_failed has a rate, not {aggregate!r}", "write rate<0.01")
    share = float(number)
    if op in ("==", "===") and share == 0:
        op = "<="
    # Through `objective` for its checks; 12 digits keep a share such as 0.001 exact enough to print
    # as 0.1 %.
    return objective(Measure.ERRORS, "any", f"{op} {share * 100:.12f}%", route)


def _k6_requests(
    aggregate: str, _percent: str | None, op: str, number: str, route: str | None
) -> Objective:
    if aggregate != "rate":
        raise ThresholdError(
            f"http_reqs by {aggregate!r} depends on how long the test runs",
            "write http_reqs: rate>=300",
        )
    return objective(Measure.THROUGHPUT, "sustained", f"{op} {number}/s", route)
