"""The `[ramp]`, `[smoke]` and `[safety]` tables of the test file."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from perfhunt.model import redact
from perfhunt.model.question import (
    ArrivalLaw,
    Killswitch,
    LoopKind,
    Plateau,
    Ramp,
    RampMode,
    Safety,
)
from perfhunt.model.slo import SmokeLoad
from perfhunt.model.testfile.strict import Reader, show
from perfhunt.model.units import Share, UnitError, parse_duration, parse_rate

# An interval wider than half its estimate either side names no knee.
_LOOSEST: Share = 0.5
_PLATEAU = re.compile(r"\s*(\S+)\s+for\s+(\S+)\s*")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_.:\[\]-]+")


def read_ramp(top: Reader) -> Ramp:
    """The `[ramp]` table, or the defaults; problems go to the reader."""
    table = top.child("ramp", '[ramp] with mode = "search"')
    if table is None:
        return Ramp()
    ramp = Ramp(
        mode=table.choice("mode", RampMode.SEARCH),
        start=table.rate("start", 10.0, "10/s"),
        staircase=_staircase(table),
        budget=table.duration("budget", 600.0, "10m"),
        arrivals=table.choice("arrivals", ArrivalLaw.POISSON),
        timeout=table.duration("timeout", 10.0, "10s"),
        deadline=table.optional_duration("deadline", "2s"),
        precision=table.share("precision", 0.10, "10%"),
        baseline=table.duration("baseline", 15.0, "15s"),
        hold=table.duration("hold", 25.0, "25s"),
        loop=table.choice("loop", LoopKind.OPEN),
        max_rate=table.optional_rate("max", "2000/s"),
    )
    if ramp.precision > _LOOSEST:
        table.wrong(
            "precision",
            f"{show(table.raw('precision'))} is no precision",
            'write "50%" or less, like "10%"',
        )
    table.finish({"seed": "at the top of the file", "at_load": "in [slo]"})
    return ramp


def _staircase(table: Reader) -> tuple[Plateau, ...]:
    example = 'write for example staircase = ["10/s for 1m", "50/s for 2m"]'
    texts = table.strings("staircase", (), example.removeprefix("write for example "))
    if not texts:
        if isinstance(table.raw("staircase"), list) and not table.raw("staircase"):
            table.wrong("staircase", "has no steps", example)
        return Ramp().staircase
    plateaus: list[Plateau] = []
    for n, text in enumerate(texts, start=1):
        match = _PLATEAU.fullmatch(text)
        try:
            if match is None:
                raise UnitError(f"{text!r} is not a rate for a time")
            plateau = Plateau(parse_rate(match[1]), parse_duration(match[2]))
        except UnitError as error:
            table.wrong(f"staircase[{n}]", str(error), example)
            continue
        if not (0 < plateau.rate < float("inf") and 0 < plateau.duration < float("inf")):
            table.wrong(f"staircase[{n}]", f"{text!r} has no load or no end", example)
        elif plateaus and plateau.rate <= plateaus[-1].rate:
            table.wrong(
                f"staircase[{n}]",
                f"{text!r} does not climb",
                "each step must be a higher rate than the one before",
            )
        else:
            plateaus.append(plateau)
    return tuple(plateaus)


def read_smoke(top: Reader) -> SmokeLoad:
    """The `[smoke]` table, or the defaults; problems go to the reader."""
    table = top.child("smoke", '[smoke] with duration = "30s"')
    if table is None:
        return SmokeLoad()
    smoke = SmokeLoad(table.optional_rate("rate", "10/s"), table.optional_duration("duration"))
    table.finish({"latency": "in [slo]", "at_load": "in [slo]"})
    return smoke


def read_safety(top: Reader) -> Safety:
    """The `[safety]` table, or the defaults; problems go to the reader."""
    default = Safety()
    table = top.child("safety", '[safety] with max_rate = "5000/s"')
    if table is None:
        return default
    hosts = table.strings("allow_hosts", default.allow_hosts, 'allow_hosts = ["127.0.0.1"]')
    for n, host in enumerate(hosts, start=1):
        if not _HOST.fullmatch(host) or "*" in host.removeprefix("*."):
            table.wrong(
                f"allow_hosts[{n}]",
                f"{show(host)} is not a host",
                'write "staging.example.com" or "*.staging.example.com"',
            )
    switch = table.child("killswitch", 'killswitch = { file = ".perfhunt/stop" }')
    killswitch = default.killswitch
    if switch is not None:
        killswitch = Killswitch(switch.text("file"), switch.text("url"))
        if killswitch.url and _scheme(killswitch.url) not in ("http", "https"):
            switch.wrong(
                "url",
                f"{show(redact.url(killswitch.url))} is not http:// or https://",
                "write the address that answers 200 while all is well",
            )
        switch.finish()
    safety = Safety(
        allow_hosts=hosts,
        max_rate=table.rate("max_rate", default.max_rate, "5000/s"),
        max_duration=table.duration("max_duration", default.max_duration, "1h"),
        killswitch=killswitch,
        comms=table.text("comms"),
    )
    table.finish({"environment": "in [target]", "timeout": "in [ramp]"})
    return safety


def _scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.scheme if parts.hostname else ""
