"""A diagnosis against what is known of a service, and many of them as a table and in sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from diagnosis_peers import NAMES
from diagnosis_record import Seen

from perfhunt.analysis.diagnosis.diagnosis import Diagnosis
from perfhunt.analysis.trial.interference import disturbed
from perfhunt.model.finding import Finding, Waterfall
from perfhunt.model.knee import Knee
from tests.live.zoo.animals import Animal, Half

Row = dict[str, Any]
CLOSES = 0.10  # of the latency that load adds: parts that add up to it within so much close
# The generator's part of a core from which a capacity is its own: the service may do more.
GENERATOR_BUSY = 0.7
COLUMNS = (
    "service",
    "half",
    "culprit",
    "class",
    "closure",
    "fix brings, said",
    "seen",
    "looks/s",
    "p99 while probed",
    *NAMES,
)


def score(animal: Animal, seen: Seen, diagnosis: Diagnosis | None = None) -> Row:
    """The row of a service; None where there is nothing to be said."""
    diagnosis = diagnosis or seen.diagnosis()
    rank, finding = culprit(animal, diagnosis.findings)
    knee = seen.heard("evidence").knee
    instants = knee.instants
    effect = seen.heard("effect")
    said, brings = promised(finding, seen), seen.mended / seen.capacity if seen.capacity else None
    at_least = bool(finding and finding.what_if and finding.what_if.at_least)
    bottleneck = diagnosis.bottleneck
    category = str(bottleneck.category) if bottleneck else "none"
    first = diagnosis.findings[0].function if diagnosis.findings else ""
    return {
        "rank": rank,
        "class": category,
        "class_right": category in animal.classes,
        **closing(diagnosis.waterfall),
        "prediction_error": prediction_error(said, at_least, brings, seen),
        "looks_per_s": len(instants) / instants.seconds if instants and instants.seconds else None,
        "probe_p99": effect.p99 if effect else None,
        "half": str(animal.half),
        "predicted": said,
        "observed": brings,
        "at_least": at_least,
        "withheld": said is None,
        "why_withheld": finding.withheld if finding else "the culprit is not among the findings",
        "first": first,
        "score": bottleneck.score if bottleneck else 0.0,
        "runner_up": str(bottleneck.runner_up or "") if bottleneck else "",
        "disturbed": disturbed(knee.trial.interference if knee.trial else None),
        "mode": seen.mode,
        "seconds": round(seen.seconds, 1),
        "peers": {name: [peer.own, peer.inclusive] for name, peer in seen.peers.items()},
    }


def culprit(animal: Animal, findings: Sequence[Finding]) -> tuple[int | None, Finding | None]:
    """The place of the culprit among the findings, and the finding."""
    for place, finding in enumerate(findings, 1):
        if finding.function.rpartition(".")[2] in animal.culprits:
            return place, finding
    return None, None


def promised(finding: Finding | None, seen: Seen) -> float | None:
    """Times the capacity that mending the culprit is said to bring; None: nothing is said."""
    what_if = finding.what_if if finding is not None else None
    if what_if is None or not seen.capacity:
        return None
    if what_if.saturated is not None:
        return float(what_if.saturated / seen.capacity)
    knee = seen.heard("climb").knee
    return float(what_if.rate / knee.rate) if isinstance(knee, Knee) else None


def prediction_error(
    said: float | None, at_least: bool, brings: float | None, seen: Seen
) -> float | None:
    """How far off the promise is, as a share of what came; None where nothing was said, where a
    lower bound was kept, or where the generator stopped the mended service and the promise is not
    below what it could.
    """
    if said is None or not brings:
        return None
    if (at_least and said <= brings) or (seen.mended_busy > GENERATOR_BUSY and said >= brings):
        return None
    return abs(said - brings) / brings


def closing(waterfall: Waterfall | None) -> Row:
    """What the waterfall's parts leave unexplained, as a share; whether the interval of that holds
    nothing at all; and the share of the growth that is taken from something else than looks. None
    where there is no waterfall, or latency did not grow.
    """
    if waterfall is None or waterfall.closure is None or waterfall.unexplained is None:
        return {"closure": None, "closes_within_interval": None, "inferred": None}
    left = waterfall.unexplained.added
    return {
        "closure": waterfall.closure,
        "closes_within_interval": left.low <= 0.0 <= left.high,
        "inferred": round(waterfall.inferred, 3),
    }


def summary(rows: Mapping[str, Row]) -> dict[str, Any]:
    """Shares of services and the median error; None where no service has a value."""

    def share(values: Sequence[bool]) -> float | None:
        return round(sum(values) / len(values), 3) if values else None

    errors = [r["prediction_error"] for r in rows.values() if r["prediction_error"] is not None]
    closures = [r["closure"] for r in rows.values() if r["closure"] is not None]
    # Rows of a diary from before have no such fields.
    closed = [r for r in rows.values() if r.get("closes_within_interval") is not None]
    return {
        "n": len(rows),
        "culprit_first": share([r["rank"] == 1 for r in rows.values()]),
        "class_right": share([r["class_right"] for r in rows.values()]),
        "closure": share([abs(c) <= CLOSES for c in closures]),
        "closure_median": round(median(map(abs, closures)), 3) if closures else None,
        "closes_within_interval": share([r["closes_within_interval"] for r in closed]),
        "inferred": round(median(r["inferred"] for r in closed), 3) if closed else None,
        "prediction_error": round(median(errors), 3) if errors else None,
        "predictions": len(errors),
        "withheld": share([r["withheld"] for r in rows.values()]),
    }


def parts(rows: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
    """The summary of each half, and of what no other work on the host disturbed."""
    found = {str(h): summary({n: r for n, r in rows.items() if r["half"] == h}) for h in Half}
    return {**found, "undisturbed": summary({n: r for n, r in rows.items() if not r["disturbed"]})}


def peer_summary(rows: Mapping[str, Row]) -> dict[str, dict[str, Any]]:
    """How often each of the others has the culprit first, by own and by inclusive time."""
    found = {}
    for name in NAMES:
        places = [r["peers"][name] for r in rows.values() if name in r["peers"]]
        if places:
            first = [sum(place[i] == 1 for place in places) for i in (0, 1)]
            found[name] = {"n": len(places), "own_first": first[0], "inclusive_first": first[1]}
    return found


def heading() -> str:
    return f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def table_row(name: str, row: Row) -> str:
    """A row of the table. Others' places are by own time / by inclusive time; † is a service whose
    hold was disturbed by other work on the host.
    """
    wrong = "" if row["class_right"] else f" **wrong** ({row['runner_up']})"
    place = row["rank"] or "none"
    cells = [
        f"{name} †" if row["disturbed"] else name,
        row["half"],
        str(place) if row["rank"] == 1 else f"**{place}** ({row['first']})",
        f"{row['class']} {row['score']:.2f}{wrong}",
        _number(row["closure"], "{:.0%}"),
        _number(row["predicted"], "≥ x{:.2f}" if row["at_least"] else "x{:.2f}"),
        _number(row["observed"], "x{:.2f}"),
        _number(row["looks_per_s"], "{:.0f}"),
        _number(row["probe_p99"], "x{:.2f}"),
        *(_places(row["peers"].get(peer)) for peer in NAMES),
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _places(places: Sequence[int | None] | None) -> str:
    return "" if places is None else " / ".join(str(p or "–") for p in places)
