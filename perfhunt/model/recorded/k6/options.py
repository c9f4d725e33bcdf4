"""The options of a script: its thresholds as lines of an SLO, and what it says of its own load."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from perfhunt.model.recorded.k6.syntax import Node, source
from perfhunt.model.recorded.k6.values import Hole, ScriptValues
from perfhunt.model.testfile.thresholds import ThresholdError, k6_objectives
from perfhunt.model.text.escaping import toml_text, visible

_LOAD = ("scenarios", "stages", "vus", "duration", "iterations", "rps")
_TOLD = 6  # scenarios that a note names


def options_of(root: Node, values: ScriptValues) -> Mapping[str, Any]:
    """What `export const options` is; empty where a script has none, or computes them."""
    for statement in root.named_children:
        declaration = statement.child_by_field_name("declaration")
        for each in declaration.named_children if declaration is not None else ():
            name = each.child_by_field_name("name")
            if name is not None and source(name) == "options":
                value = values.of(each.child_by_field_name("value"))
                return value if isinstance(value, dict) else {}
    return {}


def threshold_lines(
    options: Mapping[str, Any], names: Collection[str]
) -> tuple[list[str], list[str]]:
    """The thresholds as lines for `[slo]`, and, as sentences, those that it has no words for.
    `names` are those of the requests.
    """
    kept, refused = list[str](), list[str]()
    for expression in _expressions(options.get("thresholds")):
        try:
            k6_objectives(expression, lambda name: _known(name, names))
            kept.append(expression)
        except ThresholdError as error:
            refused.append(f"The threshold {visible(expression)[:80]} is left out: {error.wrong}.")
    if not kept:
        return [], refused
    listed = ", ".join(map(toml_text, dict.fromkeys(kept)))
    return [
        "The script's thresholds, to stand in place of latency and errors:",
        f"expressions = [{listed}]",
    ], refused


def _known(name: str, names: Collection[str]) -> str:
    if name not in names:
        raise ThresholdError("no request of that name was read", "name one with tags")
    return name


def _expressions(thresholds: Any) -> Iterator[str]:
    for metric, rules in thresholds.items() if isinstance(thresholds, dict) else ():
        for rule in rules if isinstance(rules, list) else [rules]:
            text = rule.get("threshold") if isinstance(rule, dict) else rule
            is_whole = isinstance(text, tuple) and not any(isinstance(p, Hole) for p in text)
            yield f"{metric}: {''.join(text) if is_whole and text else '(computed)'}"


def load_note(options: Mapping[str, Any]) -> list[str]:
    """What the script says of its own load, as a sentence."""
    if not any(key in options for key in _LOAD):
        return []
    scenarios = options.get("scenarios")
    every = scenarios if isinstance(scenarios, dict) else {"": options}
    parts = [_scenario(name, each) for name, each in every.items() if isinstance(each, dict)]
    if len(parts) > _TOLD:
        parts[_TOLD:] = [f"{len(parts) - _TOLD} more"]
    return [
        f"The script's own load ({'; '.join(parts) or 'computed'}) is not taken over: the rate is"
        " what is searched for ([ramp] max says where the search ends)."
    ]


def _scenario(name: str, scenario: Mapping[str, Any]) -> str:
    words = [visible(name)] if name else []
    executor = scenario.get("executor")
    if isinstance(executor, tuple) and len(executor) == 1 and isinstance(executor[0], str):
        words.append(visible(executor[0]))
    stages = scenario.get("stages")
    targets = (
        [_number(each.get("target")) for each in stages or () if isinstance(each, dict)]
        if (isinstance(stages, list))
        else []
    )
    most = max([_number(scenario.get("rate")), *targets])
    per_second = "rate" in " ".join(words) or "rate" in scenario
    if most:
        unit = _unit(scenario) if per_second else " users"
        words.append(f"up to {most:g}{unit}")
    elif users := _number(scenario.get("vus")):
        words.append(f"{users:g} users")
    return " ".join(words) or "computed"


def _unit(scenario: Mapping[str, Any]) -> str:
    unit = scenario.get("timeUnit", ("1s",))
    is_text = isinstance(unit, tuple) and len(unit) == 1 and isinstance(unit[0], str)
    return f" per {visible(unit[0])}" if is_text else ""


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number else 0
