"""Profiles as one speedscope file, to choose from at https://www.speedscope.app, or offline.

The format is speedscope's src/lib/file-format-spec.ts, type "sampled".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfhunt.model.profile import Frame, Profile
from perfhunt.model.text.escaping import json_text

SCHEMA_URL = "https://www.speedscope.app/file-format-schema.json"
_UNITS = {
    "s": "seconds",
    "seconds": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "bytes": "bytes",
    "milliseconds": "milliseconds",
    "microseconds": "microseconds",
    "nanoseconds": "nanoseconds",
}


def speedscope_text(profiles: Mapping[str, Profile], name: str, version: str) -> str:
    """Named profiles as one file. Frames are shared; weights are whole numbers where they were."""
    index: dict[Frame, int] = {}
    sampled = [
        _sampled(_title(phase, profile), profile, index) for phase, profile in profiles.items()
    ]
    active = next((i for i, phase in enumerate(profiles) if phase.startswith("knee")), 0)
    file = {
        "$schema": SCHEMA_URL,
        "shared": {"frames": [_frame(frame) for frame in index]},
        "profiles": sampled,
        "name": name,
        "activeProfileIndex": active,
        "exporter": f"perfhunt {version}",
    }
    return json_text(file, separators=(",", ":"), allow_nan=False) + "\n"


def _title(phase: str, profile: Profile) -> str:
    return f"{phase} ({profile.mode}, {profile.rate_hz:g}/s)" if profile.rate_hz else phase


def _sampled(name: str, profile: Profile, index: dict[Frame, int]) -> dict[str, Any]:
    samples, weights = [], []
    for stack, weight in profile.stacks.items():
        samples.append([index.setdefault(frame, len(index)) for frame in stack])
        weights.append(_whole(weight))
    unit = _UNITS.get(profile.unit, "none")
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": _whole(sum(weights)),
        "samples": samples,
        "weights": weights,
    }


def _frame(frame: Frame) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": frame.function or "(no name)"}
    if frame.file:
        plain["file"] = frame.file
    if frame.line is not None:
        plain["line"] = frame.line
    return plain


def _whole(weight: float) -> int | float:
    return int(weight) if float(weight).is_integer() else weight
