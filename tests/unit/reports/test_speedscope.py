"""speedscope files, checked against the rules of its file-format-spec.ts, written down here a
second time.
"""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from perfhunt.model.profile import Frame, Profile, ProfileMode
from perfhunt.model.profiles.writers.speedscope import SCHEMA_URL, speedscope_text
from perfhunt.reports.format import FORMATS
from tests.sample_run import sample_run

NUMBER = {"type": "number"}
UNITS = ["none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"]
SPEC = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": "https://www.speedscope.app/file-format-schema.json"},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": {"type": "integer", "minimum": 0},
        "shared": {
            "type": "object",
            "required": ["frames"],
            "additionalProperties": False,
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string"},
                            "file": {"type": "string"},
                            "line": {"type": "integer"},
                            "col": {"type": "integer"},
                        },
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    "type",
                    "name",
                    "unit",
                    "startValue",
                    "endValue",
                    "samples",
                    "weights",
                ],
                "additionalProperties": False,
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {"enum": UNITS},
                    "startValue": NUMBER,
                    "endValue": NUMBER,
                    "samples": {
                        "type": "array",
                        "items": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    },
                    "weights": {"type": "array", "items": NUMBER},
                },
            },
        },
    },
}


def checked(text: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(text)
    Draft202012Validator(SPEC).validate(plain)
    for profile in plain["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert all(
            0 <= index < len(plain["shared"]["frames"])
            for sample in profile["samples"]
            for index in sample
        )
        assert profile["endValue"] - profile["startValue"] == sum(profile["weights"])
    assert 0 <= plain["activeProfileIndex"] < max(1, len(plain["profiles"]))
    return plain


def test_the_file_keeps_to_the_specification() -> None:
    plain = checked(FORMATS["speedscope"].render(sample_run()))
    assert [p["name"].split()[0] for p in plain["profiles"]] == ["baseline", "knee"]
    assert plain["activeProfileIndex"] == 1


def test_every_stack_comes_back_root_first_with_its_weight() -> None:
    run = sample_run()
    plain = checked(FORMATS["speedscope"].render(run))
    frames, knee = plain["shared"]["frames"], plain["profiles"][1]
    back = {
        tuple((frames[i]["name"], frames[i].get("file", "")) for i in sample): weight
        for sample, weight in zip(knee["samples"], knee["weights"], strict=True)
    }
    assert back == {
        tuple(f.key for f in stack): weight for stack, weight in run.profiles["knee"].stacks.items()
    }
    assert all(isinstance(weight, int) for weight in knee["weights"])


def test_fractions_units_and_nameless_frames_are_kept_within_the_specification() -> None:
    profile = Profile(
        "perf", "6", ProfileMode.CPU, 99.0, 1.0, {(Frame(""),): 0.5, (): 2.0}, unit="us"
    )
    plain = checked(speedscope_text({"knee": profile}, "n", "1"))
    assert plain["$schema"] == SCHEMA_URL
    assert plain["profiles"][0]["unit"] == "microseconds"
    assert plain["profiles"][0]["weights"] == [0.5, 2]


def test_no_profile_is_an_empty_file_that_still_keeps_to_it() -> None:
    assert checked(speedscope_text({}, "n", "1"))["profiles"] == []
