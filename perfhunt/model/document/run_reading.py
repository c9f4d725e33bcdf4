"""The Run in a run.json document. Strict: a document of another schema, or with a field missing or
ill-typed, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from perfhunt.model.document.plain import PlainError, from_plain
from perfhunt.model.document.run_document import LATENCY_KEYS
from perfhunt.model.finding import Bottleneck, Caution, Finding, ProbeEffect, WhatIf
from perfhunt.model.interval import Interval
from perfhunt.model.knee import Capacity, Knee, NoKnee
from perfhunt.model.latency import Latency
from perfhunt.model.profile import Profile, Stack
from perfhunt.model.question import Question
from perfhunt.model.run import SCHEMA, Environment, Run, TargetProcess
from perfhunt.model.slo import Judged, Judgement, Measure, Objective
from perfhunt.model.states import States
from perfhunt.model.trial import (
    Count,
    Drained,
    Generator,
    Phase,
    Resources,
    RouteResult,
    SecondRow,
    Step,
    Trial,
)
from perfhunt.model.units import Seconds


def read_document(plain: Any, stacks: Mapping[str, Mapping[Stack, float]] | None = None) -> Run:
    """The Run of a document that `document` wrote; `stacks` by phase fills the profiles. Raises
    PlainError, with the place.
    """
    if not isinstance(plain, dict):
        raise PlainError(f"run.json holds {type(plain).__name__}, not an object")
    if plain.get("schema") != SCHEMA:
        raise PlainError(
            f"run.json has schema {plain.get('schema')!r}; this perfhunt reads schema {SCHEMA}"
        )
    try:
        return _run(plain, stacks or {})
    except (KeyError, TypeError, AttributeError) as error:
        raise PlainError(f"run.json is damaged: {type(error).__name__}: {error}") from error


def _run(plain: dict[str, Any], stacks: Mapping[str, Mapping[Stack, float]]) -> Run:
    question = from_plain(Question, _without(plain["question"], "fingerprint"), "question")
    knees = tuple(_knee(k) for k in plain["knees"])
    return Run(
        id=from_plain(str, plain["id"], "id"),
        kind=from_plain(str, plain["kind"], "kind"),
        started=from_plain(str, plain["started"], "started"),
        perfhunt=from_plain(str, plain["perfhunt"], "perfhunt"),
        question=question,
        environment=from_plain(Environment, plain["environment"], "environment"),
        target=from_plain(TargetProcess | None, plain["target"], "target"),
        verdict=from_plain(Judgement, plain["verdict"], "verdict"),
        judged=tuple(_judged(j, i) for i, j in enumerate(plain["slo"]["objectives"])),
        judged_at=from_plain(float | None, plain["slo"]["judged_at"], "slo.judged_at"),
        knee=_knee(plain["knee"]),
        knees=knees,
        capacity=from_plain(Capacity | None, plain["capacity"], "capacity"),
        baseline=None if plain["baseline"] is None else read_trial(plain["baseline"], "baseline"),
        trials=tuple(read_trial(t, f"trials[{i}]") for i, t in enumerate(plain["trials"])),
        drains=from_plain(tuple[Drained, ...], plain["drains"], "drains"),
        bottleneck=_bottleneck(plain["bottleneck"]),
        findings=tuple(_finding(f, f"findings[{i}]") for i, f in enumerate(plain["findings"])),
        states={
            p: from_plain(States, _without(s, "totals"), f"states.{p}")
            for p, s in plain["states"].items()
        },
        profiles={
            p: _profile(m, stacks.get(p, {}), f"profiles.{p}") for p, m in plain["profiles"].items()
        },
        probe_effect=from_plain(ProbeEffect | None, plain["probe_effect"], "probe_effect"),
        cautions=from_plain(tuple[Caution, ...], plain["cautions"], "cautions"),
        artifacts=from_plain(Mapping[str, str], plain["artifacts"], "artifacts"),
        ended=from_plain(str, plain["ended"], "ended"),
        seconds=from_plain(float, plain["seconds"], "seconds"),
        next_step=from_plain(str, plain["next_step"], "next_step"),
        exit_code=from_plain(int, plain["exit_code"], "exit_code"),
    )


def read_trial(plain: Any, where: str = "trial") -> Trial:
    """The trial that `trial_document` wrote, with its second rows if they are there."""
    step = Step(
        phase=from_plain(Phase, plain["phase"], f"{where}.phase"),
        rate=from_plain(float, plain["rate"], f"{where}.rate"),
        duration=from_plain(float, plain["duration_s"], f"{where}.duration_s"),
        seed=from_plain(int, plain["seed"], f"{where}.seed"),
        settle=from_plain(float, plain["settle_s"], f"{where}.settle_s"),
        stop_on_overload=from_plain(bool, plain["stop_on_overload"], f"{where}.stop_on_overload"),
        arrivals=from_plain(str, plain["arrivals"], f"{where}.arrivals"),
    )
    return Trial(
        step=step,
        seconds=from_plain(float, plain["seconds"], f"{where}.seconds"),
        achieved=from_plain(float, plain["achieved"], f"{where}.achieved"),
        completed=from_plain(float, plain["completed"], f"{where}.completed"),
        counts=from_plain(Mapping[str, Count], plain["counts"], f"{where}.counts"),
        response=_latency(plain["response"], f"{where}.response"),
        service=_latency(plain["service"], f"{where}.service"),
        outcomes=from_plain(Mapping[str, int], plain["outcomes"], f"{where}.outcomes"),
        generator=from_plain(Generator, plain["generator"], f"{where}.generator"),
        overload=from_plain(str, plain["overload"], f"{where}.overload"),
        invalid=from_plain(str, plain["invalid"], f"{where}.invalid"),
        routes={name: _route(r, f"{where}.routes.{name}") for name, r in plain["routes"].items()},
        rows=from_plain(tuple[SecondRow, ...], plain.get("rows", []), f"{where}.rows"),
        resources=from_plain(Resources | None, plain["resources"], f"{where}.resources"),
        samples=from_plain(str, plain["samples"], f"{where}.samples"),
        started=from_plain(float, plain["started_s"], f"{where}.started_s"),
    )


def with_rows(run: Run, stored: Sequence[Trial]) -> Run:
    """The run with each trial's second rows filled from the trials as they were appended."""
    rows = {(t.step, t.started): t.rows for t in stored}
    trials = tuple(replace(t, rows=rows.get((t.step, t.started), t.rows)) for t in run.trials)
    baseline = run.baseline
    if baseline is not None:
        baseline = replace(
            baseline, rows=rows.get((baseline.step, baseline.started), baseline.rows)
        )
    return replace(run, trials=trials, baseline=baseline)


def _without(plain: Any, key: str) -> dict[str, Any]:
    return {k: v for k, v in plain.items() if k != key}


def _seconds(plain: Any, where: str) -> Seconds | None:
    value = from_plain(float | None, plain, where)
    return None if value is None else round(value / 1000, 9)


def _latency(plain: Any, where: str) -> Latency:
    values = {key: _seconds(plain[key], f"{where}.{key}") for key in LATENCY_KEYS}
    censored = from_plain(int, plain["censored"], f"{where}.censored")
    return Latency(n=from_plain(int, plain["n"], f"{where}.n"), censored=censored, **values)


def _route(plain: Any, where: str) -> RouteResult:
    return RouteResult(
        _latency(plain["response"], f"{where}.response"),
        _latency(plain["service"], f"{where}.service"),
        from_plain(Mapping[int, int], plain["statuses"], f"{where}.statuses"),
        from_plain(Mapping[str, int], plain["outcomes"], f"{where}.outcomes"),
    )


def _judged(plain: Any, index: int) -> Judged:
    where = f"slo.objectives[{index}]"
    name, _, route = from_plain(str, plain["name"], f"{where}.name").partition("[")
    measure, _, key = name.partition(".")
    latency = measure == Measure.LATENCY
    limit = from_plain(float, plain["limit"], f"{where}.limit")
    value = (
        _seconds(plain["value"], f"{where}.value")
        if latency
        else from_plain(float | None, plain["value"], where)
    )
    objective = Objective(
        from_plain(Measure, measure, f"{where}.name"),
        key,
        from_plain(str, plain["op"], f"{where}.op"),
        round(limit / 1000, 9) if latency else limit,
        from_plain(float | None, plain["window_s"], f"{where}.window_s"),
        route.removesuffix("]") or None,
    )
    verdict = from_plain(Judgement, plain["verdict"], f"{where}.verdict")
    return Judged(
        objective, value, from_plain(int, plain["n"], f"{where}.n"), verdict, plain["note"]
    )


def _knee(plain: Any) -> Knee | NoKnee:
    if "none" in plain:
        renamed = {"reason" if k == "none" else k: v for k, v in plain.items()}
        return cast(NoKnee, from_plain(NoKnee, renamed, "knee"))
    inside = _without(_without(plain, "limit_ms"), "load_s")
    limit = _seconds(plain["limit_ms"], "knee.limit_ms")
    inside |= {"limit": math.inf if limit is None else limit, "load": plain["load_s"]}
    return cast(Knee, from_plain(Knee, inside, "knee"))


def _bottleneck(plain: Any) -> Bottleneck | None:
    if plain is None:
        return None
    return cast(
        Bottleneck,
        from_plain(Bottleneck, {"cls": plain["class"]} | _without(plain, "class"), "bottleneck"),
    )


def _interval(plain: Any, where: str) -> Interval:
    ends = {k: _seconds(plain[k], f"{where}.{k}") for k in ("value", "low", "high")}
    finite = {k: math.inf if v is None else v for k, v in ends.items()}
    return Interval(n=plain["n"], confidence=plain["confidence"], **finite)


def _finding(plain: Any, where: str) -> Finding:
    return Finding(
        rank=from_plain(int, plain["rank"], f"{where}.rank"),
        function=from_plain(str, plain["function"], f"{where}.function"),
        file=from_plain(str, plain["file"], f"{where}.file"),
        line=from_plain(int | None, plain["line"], f"{where}.line"),
        cls=from_plain(str, plain["class"], f"{where}.class"),
        self_share=from_plain(float, plain["self_share"], f"{where}.self_share"),
        total_share=from_plain(float, plain["total_share"], f"{where}.total_share"),
        own=_interval(plain["own_ms"], f"{where}.own_ms"),
        total=_interval(plain["total_ms"], f"{where}.total_ms"),
        blamed=_interval(plain["ms_per_request"], f"{where}.ms_per_request"),
        grew=None if plain["grew_ms"] is None else _interval(plain["grew_ms"], f"{where}.grew_ms"),
        via=from_plain(str, plain["via"], f"{where}.via"),
        evidence=from_plain(str, plain["evidence"], f"{where}.evidence"),
        what_if=from_plain(WhatIf | None, plain["what_if"], f"{where}.what_if"),
        runtime=from_plain(str, plain["runtime"], f"{where}.runtime"),
    )


def _profile(plain: Any, stacks: Mapping[Stack, float], where: str) -> Profile:
    meta = _without(_without(plain, "weight"), "file")
    profile = cast(Profile, from_plain(Profile, meta | {"stacks": {}}, where))
    return replace(profile, stacks=dict(stacks))
