"""Every verb: its name, its function, and how typer should treat it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from perfhunt.cli import demo, doctor, history, init, investigate, open_report, profile, report, schema


@dataclass(frozen=True, slots=True)
class Verb:
    function: Callable[..., None]
    settings: dict[str, Any] = field(default_factory=dict)


# Arguments after `--` are a command of the user's, options and all.
_COMMAND = {"context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}}

VERBS: dict[str, Verb] = {
    "init": Verb(init.init),
    "doctor": Verb(doctor.doctor),
    "investigate": Verb(investigate.investigate),
    "profile": Verb(profile.profile),
    "report": Verb(report.report),
    "open": Verb(open_report.open_report),
    "history": Verb(history.history),
    "demo": Verb(demo.demo),
    "schema": Verb(schema.schema),
}
