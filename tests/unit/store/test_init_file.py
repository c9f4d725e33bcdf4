"""The file that init writes: valid, refused until a person chose the numbers, and without
secrets.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace

import pytest

from perfhunt.errors import QuestionError
from perfhunt.model.run import Listener, Process, TargetProcess
from perfhunt.model.testfile.testfile import parse_question
from perfhunt.model.testfile.thresholds import BLANK
from perfhunt.model.testfile.traffic_table import Surroundings
from perfhunt.store.init_file import init_text

MASTER = Process(
    41,
    1,
    100.0,
    "/usr/bin/python3.11",
    ("/usr/bin/python3.11", "/srv/bin/gunicorn", "--token=s3cret", "shop:app"),
    "/srv",
    0,
    1,
)
WORKER = replace(MASTER, pid=42, parent=41, threads=4)
TARGET = TargetProcess(
    root=41,
    processes=(MASTER, WORKER),
    listeners=(Listener("0.0.0.0", 8123, (41, 42), 2048),),
    workers=(42,),
    runtime="cpython",
    runtime_version="3.11.7",
    framework="gunicorn",
    cpu_limit=1.5,
    cpu_limit_source="cgroup v2 CPU quota",
    memory_limit=2**30,
    memory_limit_source="cgroup v2 memory limit",
)
AROUND = Surroundings({}, lambda name: b"")


def test_what_was_found_is_in_the_file() -> None:
    text = init_text(TARGET)
    for fact in (
        "http://127.0.0.1:8123",
        "port = 8123",
        "cpython 3.11.7",
        "gunicorn",
        "1.5 cores",
        "1.0 GiB",
        "* pid 42",
        "  pid 41",
    ):
        assert fact in text
    assert tomllib.loads(text)["target"]["process"] == {"port": 8123}


def test_it_is_refused_until_a_person_chose_the_numbers() -> None:
    with pytest.raises(QuestionError) as caught:
        parse_question(init_text(TARGET), "perfhunt.toml", AROUND)
    for blank in ("slo.latency.p95", "slo.latency.p99", "slo.errors.http_5xx"):
        assert blank in caught.value.message
    assert "Fill in the numbers in perfhunt.toml" in caught.value.hint


def test_with_the_numbers_it_is_a_question() -> None:
    question = parse_question(init_text(TARGET).replace(BLANK, "40"), "perfhunt.toml", AROUND)
    assert question.target.url == "http://127.0.0.1:8123"
    assert question.slo.objectives[0].limit == pytest.approx(0.04)


def test_every_commented_line_is_right_when_it_is_uncommented() -> None:
    """A reader who removes the `# ` in front of an example gets a working file."""
    lines = []
    for line in init_text(TARGET).replace(BLANK, "400").splitlines():
        body = line.removeprefix("# ")
        is_example = line.startswith("# ") and (" = " in body or body.startswith("["))
        lines.append(body if is_example else line)
    rows = Surroundings({"SHOP_TOKEN": "x", "SHOP_PASSWORD": "y"}, lambda name: b"ref\n1\n")
    question = parse_question(
        "\n".join(lines).replace('p95 = "<= 400ms"', 'p95 = "<= 300ms"').replace("< 400%", "< 1%"),
        "f",
        rows,
    )
    assert [endpoint.name for endpoint in question.traffic] == ["home", "checkout"]
    assert question.session_values == (("token", "json:$.token"),)
    assert question.slo.at_load == 300.0
    assert "latency.p99[checkout]" in {objective.name for objective in question.slo.objectives}


def test_arguments_of_the_command_line_stay_out_of_the_file() -> None:
    assert "s3cret" not in init_text(TARGET)


def test_a_hostile_command_line_cannot_break_out_of_its_comment() -> None:
    hostile = replace(WORKER, cmdline=("x\n[slo]\nlatency = 1", "\x1b[31m"))
    text = init_text(replace(TARGET, processes=(hostile,), notes=("a\r\nb",)))
    assert "\x1b" not in text
    tomllib.loads(text)
