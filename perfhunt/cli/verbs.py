"""Every verb: its name, its function, and how typer should treat it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from perfhunt.cli import (
    bench,
    bisecting,
    changes,
    compare,
    demo,
    doctor,
    history,
    init,
    investigate,
    noise,
    open_report,
    profile,
    report,
    schema,
    verify,
    worker,
)


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb's function, how typer should treat it, and whether words after `--` are a command of the user's."""

    function: Callable[..., None]
    settings: dict[str, Any] = field(default_factory=dict)
    takes_command: bool = False


def _with_command(function: Callable[..., None], example: str) -> Verb:
    return Verb(function, {"epilog": f"Example:  perfhunt {example}"}, takes_command=True)


VERBS: dict[str, Verb] = {
    "init": Verb(init.init),
    "doctor": Verb(doctor.doctor),
    "investigate": Verb(investigate.investigate),
    "profile": Verb(profile.profile),
    "verify": _with_command(verify.verify, "verify --base HEAD -- gunicorn -b 127.0.0.1:{port} app:app   ($PORT is set as well)"),
    "change": Verb(changes.change),
    "split": Verb(changes.split),
    "compare": Verb(compare.compare),
    "bench": _with_command(bench.bench, "bench --base HEAD~1 -- python -m compileall -f -q src"),
    "bisect": _with_command(bisecting.bisect, "bisect v1.4 HEAD -- gunicorn -b 127.0.0.1:{port} app:app"),
    "calibrate": _with_command(noise.calibrate, "calibrate -- gunicorn -b 127.0.0.1:{port} app:app"),
    "report": Verb(report.report),
    "open": Verb(open_report.open_report),
    "history": Verb(history.history),
    "demo": Verb(demo.demo),
    "worker": Verb(worker.worker),
    "schema": Verb(schema.schema),
}
