"""Whether two runs may be compared: what was asked differently, and what else than the code
differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from perfhunt.model.question import Question
from perfhunt.model.redact import TWO_KEYS, of_one_key
from perfhunt.model.run import Run, TargetProcess
from perfhunt.model.trial import WATCHED_PHASES
from perfhunt.model.units import PerSecond

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
    differences = [*_host_differences(a, b, explained), *_engine_differences(a, b)]
    if a.target and b.target:
        differences += _target_differences(a.target, b.target, explained)
    return tuple(differences)


def attachment_differences(a: Run, b: Run) -> tuple[str, ...]:
    """What of ours looked at the service in one of two runs and not in the other: what is looked at
    runs otherwise, even at rest between two looks. Empty when the trials are alike in that.
    """
    if was_looked_at(a) != was_looked_at(b):
        where = "the second" if was_looked_at(b) else "the first"
        return (f"profilers looked at the service in {where} run alone",)
    before, after = _tools(a), _tools(b)
    if before is None or after is None:
        return ()
    return tuple(
        f"{name} looked at the service {_how(before.get(name))} in the first run,"
        f" {_how(after.get(name))} in the second"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def was_looked_at(run: Run) -> bool:
    """Whether anything of ours looked at the service; told by what was seen, where a run does not
    keep it.
    """
    tools = _tools(run)
    return bool(run.profiles or run.states or run.peers) if tools is None else bool(tools)


def _tools(run: Run) -> dict[str, tuple[set[PerSecond | None], bool]] | None:
    """What looked at the service by name: at which rates, and whether in trials that are compared
    too; None for a run that does not keep it.
    """
    tools: dict[str, tuple[set[PerSecond | None], bool]] = {}
    for trial in run.trials or ((run.baseline,) if run.baseline else ()):
        if trial.attached is None:
            return None
        for tool in trial.attached:
            rates, always = tools.get(tool.name, (set(), False))
            compared = trial.step.phase not in WATCHED_PHASES
            tools[tool.name] = rates | {tool.rate_hz}, always or compared
    return tools


def _how(tool: tuple[set[PerSecond | None], bool] | None) -> str:
    if tool is None:
        return "not at all"
    rates, always = tool
    paces = " and ".join(f"at {rate:g} Hz" for rate in sorted(r for r in rates if r is not None))
    return f"{paces} {'all the time' if always else 'in the holds'}".strip()


def _engine_differences(a: Run, b: Run) -> Iterator[str]:
    """Another version of the program that made the load."""
    engine = a.question.engine
    before, after = (run.environment.tools.get(engine) for run in (a, b))
    if b.question.engine is engine and before and after:
        yield from _differences(engine, before, after)


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
