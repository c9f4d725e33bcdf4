"""How the service was started, and what tools saw of it from inside."""

from __future__ import annotations

from dataclasses import replace

from perfhunt.model.finding import ProbeEffect
from perfhunt.model.inside.look import (
    InsideLook,
    InsideTool,
    LineUse,
    RequestTime,
    StartedService,
)
from perfhunt.model.run import Run
from tests.sample_run.run import sample_run

PRICING = "shop/pricing.py"
KIB = 1 << 10


def launched_run() -> Run:
    """The whole run, of a service that was started for it and looked into."""
    started = StartedService(("gunicorn", "-b", "…", "shop.app:app"), "/srv/shop", 0.84)
    return replace(sample_run(), launched=started, inside=_looks())


def _looks() -> tuple[InsideLook, ...]:
    """By each tool; the second followed requests, and one look was not to be had."""
    return (
        InsideLook(
            tool=InsideTool.SCALENE,
            rate=70.5,
            seconds=10.0,
            effect=ProbeEffect(0.998, 1.71, 1.62, 1.4, (0.021, 0.022), True, "p99 was higher"),
            lines=(
                LineUse(
                    file=PRICING,
                    line=72,
                    function="load_rules",
                    python=0.61,
                    native=0.12,
                    system=0.04,
                    allocated=3.2 * KIB * KIB,
                    copied=0.0,
                ),
            ),
            notes=("scalene saw main threads only",),
        ),
        InsideLook(
            tool=InsideTool.PYINSTRUMENT,
            rate=70.5,
            seconds=10.0,
            effect=ProbeEffect(1.0, 1.08, 1.11, 1.03, (0.021, 0.022)),
            lines=(
                LineUse(PRICING, 71, "load_rules", running=0.0041, awaiting=0.0),
                LineUse("shop/db.py", 12, "execute", running=0.0002, awaiting=0.0019),
            ),
            request=RequestTime("Cycle.run_asgi", 312, 0.0068),
            file="inside/pyinstrument.json",
        ),
        InsideLook(
            tool=InsideTool.TRACEMALLOC,
            rate=14.1,
            seconds=15.0,
            effect=ProbeEffect(1.0, 9.3, 11.4, 8.8, (0.02, 0.021), True, "p99 was higher"),
            lines=(
                LineUse(
                    PRICING, 74, "load_rules", held=(900 * KIB, 901 * KIB, 899 * KIB), leak=True
                ),
                LineUse("shop/cache.py", 9, "warm", held=(400 * KIB, 8 * KIB, 0)),
            ),
        ),
    )
