"""What a k6 script of the user's is made of: the functions that its scenarios run, and how often
each.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfhunt.errors import TrafficError, Unreadable
from perfhunt.load.child.bounds.kept import kept_to
from perfhunt.load.child.programs.program import plain_environment, script_directory
from perfhunt.model.document.bounded import json_value, read_all
from perfhunt.model.text.error_words import error_words
from perfhunt.model.units import Bytes, Seconds, parse_duration

_READ_WITHIN: Seconds = 30.0  # a script that reads files of data in its beginning takes a while
_ONE = 1.0
_LARGEST: Bytes = 4 << 20  # of a script that was bundled
# What imports and requires name. Comments and texts that look like them are taken for them.
_IMPORTED = re.compile(r"""(?:from|import|require\()\s*['"](\.{1,2}/[^'"]+)['"]""")
_REMOTE = re.compile(r"""^(?!\s*//).*(?:from|import|require\()\s*['"](https?://[^'"]+)['"]""", re.M)
_ITS_NAME = re.compile(r"\bscenario\s*\.\s*name\b")
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

    `k6 inspect` runs what stands outside of its functions, and sends nothing. Raises TrafficError
    when that fails, or for a script that cannot be run here as it is.
    """
    says = f"k6 inspect --include-system-env-vars {path} says why."
    text = script_text(path)
    if (remote := _REMOTE.search(text)) is not None:
        raise TrafficError(
            f"the script {path} imports {remote[1]}, and nothing but the target may be reached",
            "Bundle it (esbuild --bundle --external:k6*), or import a copy of that file.",
        )
    try:
        with kept_to(()) as restrict:
            shown = subprocess.run(
                ("k6", "inspect", "--include-system-env-vars", path),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_READ_WITHIN,
                cwd=script_directory(path),
                env=plain_environment(environment),
                check=False,
                preexec_fn=restrict,
            )
        options = json_value(shown.stdout, path) if not shown.returncode else None
    except (OSError, subprocess.TimeoutExpired, Unreadable) as error:
        raise TrafficError(f"k6 inspect {path} failed: {error_words(error, False)}", says) from None
    if not isinstance(options, dict):
        raise TrafficError(
            f"k6 cannot read the script {path}: k6 inspect ended with code {shown.returncode}", says
        )
    named = options.get("scenarios")
    if not isinstance(named, dict) or not named:
        return (K6Scenario("default"),)
    if len(named) > 1 and _ITS_NAME.search(text):
        raise TrafficError(
            f"the script {path} asks which of its scenarios it is in, and perfhunt runs them all in"
            " one of its own",
            'Give each scenario a function of its own: exec: "browse".',
        )
    return tuple(_scenario(name, said) for name, said in named.items())


def script_text(path: str) -> str:
    """A script's text, and those of the files it imports by a relative path. What cannot be read is
    left to k6.
    """
    texts: dict[str, str] = {}
    waiting = [os.path.abspath(path)]
    while waiting:
        at = waiting.pop()
        if at not in texts:
            try:
                with open(at, "rb") as file:
                    texts[at] = read_all(file.read, _LARGEST, at).decode("utf-8", "replace")
            except (OSError, Unreadable):
                texts[at] = ""
            found = _IMPORTED.findall(texts[at])
            waiting += [os.path.normpath(os.path.join(os.path.dirname(at), to)) for to in found]
    return "\n".join(texts.values())


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
