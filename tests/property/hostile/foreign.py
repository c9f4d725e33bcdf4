"""Every format of profiles that is read, as a function of bytes: as `perfhunt convert` gives it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from perfhunt.model.document.bounded import json_value, unzipped
from perfhunt.model.profile import Profile
from perfhunt.model.profiles.formats import PROFILE_FORMATS, Held, format_by_content

GOLDEN = Path(__file__).parents[2] / "golden"
LARGEST = 1 << 24

SEEDS: dict[str, tuple[str, ...]] = {
    "folded": (
        "foreign/async-profiler-annotated.collapsed",
        "foreign/rbspy.folded",
        "foreign/stackcollapse-perf.folded",
    ),
    "austin": ("foreign/austin-full.austin", "foreign/austin-memory.austin"),
    "phpspy": ("foreign/phpspy.txt",),
    "speedscope": ("foreign/py-spy.speedscope.json", "foreign/pyinstrument.speedscope.json"),
    "pprof": ("foreign/go-heap.pb.gz",),
    "cpuprofile": ("foreign/node.cpuprofile",),
    "perf-script": ("foreign/perf-script.txt", "foreign/perf-script-flat.txt"),
    "trace-events": ("foreign/viztracer.json", "foreign/py-spy.trace.json"),
    "jfr-print": ("profilers/jfr-print.txt",),
    "scalene": ("foreign/scalene.json",),
    "pyinstrument": ("foreign/pyinstrument.json", "foreign/pyinstrument.pyisession"),
    "memray": ("foreign/memray-stats.json",),
}


def _read(name: str, raw: bytes) -> Profile:
    form = PROFILE_FORMATS[name]
    if form.held == Held.JSON:
        return form.read(json_value(raw, "it", 800), "")
    if form.held == Held.BYTES:
        return form.read(raw, "")
    return form.read(raw.decode(errors="replace").splitlines(keepends=True), "")


def _seed(name: str) -> bytes:
    raw = (GOLDEN / name).read_bytes()
    return unzipped(raw, LARGEST, "it") if name.endswith(".gz") else raw


FOREIGN: dict[str, tuple[Callable[[bytes], object], tuple[bytes, ...]]] = {
    f"{name} of others": (partial(_read, name), tuple(map(_seed, seeds)))
    for name, seeds in SEEDS.items()
} | {"format of a profile": (format_by_content, (b"a;b 1\n", b"FLR\0", b"\x0a\x04\x08\x01"))}
