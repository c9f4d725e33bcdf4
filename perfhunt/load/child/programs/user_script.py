"""What a k6 script of the user's is made of: the functions that its scenarios run, and how often
each.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfhunt.errors import LoadFailed, Unreadable
from perfhunt.load.child.programs.program import plain_environment, script_directory
from perfhunt.model.document.bounded import json_value
from perfhunt.model.text.error_words import error_words
from perfhunt.model.units import Seconds, parse_duration

_READ_WITHIN: Seconds = 30.0  # a script that reads files of data in its beginning takes a while
_ONE = 1.0
_PART = re.compile(r"([0-9.]+)(h|ms|m|s)")  # of a duration in Go


@dataclass(frozen=True, slots=True)
class K6Scenario:
    """A function that the script exports, and its share of the load; what its scenario sets for
    it.
    """

    name: str
    function: str = "default"
    weight: float = _ONE
    variables: Mapping[str, str] = field(default_factory=dict)


def scenarios_of(path: str, environment: Mapping[str, str]) -> tuple[K6Scenario, ...]:
    """The scenarios of a script; one for its default function where it names none.

    `k6 inspect` runs what stands outside of its functions, and sends nothing. Raises LoadFailed
    when that fails.
    """
    try:
        shown = subprocess.run(
            ("k6", "inspect", path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_READ_WITHIN,
            cwd=script_directory(path),
            env=plain_environment(environment),
            check=False,
        )
        options = json_value(shown.stdout, path) if not shown.returncode else None
    except (OSError, subprocess.TimeoutExpired, Unreadable) as error:
        raise LoadFailed(f"k6 inspect {path} failed: {error_words(error, False)}") from None
    if not isinstance(options, dict):
        raise LoadFailed(
            f"k6 cannot read the script {path}: k6 inspect ended with code {shown.returncode}",
            f"k6 inspect {path} says why.",
        )
    named = options.get("scenarios")
    if not isinstance(named, dict) or not named:
        return (K6Scenario("default"),)
    return tuple(_scenario(name, said) for name, said in named.items())


def _scenario(name: str, said: Any) -> K6Scenario:
    return K6Scenario(
        name=name,
        function=said.get("exec") or "default",
        weight=_weight(said),
        variables=_texts(said.get("env")),
    )


def _texts(said: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}


def _weight(said: Any) -> float:
    """How much of the load a scenario was to make: its rate, else its users, at their most."""
    stages = [stage.get("target") or 0 for stage in said.get("stages") or ()]
    amount = said.get("rate") or max((*stages, said.get("startRate") or 0), default=0)
    amount = amount or said.get("vus") or said.get("startVUs") or _ONE
    return float(amount) / (_seconds(said.get("timeUnit")) or _ONE)


def _seconds(unit: object) -> Seconds:
    """A duration as Go prints it: `1m0s`."""
    parts = _PART.findall(unit) if isinstance(unit, str) else ()
    return sum(parse_duration(f"{number}{word}") for number, word in parts)
