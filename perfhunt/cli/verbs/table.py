"""Every verb: its name, its function, and how typer should treat it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perfhunt.cli.verbs import (
    bench,
    bisect,
    calibrate,
    change,
    demo,
    doctor,
    init,
    investigate,
    profile,
    verify,
    worker,
)
from perfhunt.cli.verbs.gate import nightly, smoke
from perfhunt.cli.verbs.stored import (
    compare,
    convert,
    flamegraph,
    history,
    pack,
    report,
    schema,
)
from perfhunt.cli.verbs.stored import open as open_report


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: its function, its line in the list, an example for one that takes a command of the
    user's after `--`.
    """

    function: Callable[..., None]
    short: str
    example: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """How typer should treat it."""
        return {"short_help": self.short} | (
            {"epilog": f"Example:  perfhunt {self.example}"} if self.example else {}
        )


_SERVE = "-- gunicorn -b 127.0.0.1:{port} app:app   ($PORT is set as well)"

VERBS: dict[str, Verb] = {
    "init": Verb(init.init, "Write a perfhunt.toml for a live process."),
    "doctor": Verb(doctor.doctor, "Check every tool, permission and limit."),
    "investigate": Verb(
        investigate.investigate,
        "Find the knee, profile there, say what stops the service.",
        f"investigate {_SERVE}",
    ),
    "smoke": Verb(smoke.smoke, "Is the SLO met at a low rate? 30 to 60 s, for CI."),
    "nightly": Verb(nightly.nightly, "Investigate, soak, compare with the baseline."),
    "profile": Verb(
        profile.profile, "Profile a live service under the load it has.", f"profile {_SERVE}"
    ),
    "verify": Verb(
        verify.verify, "One change, the same question, a verdict.", f"verify --base HEAD {_SERVE}"
    ),
    "change": Verb(change.change, "Show the edit as atoms: is it one change?"),
    "split": Verb(change.split, "Write one patch for each change of a tangled edit."),
    "compare": Verb(compare.compare, "The verdict on two stored runs."),
    "bench": Verb(
        bench.bench,
        "Time a command, or two versions of it.",
        "bench --base HEAD~1 -- python -m compileall -fq src",
    ),
    "bisect": Verb(bisect.bisect, "Find the first slower commit.", f"bisect v1.4 HEAD {_SERVE}"),
    "calibrate": Verb(calibrate.calibrate, "Measure this host's own noise.", f"calibrate {_SERVE}"),
    "report": Verb(report.report, "Render a stored run again, in any format."),
    "open": Verb(open_report.open_report, "Open a run's report in the browser."),
    "convert": Verb(convert.convert, "Convert a profile of any tool to another's format."),
    "flamegraph": Verb(flamegraph.flamegraph, "Draw a profile of any tool, or what two differ by."),
    "history": Verb(history.history, "List or draw the runs kept here."),
    "pack": Verb(pack.pack, "Write a run as one file, for CI to keep."),
    "unpack": Verb(pack.unpack, "Bring a packed run into the store."),
    "demo": Verb(demo.demo, "The whole job on the bundled shop."),
    "worker": Verb(worker.worker, "Lend this host to another one's load."),
    "schema": Verb(schema.schema, "Print the JSON Schema of run.json."),
}
