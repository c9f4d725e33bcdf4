"""INTERIM until the real one lands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from perfhunt.model.run import Run


@dataclass(frozen=True)
class _F:
    name: str
    file_name: str
    help: str
    render: Callable[[Run], str]

    def has_something(self, run: Run) -> bool:
        return True


def _t(run: Run) -> str:
    return "\n".join(
        [
            str(run.verdict),
            str(run.knee),
            str(run.capacity),
            *(f"{j.objective} {j.value} {j.verdict}" for j in run.judged),
            str(run.bottleneck),
            *(f"{f.rank} {f.function} {f.file}:{f.line} {f.cls} {f.blamed}" for f in run.findings[:5]),
            run.next_step,
        ]
    )


FORMATS = {
    n: _F(n, f, "", _t)
    for n, f in (
        ("terminal", "report.txt"),
        ("html", "report.html"),
        ("markdown", "report.md"),
        ("flamegraph", "flamegraph.svg"),
        ("speedscope", "profile.speedscope.json"),
        ("junit", "junit.xml"),
    )
}
