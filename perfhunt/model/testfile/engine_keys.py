"""What the test file says of the engine that makes the load, and of a k6 script."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from perfhunt.model.question import ArrivalLaw, EngineName, LoopKind, Question
from perfhunt.model.testfile.strict import Reader
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.model.text.socket_url import socket_path


def read_k6_script(top: Reader, around: Surroundings) -> tuple[str | None, str | None]:
    """The path of the k6 script and the hash of its content; None each where there is none."""
    example = 'k6_script = "script.js"'
    name = top.text("k6_script", example=example)
    if not name:
        if top.has("k6_script") and isinstance(top.raw("k6_script"), str):
            top.wrong("k6_script", "is empty", f"write {example}")
        return None, None
    path = around.path(name)
    try:
        return path, hashlib.sha256(around.read(path)).hexdigest()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        top.wrong(
            "k6_script",
            f"{name!r} cannot be read ({reason})",
            "paths start from the directory of the test file",
        )
        return path, None


def read_engine(top: Reader, k6_script: str | None) -> EngineName:
    """What makes the load: k6 for a k6 script, unless something else is named."""
    usual = EngineName.K6 if k6_script else EngineName.LOCUST
    return top.choice("engine", usual)


def check_engine(top: Reader, question: Question) -> Question:
    """The question as its engine can ask it; problems go to the reader."""
    for key, what, instead in engine_problems(question):
        top.wrong(key, what, instead)
    ramp = top.raw("ramp")
    written = ramp.get("arrivals") if isinstance(ramp, dict) else None
    if question.engine is not EngineName.LOCUST and written == ArrivalLaw.POISSON:
        top.wrong(
            "ramp.arrivals",
            f"{question.engine} sends at even distances only",
            'write arrivals = "uniform", or leave it out',
        )
    return evenly(question)


def evenly(question: Question) -> Question:
    """The question with arrivals as its engine spaces them."""
    if question.engine is EngineName.LOCUST:
        return question
    return replace(question, ramp=replace(question.ramp, arrivals=ArrivalLaw.UNIFORM))


def engine_problems(question: Question) -> list[tuple[str, str, str]]:
    """What the engine of a question cannot do: the key, what is wrong, and what to do instead."""
    engine, problems = question.engine, []
    if question.k6_script and question.locustfile:
        problems.append(
            ("k6_script", "there is a locustfile as well", "each brings its own traffic: keep one")
        )
    if question.k6_script and engine is not EngineName.K6:
        problems.append(("engine", f"{engine} cannot run a k6 script", 'write engine = "k6"'))
    if question.locustfile and engine is not EngineName.LOCUST:
        problems.append(
            (
                "engine",
                f"{engine} cannot run a locustfile",
                'leave it out, or write engine = "locust"',
            )
        )
    if engine is not EngineName.LOCUST and any(first.then for first in question.traffic):
        problems.append(
            (
                "engine",
                f"{engine} is given single requests here, and cannot send steps in order",
                'leave it out, or have the steps in a k6 script: k6_script = "script.js"',
            )
        )
    if engine is not EngineName.LOCUST and socket_path(question.target.url):
        problems.append(
            ("engine", f"{engine} is not led to a unix socket", "leave it out, or take a port")
        )
    if question.ramp.loop is LoopKind.CLOSED and engine is not EngineName.LOCUST:
        problems.append(
            ("engine", f"{engine} is driven by a rate here", 'with loop = "closed" leave it out')
        )
    return problems
