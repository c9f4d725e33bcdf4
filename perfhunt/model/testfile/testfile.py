"""The test file: TOML text into a Question, strictly, telling everything that is wrong with it at
once.

Pure: the environment's variables and the files it refers to come in as `Surroundings`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from perfhunt.errors import QuestionError, Unreadable, UsageError
from perfhunt.model import redact
from perfhunt.model.document.bounded import toml_table
from perfhunt.model.question import (
    LoopKind,
    ProcessSelector,
    Question,
    RampMode,
    Target,
    TargetEnvironment,
)
from perfhunt.model.slo import Measure
from perfhunt.model.testfile.engine_keys import check_engine, read_engine, read_k6_script
from perfhunt.model.testfile.locust_table import read_connects, read_locust, read_locustfile
from perfhunt.model.testfile.login_table import read_login
from perfhunt.model.testfile.ramp_table import read_ramp, read_safety, read_smoke
from perfhunt.model.testfile.slo_table import SloReading, read_slo
from perfhunt.model.testfile.strict import Problem, Reader, show
from perfhunt.model.testfile.traffic_table import Surroundings, read_traffic
from perfhunt.model.text.socket_url import LONGEST_PATH, in_one_spelling, socket_path
from perfhunt.model.units import format_duration, format_rate

FILE_SCHEMA = 1
_DOTTED_PERCENTILE = re.compile(r"(?:^|[{,])[ \t]*+p[0-9]+\.[0-9]+\s*=", re.MULTILINE)

_ELSEWHERE = {
    "url": "in [target]",
    "process": "in [target]",
    "environment": "in [target]",
    "pid": "in [target] as process = { pid = 1 }",
    "request": "in [[traffic]]",
    "latency": "in [slo]",
    "errors": "in [slo]",
    "throughput": "in [slo]",
    "resources": "in [slo]",
    "mode": "in [ramp]",
    "budget": "in [ramp]",
    "arrivals": "in [ramp]",
    "staircase": "in [ramp]",
    "seed": "at the top of the file",
    "max_rate": "in [safety]",
    "allow_hosts": "in [safety]",
    "killswitch": "in [safety]",
    "locustfile": "at the top of the file",
    "keep_error_text": "in [report]",
    "options": "in [locust]",
    "classes": "in [locust]",
    "locustfile_connects": "at the top of the file",
    "k6_script": "at the top of the file",
    "engine": "at the top of the file",
    "comms": "in [safety]",
    "max_duration": "in [safety]",
    "at_load": "in [slo]",
    "timeout": "in [ramp]",
    "hold": "in [ramp]",
}


def parse_question(text: str, source: str, around: Surroundings, table: str = "") -> Question:
    """The question a test file asks. `source` names the file in messages; `table` is its dotted
    table, if not the whole.

    Raises QuestionError (exit 104), listing every problem found: file, key, what is wrong, what to
    write instead.
    """
    document = _document(text, source)
    for part in filter(None, table.split(".")):
        document = document.get(part, {}) if isinstance(document, dict) else {}
    problems: list[Problem] = []
    top = Reader(document if isinstance(document, dict) else {}, table, problems)
    question, slo = _read(top, around, source)
    if problems:
        if not (
            question.slo.objectives
            or slo.blank
            or any(".slo" in f".{problem.path}" for problem in problems)
        ):
            top.wrong(
                "slo",
                "has no objective, so no run could pass or fail",
                'write [slo] with latency = { p99 = "<= 400ms" }',
            )
        raise QuestionError(
            _listed(source, problems), f"Mend {source} and run it again; nothing was sent."
        )
    _require_slo(question, slo, source)
    return question


def _document(text: str, source: str) -> dict[str, Any]:
    try:
        return toml_table(text, source)
    except Unreadable as error:
        hint = (
            "Each key may stand once, texts need quotes,"
            " and a table such as [slo] may be opened once."
        )
        if _DOTTED_PERCENTILE.search(text):
            hint = 'A percentile with a dot needs quotes: "p99.9" = "<= 1s".'
        raise QuestionError(error.message, error.hint or hint) from None


def _listed(source: str, problems: list[Problem]) -> str:
    if len(problems) == 1:
        return f"{source}: {problems[0]}"
    return f"{source} has {len(problems)} problems:\n" + "\n".join(
        f"  {problem}" for problem in problems
    )


def _require_slo(question: Question, slo: SloReading, source: str) -> None:
    if slo.blank:
        raise QuestionError(
            f"{source}: these numbers of the SLO are still blank, and only a person can choose"
            f" them: {', '.join(slo.blank)}",
            f'Fill in the numbers in {source}, for example p99 = "<= 400ms", or delete the lines'
            " you do not need.",
        )
    if not question.slo.objectives:
        raise QuestionError(
            f"{source} has no SLO, so no run of it could pass or fail; nothing was sent",
            f'Add [slo] with latency = {{ p99 = "<= 400ms" }} to {source}, or write a new file:'
            " perfhunt init --pid PID",
        )


def _read(top: Reader, around: Surroundings, source: str) -> tuple[Question, SloReading]:
    schema = top.integer("schema", FILE_SCHEMA)
    if schema != FILE_SCHEMA:
        top.wrong(
            "schema", f"{schema} is not known to this perfhunt", f"write schema = {FILE_SCHEMA}"
        )
    target = _target(top)
    locustfile, digest = read_locustfile(top, around)
    connects = read_connects(top, locustfile)
    options, classes = read_locust(top, locustfile, around)
    k6_script, k6_digest = read_k6_script(top, around)
    brought = locustfile or (k6_script and not top.has("traffic"))
    login = read_login(top, around)
    traffic = () if brought else read_traffic(top, around, login.columns)
    routes = tuple(step for first in traffic for step in first.steps)
    slo, reading = read_slo(top, routes, any_route=bool(locustfile or k6_script))
    ramp, safety = read_ramp(top), read_safety(top)
    question = Question(
        target=target,
        traffic=traffic,
        slo=slo,
        ramp=ramp,
        safety=safety,
        seed=top.integer("seed", 1, high=2**32 - 1),
        locustfile=locustfile,
        locustfile_sha256=digest,
        locustfile_connects=connects,
        locust_options=options,
        locust_classes=classes,
        engine=read_engine(top, k6_script),
        k6_script=k6_script,
        k6_script_sha256=k6_digest,
        login=login.request,
        session_values=login.values,
        sessions=login.sessions,
        smoke=read_smoke(top),
        source=source,
        keep_error_text=_keep_error_text(top),
    )
    if ramp.loop is LoopKind.CLOSED and not locustfile:
        top.wrong(
            "ramp.loop",
            '"closed" needs a locustfile, whose users wait for their answers',
            'write loop = "open"',
        )
    if (locustfile or k6_script) and login.request is not None:
        top.wrong(
            "login", "is for [[traffic]]", "a script logs in by itself: in on_start, or in setup"
        )
    if locustfile and socket_path(target.url):
        top.wrong(
            "target.url",
            "is a unix socket, which the clients of a locustfile cannot connect to",
            'take [[traffic]], or let the service listen on a port: url = "http://127.0.0.1:8000"',
        )
    question = check_engine(top, question)
    top.finish(_ELSEWHERE)
    _check_together(top, question)
    return question, reading


def _keep_error_text(top: Reader) -> bool:
    table = top.child("report", "[report] with keep_error_text = true")
    if table is None:
        return False
    keep = table.flag("keep_error_text", False)
    table.finish(_ELSEWHERE)
    return keep


def _target(top: Reader) -> Target:
    table = top.child("target", '[target] with url = "http://127.0.0.1:8000"')
    if table is None:
        return Target("")
    url = table.text("url", example='url = "http://127.0.0.1:8000"')
    wrong = url_problem(url) if url or table.has("url") else ""
    if wrong:
        table.wrong("url", wrong, 'write for example url = "http://127.0.0.1:8000"')
    environment = table.choice("environment", TargetEnvironment.LOCAL)
    process = _selector(table)
    target = Target(
        url=in_one_spelling(url),
        environment=environment,
        process=process,
        verify_tls=table.flag("verify_tls", True),
        name=table.text("name"),
    )
    table.finish({"request": "in [[traffic]]", "path": "in request of [[traffic]]", **_ELSEWHERE})
    return target


_ABSTRACT = ("unix:@", "unix:///@", "@")


def url_problem(url: str) -> str:
    """Why load cannot be sent to a url, as the end of a sentence; "" for `scheme://host[:port]` and
    a unix socket.
    """
    spelled = in_one_spelling(url)
    if path := socket_path(spelled):
        return _socket_problem(spelled, path)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{show(redact.url(url))} is not a URL"
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not url.isprintable()
        or " " in url
        or port == 0
    ):
        shown = show(redact.url(url))
        if url.startswith("/"):
            return f"{shown} is a path: that of a unix socket is written behind unix:"
        if url.startswith(_ABSTRACT):
            return f"{shown} is an abstract unix socket; requests are sent to one with a path"
        if "://" not in url and not url_problem(f"http://{url}"):
            return f"has no http:// before {show(redact.url(f'http://{url}').partition('//')[2])}"
        return f"{shown} is not http:// or https:// with a host"
    if parts.username is not None or parts.password is not None:
        return (
            "holds a user name or password, which would be stored; send an Authorization header"
            " from ${NAME} instead"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        return f"{show(redact.url(url))} has a path; the path belongs in request of [[traffic]]"
    return ""


def _socket_problem(url: str, path: str) -> str:
    shown = show(redact.url(url))
    if not path.startswith("/") or not path.isprintable():
        return f"{shown} is no path of a unix socket, from / on"
    if len(path.encode()) > LONGEST_PATH:
        return f"{shown} has a path of more than {LONGEST_PATH} bytes, which no unix socket has"
    if "/" in url.partition("://")[2]:
        return f"{shown} has a path behind the socket; it belongs in request of [[traffic]]"
    return ""


def _selector(table: Reader) -> ProcessSelector:
    lines = table.child("process", "process = { port = 8000 }")
    if lines is None:
        return ProcessSelector()
    given = [key for key in ("pid", "port", "pidfile", "command") if lines.has(key)]
    if len(given) != 1:
        lines.wrong(
            "",
            f"has {len(given)} of pid, port, pidfile and command",
            "write exactly one, like { port = 8000 }",
        )
    selector = ProcessSelector(
        pid=lines.integer("pid", 0, low=1) or None,
        port=lines.integer("port", 0, low=1, high=65535) or None,
        pidfile=lines.text("pidfile") or None,
        command=lines.text("command") or None,
    )
    for key, example in (("pidfile", "app.pid"), ("command", "gunicorn shop:app")):
        if lines.table.get(key) == "":
            lines.wrong(key, "is empty", f'write for example {key} = "{example}"')
    lines.finish()
    return selector


def _check_together(top: Reader, question: Question) -> None:
    """Limits that are each well written and nonsense beside each other."""
    top_rate = question.safety.max_rate
    ceiling = f"safety.max_rate ({format_rate(top_rate)})"
    rates = [
        ("ramp.start", question.ramp.start),
        ("slo.at_load", question.slo.at_load),
        ("ramp.max", question.ramp.max_rate),
        ("smoke.rate", question.smoke.rate),
    ]
    if question.ramp.mode is RampMode.STAIRCASE:
        rates += [
            (f"ramp.staircase[{n}]", p.rate) for n, p in enumerate(question.ramp.staircase, start=1)
        ]
    rates += [
        (f"slo.{o.name}", o.limit)
        for o in question.slo.objectives
        if o.measure is Measure.THROUGHPUT
    ]
    for path, rate in rates:
        if rate is not None and rate > top_rate:
            top.wrong(
                path,
                f"{format_rate(rate)} is above {ceiling}",
                "lower it, or raise safety.max_rate",
            )
    if question.ramp.max_rate is not None and question.ramp.start > question.ramp.max_rate:
        top.wrong("ramp.max", "is below ramp.start", "the ramp climbs from start to max")
    timeout = question.ramp.timeout
    for objective in question.slo.objectives:
        if objective.measure is Measure.LATENCY and objective.limit > timeout:
            cut = f"requests are given up after ramp.timeout ({format_duration(timeout)})"
            top.wrong(
                f"slo.{objective.name}",
                f"{objective.format(objective.limit)} is never seen: {cut}",
                "raise ramp.timeout or lower the limit",
            )


def aim(question: Question, url: str) -> Question:
    """The same question asked of another url, as the command line says ("": of its own). Raises
    UsageError for a bad one.
    """
    if url and (wrong := url_problem(url)):
        raise UsageError(f"--url {wrong}", "Write for example --url http://127.0.0.1:8000")
    target = replace(question.target, url=in_one_spelling(url) or question.target.url)
    return replace(question, target=target)
