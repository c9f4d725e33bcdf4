"""Whether two runs may be compared: what was asked differently, and what else than the code
differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from perfhunt.model.question import Question
from perfhunt.model.redact import TWO_KEYS, of_one_key
from perfhunt.model.run import Run, TargetProcess

# What of an environment decides how fast the same code runs.
HOST_FIELDS = (
    "host",
    "kernel",
    "cpu_model",
    "cores",
    "memory",
    "virtualised",
    "pinning",
    "env_sha256",
    "distributions",
)
TARGET_FIELDS = ("runtime_version", "cpu_limit", "memory_limit")


def question_differences(a: Question, b: Question) -> tuple[str, ...]:
    """What was asked differently, one per entry: `ramp.budget: 600 -> 300`. Empty when the runs may
    be compared.
    """
    return tuple(_differences("", a.identity(), b.identity()))


def environment_differences(
    a: Run, b: Run, explained: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """What besides the code differs between two runs. A field that either run left empty says
    nothing and is skipped.
    """
    differences = [*_host_differences(a, b, explained)]
    if a.target and b.target:
        differences += _target_differences(a.target, b.target, explained)
    return tuple(differences)


def _host_differences(a: Run, b: Run, explained: frozenset[str]) -> Iterator[str]:
    before, after = asdict(a.environment), asdict(b.environment)
    for name in HOST_FIELDS:
        if name in explained or not before[name] or not after[name]:
            continue
        if name == "env_sha256" and not of_one_key(before[name], after[name]):
            yield f"environment variables: {TWO_KEYS}, so they cannot be compared"
            continue
        if name == "env_sha256" and before[name] != after[name]:
            # Names say more than two hashes; only when neither run kept them do the hashes stand.
            unlike = b.environment.variables_unlike(a.environment)
            if unlike:
                yield from (f"environment variable {variable}" for variable in unlike)
                continue
        yield from _differences(name, before[name], after[name])


def _target_differences(
    a: TargetProcess, b: TargetProcess, explained: frozenset[str]
) -> Iterator[str]:
    for name in TARGET_FIELDS:
        before, after = getattr(a, name), getattr(b, name)
        if name not in explained and before != after:
            yield f"target {name}: {before} -> {after}"
    if len(a.workers) != len(b.workers) and "workers" not in explained:
        yield f"worker processes: {len(a.workers)} -> {len(b.workers)}"


def _differences(path: str, a: object, b: object) -> Iterator[str]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in sorted({*a, *b}, key=str):
            yield from _differences(f"{path}.{key}" if path else str(key), a.get(key), b.get(key))
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from _differences(f"{path}[{i}]", x, y)
    elif isinstance(a, str) and isinstance(b, str) and a and b and not of_one_key(a, b):
        yield f"{path}: {TWO_KEYS}, so it cannot be told whether it is the same"
    elif a != b:
        yield f"{path}: {a} -> {b}"
